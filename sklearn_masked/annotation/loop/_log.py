"""The answers on disk: a file that only grows, a checked line an entry.

A line is JSON that ends in a checksum of what stands before it, and counts from 0 in
`n`. A crash can cut the last line short, never another: what is wrong elsewhere was
not a crash, and is refused.
"""

import contextlib
import errno
import json
import os
import re
import warnings
import weakref
import zlib

from ._errors import AnswerNotSavedError, DamagedLogError, TornAnswerWarning
from ._files import sync_folder

_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}\n?\Z')
_AGAIN = {
    "answer": "give the answer",
    "batch": "ask for it",
    "release": "release the cells",
    "undo": "undo the answer",
}
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class AnswerLog:
    """Entries in memory and on disk, always the same ones.

    Parameters
    ----------
    path : Path
        The file; made if there is none. Nobody else may write to it meanwhile.

    Attributes
    ----------
    entries : list of dict
        All entries, in order.

    Raises
    ------
    DamagedLogError
        If a line other than the last is not as it was written.

    Warns
    -----
    TornAnswerWarning
        If the last line was cut short, and is now cut off.
    """

    def __init__(self, path):
        self.path = path
        self.entries, self._size = _read(path) if path.exists() else ([], 0)
        self._fd = os.open(path, _FLAGS, 0o666)
        self._close = weakref.finalize(self, os.close, self._fd)
        self._process = os.getpid()
        self._unsure = False  # whether the file may hold what memory does not
        self._repair()
        os.fsync(self._fd)
        sync_folder(path.parent)

    def close(self):
        """Close the file."""
        self._close()

    def check_open(self):
        """Refuse to go on in a forked process, or after the end."""
        if os.getpid() != self._process:
            raise RuntimeError(
                "A labeling loop belongs to the process that opened it; this one was "
                "forked from it, and can save nothing."
            )
        if not self._close.alive:
            raise ValueError("The labeling loop is closed; open its folder again.")

    def append(self, entries, what):
        """Write entries, and return once they would survive a loss of power.

        Parameters
        ----------
        entries : list of dict
            What to write.
        what : str
            What this is, for the sentence where it fails: "answer" or "batch".

        Raises
        ------
        AnswerNotSavedError
            If they could not be written; neither disk nor memory has changed then.
        """
        self._check_file(what)
        first, size = len(self.entries), self._size
        entries = [{"n": first + i, **entry} for i, entry in enumerate(entries)]
        data = b"".join(map(_line, entries))
        self._unsure = True
        try:
            written = os.write(self._fd, data)
            if written < len(data):
                raise OSError(
                    errno.ENOSPC, f"only {written} of {len(data)} bytes had room"
                )
            os.fsync(self._fd)
            self.entries += entries
            self._size += len(data)
        except BaseException as error:  # an interrupt too may come in between
            del self.entries[first:]
            self._size = size
            self._roll_back()
            if isinstance(error, OSError):
                raise self._not_saved(error, what) from error
            raise
        self._unsure = False

    def _check_file(self, what):
        """Refuse to write to a file that is not the one that was read."""
        self.check_open()
        if self._unsure:
            self._roll_back()
        if self._unsure:
            raise AnswerNotSavedError(
                f"The {what} was not saved: {self.path} can neither be written nor cut "
                f"back to its last whole line. Mend that, and {_AGAIN[what]} again; "
                "the answers before it are safe."
            )
        try:
            here, there = os.fstat(self._fd), os.stat(self.path)
            same = os.path.samestat(here, there) and here.st_size == self._size
        except OSError:
            same = False
        if not same:
            raise AnswerNotSavedError(
                f"The {what} was not saved: another program has changed {self.path}, "
                "moved it, or removed it. Put the file back as it was, and open the "
                "folder again."
            )

    def _roll_back(self):
        """Take back what may have been written after the last entry."""
        with contextlib.suppress(OSError):  # then the next append tries again
            if os.fstat(self._fd).st_size > self._size:
                os.ftruncate(self._fd, self._size)
            self._unsure = False
            os.fsync(self._fd)

    def _not_saved(self, error, what):
        reason = error.strerror or str(error)
        sentence = (
            f"The {what} was not saved: {self.path} could not be written ({reason}). "
            f"Nothing was changed; mend that, and {_AGAIN[what]} again."
        )
        refusal = AnswerNotSavedError(sentence)
        refusal.errno = error.errno
        return refusal

    def _repair(self):
        """Cut off a last line that a crash cut short, or end it if it is whole."""
        with open(self.path, "rb") as file:
            file.seek(self._size)
            torn = file.read()
        if not torn:
            return
        entry = _entry(torn, len(self.entries))
        if entry is not None:  # an editor took the last line break
            os.write(self._fd, b"\n")
            self.entries.append(entry)
            self._size += len(torn) + 1
            return
        where = self._set_aside(torn)
        os.ftruncate(self._fd, self._size)
        warnings.warn(
            f"The last line of {self.path}, line {len(self.entries) + 1}, was cut "
            f"short by a crash and is {where}: {torn[:200]!r}. It had not been "
            f"acknowledged; the {len(self.entries)} before it are whole.",
            TornAnswerWarning,
            stacklevel=5,
        )

    def _set_aside(self, torn):
        """Keep what is left of a line in a file beside; return what became of it."""
        aside = self.path.with_name("answers.torn")
        try:
            with open(aside, "ab") as file:
                file.write(torn + b"\n")
        except OSError:  # a full disk is no reason to stop: nobody relies on it
            return "removed"
        return f"set aside in {aside.name}"


def _line(entry):
    """Return an entry as a line with its checksum."""
    # ASCII alone, so that a line cut anywhere is still text.
    body = json.dumps(entry, separators=(",", ":"))[:-1].encode()
    return b'%s,"crc":"%08x"}\n' % (body, zlib.crc32(body))


def _entry(line, n):
    """Return the n-th entry, or None if the line is not as it was written."""
    found = _CHECKSUM.search(line)
    if not found or zlib.crc32(line[: found.start()]) != int(found[1], 16):
        return None
    entry = json.loads(line[: found.start()] + b"}")
    return entry if entry.get("n") == n else None


def _read(path):
    """Return the entries of all lines that end, and their size in bytes."""
    entries, size = [], 0
    with open(path, "rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            entry = _entry(line, len(entries))
            if entry is None:
                raise DamagedLogError(
                    f"{path}, line {len(entries) + 1}, is not as it was written: its "
                    "checksum or its number is wrong, and a crash damages no line but "
                    "the last. Restore the file from a copy, or remove what was "
                    "added; nothing was changed."
                )
            entries.append(entry)
            size += len(line)
    return entries, size
