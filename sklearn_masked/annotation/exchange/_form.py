"""What a reader is told, and what a form of a tool can do."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ._entries import id_text, id_texts, name_texts

UNSELECTED = ("unlabeled", "negative")


@dataclass(frozen=True)
class Form:
    """How the files of one tool are read and written.

    Parameters
    ----------
    read, write, write_queries : callable
        The work.
    accepts : frozenset of str
        Optional arguments of :func:`read_annotations` that have a meaning here.
    lacks : frozenset of str
        What of an answer it cannot carry.
    """

    read: Callable
    write: Callable
    write_queries: Callable
    accepts: frozenset
    lacks: frozenset = frozenset()


@dataclass(frozen=True)
class Reading:
    """The arguments of :func:`read_annotations`, checked."""

    unselected: str | None = None
    options: list | None = None
    confirmed: bool | frozenset | None = None
    question: str | None = None
    id_field: str | None = None
    annotator: str | None = None
    columns: dict | None = None
    delimiter: str = ","
    values: dict = field(default_factory=dict)


def checked_reading(form, name, given):
    """Return the arguments given, those that have a meaning for a form."""
    given = {key: value for key, value in given.items() if value is not None}
    for key in given:
        if key not in form.accepts:
            accepts = ", ".join(f"`{one}`" for one in sorted(form.accepts))
            raise ValueError(
                f"`{key}` has no meaning for format={name!r}, which takes {accepts}; "
                f"got {given[key]!r}."
            )
    checks = {
        "unselected": _unselected,
        "options": _options,
        "confirmed": _confirmed,
        "annotator": _annotator,
        "columns": _columns,
        "delimiter": _delimiter,
        "values": _values,
    }
    for key, value in given.items():
        given[key] = checks.get(key, _text)(value, key)
    return Reading(**given)


def _unselected(value, key):
    if value not in UNSELECTED:
        raise ValueError(f"`{key}` accepts None or one of {UNSELECTED}; got {value!r}.")
    return value


def _options(value, key):
    return name_texts(value, key)


def _confirmed(value, key):
    if value is True:
        return True
    if value is False or isinstance(value, str) or not hasattr(value, "__iter__"):
        raise TypeError(
            f"`{key}` accepts None, True where everything was reviewed, or the ids of "
            f"the samples that were; got {value!r}."
        )
    return frozenset(id_texts(value, key))


def _annotator(value, key):
    return id_text(value, f"`{key}`", 0)


def _columns(value, key):
    if not isinstance(value, dict):
        raise TypeError(f"`{key}` accepts a dict; got {type(value).__name__}.")
    return value


def _delimiter(value, key):
    if not isinstance(value, str) or len(value) != 1:
        raise ValueError(f"`{key}` accepts one character; got {value!r}.")
    return value


def _values(value, key):
    """Return {word in lower case: 1, 0 or -1 for a skip}."""
    known = {1: 1, 0: 0, None: -1}
    ok = isinstance(value, dict) and all(
        isinstance(word, str) and not isinstance(one, bool) and one in known
        for word, one in value.items()
    )
    if not ok:
        raise ValueError(
            f"`{key}` accepts a dict of words to 1, 0 or None, a skip; got {value!r}."
        )
    return {word.strip().lower(): known[one] for word, one in value.items()}


def _text(value, key):
    if not isinstance(value, str) or not value:
        raise TypeError(f"`{key}` accepts the name of a field; got {value!r}.")
    return value
