"""Files that are there as a whole or not at all, after a loss of power too."""

import contextlib
import errno
import json
import os

# What file systems say, shares on a network for one, that sync files alone.
_NOT_FOR_FOLDERS = errno.EINVAL, errno.EBADF, errno.ENOTSUP


def write_atomically(path, write):
    """Replace a file by what ``write(file)`` writes, all of it or nothing.

    Raises
    ------
    OSError
        If it could not be written, as when the disk is full; with a sentence.
    """
    # One name a file: what a crash leaves behind is overwritten next time.
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise OSError(
                error.errno,
                f"{path} could not be written ({error.strerror or error}); what was "
                "there is as it was",
            ) from error
        raise


def read_json(path):
    """Return what a file of JSON holds, or None where there is none that can be read.

    For what can be computed again: the settings are read with more care.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def sync_folder(folder):
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


def make_folder(folder):
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
