"""Words of labels that stand in a text."""

import re

from ..._scripts import has_unspaced


def pattern(words: str) -> re.Pattern[str] | None:
    """Return what finds any of these words: as a whole, where words have spaces."""
    some = sorted(set(re.findall(r"\w+", words)), key=len, reverse=True)
    apart = [re.escape(one) for one in some if not has_unspaced(one)]
    inside = [re.escape(one) for one in some if has_unspaced(one)]
    parts = [rf"\b(?:{'|'.join(apart)})\b"] * bool(apart) + inside
    return re.compile("|".join(parts), re.IGNORECASE) if parts else None


def marked(text: str, hits: re.Pattern[str] | None) -> list[tuple[str, bool]]:
    """Return a text in parts, (part, whether it matches); `hits` may be None.

    >>> from sklearn_masked.annotation.session import marked, pattern
    >>> marked("After the war", pattern("war peace"))
    [('After the ', False), ('war', True)]
    """
    parts, at = [], 0
    for hit in hits.finditer(text) if hits else ():
        parts += [(text[at : hit.start()], False), (hit.group(), True)]
        at = hit.end()
    return [(part, is_hit) for part, is_hit in [*parts, (text[at:], False)] if part]
