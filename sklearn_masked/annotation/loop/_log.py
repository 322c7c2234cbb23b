"""The answers on disk: a file that only grows, a checked line an entry.

A line is JSON that ends in a checksum of what stands before it, and counts from 0 in
`n`. A crash can cut the last line short, never another: what is wrong elsewhere was
not a crash, and is refused. So is a log that lacks lines of its checkpoint. Blank
lines, a byte order mark, and line ends of Windows change no entry, and are accepted.
"""

import contextlib
import errno
import io
import json
import os
import re
import warnings
import weakref
import zlib
from typing import NamedTuple

from ..._files import sync_folder
from ...exceptions import AnswerNotSavedError, DamagedLogError, TornAnswerWarning
from ._checkpoint import Checkpoint, read_checkpoint, write_checkpoint

_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}\Z')
_BOM = b"\xef\xbb\xbf"
_REMEDY = (
    "Restore the file from a copy; or keep the lines that are whole by "
    "`LabelingLoop.salvage(folder)`, which says what is lost. Nothing was changed."
)
_AGAIN = {
    "answer": "give the answer",
    "batch": "ask for it",
    "change": "ask for it",
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
    is_new : bool
        Whether there may be no file yet, or an empty one.

    Attributes
    ----------
    entries : list of dict
        All entries, in order.

    Raises
    ------
    DamagedLogError
        If a line other than the last is not as it was written, or lines that were
        saved are missing.

    Warns
    -----
    TornAnswerWarning
        If the last line was cut short, and is now cut off.
    """

    def __init__(self, path, is_new):
        self.path = path
        saved = read_checkpoint(path)
        found = _read(path, saved.n if saved else 0)
        _check_complete(path, found, saved, is_new)
        self.entries, self._size, self._crc = found.entries, found.size, found.crc
        self._fd = os.open(path, _FLAGS, 0o666)
        self._close = weakref.finalize(self, os.close, self._fd)
        self._process = os.getpid()
        self._unsure = False  # whether the file may hold what memory does not
        self._repair(found.rest, found.is_whole)
        os.fsync(self._fd)
        sync_folder(path.parent)
        self._note(sync=saved is None)

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
        first, size, crc = len(self.entries), self._size, self._crc
        entries = [{"n": first + i, **entry} for i, entry in enumerate(entries)]
        data = b"".join(map(line_of, entries))
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
            self._crc = zlib.crc32(data, self._crc)
        except BaseException as error:  # an interrupt too may come in between
            del self.entries[first:]
            self._size, self._crc = size, crc
            self._roll_back()
            if isinstance(error, OSError):
                raise self._not_saved(error, what) from error
            raise
        self._unsure = False
        self._note()

    def _note(self, sync=False):
        """Write the checkpoint of what is on disk."""
        write_checkpoint(self.path, Checkpoint(len(self.entries), self._crc), sync)

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

    def _repair(self, rest, is_whole):
        """Cut off a last line that a crash cut short, or end it if it is whole."""
        if not rest:
            return
        if is_whole:  # an editor took the last line break
            os.write(self._fd, b"\n")
            self._size += len(rest) + 1
            return
        where = self._set_aside(rest)
        os.ftruncate(self._fd, self._size)
        warnings.warn(
            f"The last line of {self.path}, line {len(self.entries) + 1}, was cut "
            f"short by a crash and is {where}: {rest[:200]!r}. It had not been "
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


def line_of(entry):
    """Return an entry as a line with its checksum."""
    # ASCII alone, so that a line cut anywhere is still text.
    body = json.dumps(entry, separators=(",", ":"))[:-1].encode()
    return b'%s,"crc":"%08x"}\n' % (body, zlib.crc32(body))


def entry_of(line):
    """Return the entry of a line, or None if it is not as it was written."""
    found = _CHECKSUM.search(line)
    if not found or zlib.crc32(line[: found.start()]) != int(found[1], 16):
        return None
    return json.loads(line[: found.start()] + b"}")


def checksum_of(lines):
    """Return the checksum of lines of a log."""
    crc = 0
    for line in lines:
        crc = zlib.crc32(line, crc)
    return crc


def bare(line):
    """Return a line without what editors add: no entry has that at either end."""
    return line.removeprefix(_BOM).strip()


class _Found(NamedTuple):
    """What is in the file of a log."""

    entries: list
    size: int  # bytes of the lines that end
    crc: int  # of the lines of all entries
    crc_saved: int  # of those that the checkpoint counts
    rest: bytes  # what follows the last line break
    is_whole: bool  # whether that is an entry, or blank


def _read(path, n_saved):
    """Return what is in a file; the checkpoint counts n_saved entries."""
    entries, size, crc, crc_saved, rest, is_whole = [], 0, 0, 0, b"", True
    with open(path, "rb") if path.exists() else io.BytesIO() as file:
        for number, line in enumerate(file, 1):
            text = bare(line)
            entry = entry_of(text) if text else None
            is_whole = not text or (
                entry is not None and entry.get("n") == len(entries)
            )
            if line.endswith(b"\n"):
                if not is_whole:
                    raise DamagedLogError(
                        f"{path}, line {number}, is not as it was written: its "
                        "checksum or its number is wrong, and a crash damages no line "
                        f"but the last. {_REMEDY}"
                    )
                size += len(line)
            else:
                rest = line
            if text and is_whole:
                entries.append(entry)
                crc = zlib.crc32(text + b"\n", crc)
                if len(entries) == n_saved:
                    crc_saved = crc
    return _Found(entries, size, crc, crc_saved, rest, is_whole)


def _check_complete(path, found, saved, is_new):
    """Refuse a log that lacks entries that were saved."""
    n = len(found.entries)
    if saved is None:
        if n or is_new:
            return
        had = "settings.json beside it is that of a loop that has begun"
    elif n < saved.n:
        had = f"{saved.n} were saved there"
    elif saved.n and found.crc_saved != saved.crc:
        had = f"the {saved.n} that were saved there are not those it begins with"
    else:
        return
    has = f"has {n or 'no'} {'entry' if n == 1 else 'entries'}"
    if not path.exists():
        has = "is missing"
    raise DamagedLogError(f"{path} {has}, and {had}. {_REMEDY}")
