"""What the program says, in the words of the command line."""

import errno
import os
import sys

_THEIR_WORDS = {
    "`seeds` should have words that stand in the texts of the pool; got none for": (
        "No word of the label file stands in a text for"
    ),
    "`LabelingLoop.salvage(folder)`": "--repair",
    "`LabelingLoop.rename_label` and `drop_label`": "--rename OLD=NEW and --drop LABEL",
    "Pass values={...} for": "--values names",
    "get the fallback for a threshold, fallback='auto'": "share a threshold",
    "(few cells)": "(few answers)",
    "`label_names`": "the labels",
    "`sample_ids`": "ids",
    "`X`": "the texts",
    "`folder`": "--folder",
}


def plain(error: object) -> str:
    """Say of what a person gave, rather than of what a program would.

    Parameters
    ----------
    error : Exception
        Warnings too.

    Returns
    -------
    str
    """
    said = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        said = error.strerror  # without its number
    for ours, theirs in _THEIR_WORDS.items():
        said = said.replace(ours, theirs)
    return said


def count(n: int, what: str) -> str:
    """Return a number of things in words: "1 answer", "2 answers"."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


class Refused(Exception):
    """What cannot be done, in a sentence for the person who asked for it."""


def note(message: object, *_: object) -> None:
    """Print what to know beside what was asked for; for `warnings.showwarning` too."""
    print(f"note: {plain(message)}", file=sys.stderr, flush=True)


def say(line: str) -> None:
    """Print a line, if there is still somebody to read it."""
    try:
        print(line, flush=True)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        # The terminal is gone, and what is still to be written to it has no reader.
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(null, stream.fileno())
