"""What went wrong, in the words of the command line."""

_THEIR_WORDS = {
    "`seeds` should have words that stand in the texts of the pool; got none for": (
        "No word of the label file stands in a text for"
    ),
    "`label_names`": "the labels",
    "`sample_ids`": "ids",
    "`X`": "the texts",
    "`folder`": "--folder",
}


def plain(error):
    """Say of what a person gave, rather than of what a program would.

    Parameters
    ----------
    error : Exception
        Warnings too.

    Returns
    -------
    str
    """
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    said = str(error)
    for ours, theirs in _THEIR_WORDS.items():
        said = said.replace(ours, theirs)
    return said


def count(n, what):
    """Return a number of things in words: "1 answer", "2 answers"."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
