"""Read the labels of a session: a label a line, with words that point to it."""

from ._texts import decoded


def read_labels(path):
    """Read names of labels, and the words that point to them.

    A line is a name, or ``name: some words``; blank lines are passed over.

    Parameters
    ----------
    path : Path
        A file of text, UTF-8.

    Returns
    -------
    names : list of str
        In the order of the file.
    words : dict of str to str
        The words of those labels that have some.

    Raises
    ------
    ValueError
        If a name is missing, stands there twice or could not be shown; with the line.
    OSError
        If the file cannot be opened.
    """
    lines, words = {}, {}
    for number, line in enumerate(decoded(path).splitlines(), 1):
        if not line.strip():
            continue
        name, some = _parts(line)
        if not name or not name.isprintable():
            raise ValueError(
                f"{path}, line {number}: a label must have a name, with words behind "
                f"a colon if you like; got {line.strip()!r}."
            )
        if name in lines:
            raise ValueError(
                f"{path}, line {number}: labels must all differ; {name!r} stands on "
                f"line {lines[name]} already."
            )
        lines[name] = number
        if some:
            words[name] = some
    if not lines:
        raise ValueError(f"{path} has no label; one a line is expected.")
    return list(lines), words


def _parts(line):
    """Return (name, words): a colon within a word, as in "re:zero", is of the name."""
    name, colon, words = line.strip().partition(": ")
    if not colon:
        name = name.removesuffix(":")
    return name.strip(), words.strip()
