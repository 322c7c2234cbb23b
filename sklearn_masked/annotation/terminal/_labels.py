"""Read the labels of a session: a label a line, with words that point to it."""

from itertools import pairwise
from typing import NamedTuple

from ._tables import decoded

_BELOW, _OR = " > ", " | "


class LabelFile(NamedTuple):
    """What a file of labels says.

    Parameters
    ----------
    names : list of str
        In the order in which the file first names them.
    words : dict of str to str
        The words of those labels that have some.
    parents : dict of str to str
        The label above each label that has one.
    exclusive : list of lists of str
        Groups of labels of which at most one applies.
    """

    names: list
    words: dict
    parents: dict
    exclusive: list


def read_labels(path, encoding=None):
    """Read names of labels, the words that point to them, and how they are related.

    A line is a name, or ``name: some words``. ``sport > football`` is the label
    football, which is below sport; ``sport | politics`` says that at most one of these
    labels applies. Blank lines are passed over.

    Parameters
    ----------
    path : Path
        A file of text.
    encoding : str, default=None
        See :func:`read_table`.

    Returns
    -------
    LabelFile

    Raises
    ------
    ValueError
        If a name is missing, has two lines or could not be shown; with the line.
    OSError
        If the file cannot be opened.
    """
    lines, names, found = {}, {}, LabelFile([], {}, {}, [])
    for number, line in enumerate(decoded(path, encoding).splitlines(), 1):
        if not line.strip():
            continue
        name, some = _parts(line)
        name = f" {name} "  # so that a name that is missing at an end is one too
        where = f"{path}, line {number}"
        if _OR in name:
            group = [one.strip() for one in name.split(_OR)]
            if some or _BELOW in name:
                raise ValueError(
                    f"{where}: labels of which at most one applies stand alone on "
                    f"their line, with {_OR.strip()!r} between them; got "
                    f"{line.strip()!r}."
                )
            found.exclusive.append(group)
            names |= dict.fromkeys(_checked(group, where, line))
            continue
        *above, name = _checked(
            [one.strip() for one in name.split(_BELOW)], where, line
        )
        if name in lines:
            raise ValueError(
                f"{where}: labels must all differ; {name!r} stands on line "
                f"{lines[name]} already."
            )
        lines[name] = number
        names |= dict.fromkeys([*above, name])
        for upper, lower in pairwise([*above, name]):
            if found.parents.setdefault(lower, upper) != upper:
                raise ValueError(
                    f"{where}: a label is below one other at most; {lower!r} is below "
                    f"{found.parents[lower]!r} already."
                )
        if some:
            found.words[name] = some
    if not names:
        raise ValueError(f"{path} has no label; one a line is expected.")
    return found._replace(names=list(names))


def _checked(names, where, line):
    """Return names of a line; raise if one is missing, or could not be shown."""
    for name in names:
        if not name or not name.isprintable():
            raise ValueError(
                f"{where}: a label must have a name, with words behind a colon if you "
                f"like; got {line.strip()!r}."
            )
    return names


def _parts(line):
    """Return (name, words): a colon within a word, as in "re:zero", is of the name."""
    name, colon, words = line.strip().partition(": ")
    if not colon:
        name = name.removesuffix(":")
    return name.strip(), words.strip()
