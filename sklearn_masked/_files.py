"""Write files as a whole or not at all, also across a loss of power."""

import contextlib
import errno
import itertools
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# What file systems say, shares on a network for one, that sync files alone.
_NOT_FOR_FOLDERS = errno.EINVAL, errno.EBADF, errno.ENOTSUP


def write_atomically(path: Path, write: Callable[..., Any]) -> None:
    """Replace a file by what ``write(file)`` writes, all of it or nothing.

    A link is followed, and the file that it names is replaced. The temporary file
    beside it, ``NAME.PID.part``, never takes the place of one that is there.
    """
    path = Path(path)
    part = None
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            # A device or a pipe would be replaced by a file.
            kind = errno.EISDIR if target.is_dir() else errno.EINVAL
            raise OSError(kind, "it is a folder or a device, not a file")
        part, file = _new_part(target)
        with file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):  # there is none, or modes are unknown
            shutil.copymode(target, part)
        os.replace(part, target)
        sync_folder(target.parent)
    except BaseException as error:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink()
        if isinstance(error, OSError):
            raise OSError(
                error.errno,
                f"{path} could not be written ({error.strerror or error}); what was "
                "there is as it was",
            ) from error
        raise


def _new_part(path):
    """Return a path beside another that was not there, and the file opened there."""
    for number in itertools.count():
        extra = f".{number}" if number else ""
        part = path.with_name(f"{path.name}.{os.getpid()}{extra}.part")
        with contextlib.suppress(FileExistsError):
            return part, open(part, "xb")


def remove_parts(folder: Path, names: Sequence[str]) -> None:
    """Remove what crashed processes left of files that nobody else writes to."""
    for name in names:
        for part in folder.glob(f"{name}.*.part"):
            with contextlib.suppress(OSError):
                part.unlink()


def keep_copy(path: Path, name: str) -> Path:
    """Copy a file to a free name beside it, and return the path of the copy."""
    copy = free_path(path.with_name(name))
    shutil.copyfile(path, copy)
    return copy


def free_path(path: Path) -> Path:
    """Return a path, or the first of path-2, path-3 and so on that is free."""
    stem, suffix = path.stem, path.suffix
    for number in itertools.count(2):
        if not os.path.lexists(path):
            return path
        path = path.with_name(f"{stem}-{number}{suffix}")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, or None if there is none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def sync_folder(folder: Path) -> None:
    """Make the names of new files in a folder last."""
    if os.name == "nt":  # a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, so that they last."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(
            f"`folder` accepts a folder, new or existing; {folder} is a file."
        ) from None
    sync_folder(folder.parent)
