"""Explanations as HTML: texts with their words highlighted, and tables of features.

Texts, names of labels and names of features are escaped without exception: they come
from anywhere.
"""

from collections import Counter
from html import escape

import numpy as np
from scipy.special import expit

# Blue speaks for, orange against (Okabe and Ito); against is underlined as well.
_FOR, _AGAINST = "0, 114, 178", "213, 94, 0"
_STRONGEST = 0.55  # opacity of the largest contribution to the labels of a row
_FAINTEST = 0.1  # share of that below which a word is not marked
_MOST_LISTED = 8  # features for, and against, below a text
# A run of characters without a blank that is longer is highlighted by the character.
_LONGEST_WORD = 40


def explanation_html(explanation, samples):
    """Return an explanation of some rows as a fragment of HTML."""
    parts = ["<div style='line-height:1.6'>"]
    for sample in samples:
        parts.append(_of_row(explanation, sample))
    n_left = len(explanation.row_length) - len(samples)
    if n_left > 0:
        parts.append(f"<p>{n_left} more rows</p>")
    return "".join([*parts, "</div>"])


def _of_row(explanation, sample):
    """Return the explanation of a row: its text once per label, on one scale."""
    places = explanation.shown_labels(sample)
    found = [((), {})] * len(places)
    if explanation.texts is not None:
        found = [highlighted_units(explanation, sample, place) for place in places]
    weights = [abs(weight) for units, _ in found for *_, weight in units]
    parts = []
    for place, (units, located) in zip(places, found, strict=True):
        body = ""
        if explanation.texts is not None:
            body = _text(explanation.texts[sample], units, max(weights, default=0.0))
        features, _, own = explanation.at(sample, place)
        parts.append(
            "<div style='margin:0.6em 0'>"
            f"{_sum(explanation, sample, place, located)}"
            f"{body}{_lists(features, own)}</div>"
        )
    return "".join(parts)


def _sum(explanation, sample, place, located):
    """Return a line with the logit of a label and its terms."""
    features, _, own = explanation.at(sample, place)
    terms = [(explanation.base[place], "base")]
    if explanation.texts is None:
        terms.append((own.sum(), "features"))
    else:
        of_text = sum(located.values())
        terms.append((of_text, "words of the text"))
        if any(name not in located for name in features):
            terms.append((own.sum() - of_text, "other features"))
    for term, name in (
        (explanation.interactions, "interactions"),
        (explanation.row_length, "row length"),
    ):
        if term.any():
            terms.append((term[sample, place], name))
    logit = explanation.logits[sample, place]
    return (
        f"<div><b>{escape(str(explanation.label_names[place]))}</b>, row {sample}: "
        f"probability {expit(logit):.2f}, log-odds {logit:+.2f} = "
        f"{' '.join(f'{term:+.2f} {name}' for term, name in terms)}</div>"
    )


def _text(text, units, most):
    """Return a text with these units of it highlighted."""
    parts, end = [], 0
    for start, stop, weight in units:
        parts.append(escape(text[end:start]))
        parts.append(_marked(text[start:stop], weight, most))
        end = stop
    parts.append(escape(text[end:]))
    return f"<div style='white-space:pre-wrap'>{''.join(parts)}</div>"


def _marked(text, weight, most):
    """Return a piece of text behind which a color tells its weight."""
    if abs(weight) <= _FAINTEST * most:
        return escape(text)
    color = _FOR if weight > 0 else _AGAINST
    style = f"background-color:rgba({color}, {_STRONGEST * abs(weight) / most:.2f})"
    if weight < 0:
        style += ";text-decoration:underline dotted"
    return f"<span style='{style}' title='{weight:+.3f}'>{escape(text)}</span>"


def _lists(features, own):
    """Return the largest contributions as two lines."""
    lines = []
    for word, chosen in (
        ("for", np.flatnonzero(own > 0)[:_MOST_LISTED]),
        ("against", np.flatnonzero(own < 0)[::-1][:_MOST_LISTED]),
    ):
        shown = [f"{escape(str(features[at]))} {own[at]:+.2f}" for at in chosen]
        if shown:
            lines.append(f"<div><small>{word}: {', '.join(shown)}</small></div>")
    return "".join(lines)


def highlighted_units(explanation, sample, place):
    """Return the pieces of a text with their weights, and what they stand for.

    The contribution of a feature is divided evenly between its occurrences, and between
    the characters of each; what is not in the text is not in the second result.
    """
    text, terms = explanation.texts[sample], explanation._spans[sample]
    features, _, own = explanation.at(sample, place)
    weights = dict(zip(features, own, strict=True))
    counts = Counter(term.name for term in terms)
    of_characters, located = np.zeros(len(text)), {}
    for term in terms:
        length = sum(end - start for start, end in term.spans)
        if term.name in weights and length:
            share = weights[term.name] / counts[term.name]
            located[term.name] = located.get(term.name, 0.0) + share
            for start, end in term.spans:
                of_characters[start:end] += share / length
    spans = {span for term in terms if term.name in weights for span in term.spans}
    units = [
        (start, end, float(of_characters[start:end].sum()))
        for start, end in _units(spans, text)
    ]
    return units, located


def _units(spans, text):
    """Yield pieces of a text that do not overlap: of spans that do, their words."""
    cluster = None
    for start, end in [*sorted(spans), (len(text) + 1, None)]:
        if cluster is not None and start < cluster[1]:
            if (start, end) != cluster:
                cluster = cluster[0], max(cluster[1], end)
            continue
        if cluster is not None:
            yield from _words(*cluster, text)
        cluster = start, end


def _words(start, end, text):
    """Yield the words between two places; of one that is very long, its characters."""
    begin = start
    for at in range(start, end + 1):
        if at == end or text[at].isspace():
            if at - begin > _LONGEST_WORD:
                yield from ((place, place + 1) for place in range(begin, at))
            elif at > begin:
                yield begin, at
            if at < end:
                yield at, at + 1  # the blank, which may have a weight
            begin = at + 1
