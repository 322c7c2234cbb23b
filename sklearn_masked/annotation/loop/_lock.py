"""One process a folder: a lock that goes with the process that holds it."""

import contextlib
import errno
import os
import weakref

from ...exceptions import FolderInUseError

# Windows locks bytes that nobody else may read: one far beyond the process id.
_LOCKED_BYTE = 1 << 30
_LOCKS = weakref.WeakSet()


def _forget_locks():
    """Let a forked process hold no lock: it would outlive the one that has it."""
    for lock in list(_LOCKS):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


class FolderLock:
    """Hold `folder/lock` until closed, or until the process ends, however it ends.

    Raises
    ------
    FolderInUseError
        If another process, or another loop of this one, holds it.
    ValueError
        If `folder/lock` is another file than that of a lock.
    """

    def __init__(self, folder):
        self.path = folder / "lock"
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(self._fd)
        except OSError as error:
            holder = _holder(self._fd)
            os.close(self._fd)
            raise _refusal(error, folder, holder) from None
        if _content(self._fd) and not _holder(self._fd):
            os.close(self._fd)
            raise ValueError(
                f"`folder` must have no file `lock` but that of a labeling loop; "
                f"{self.path} is another. Nothing was changed."
            )
        self._close = weakref.finalize(self, _release, self._fd, os.getpid())
        _LOCKS.add(self)
        # For the sentence that the second process gets; nothing depends on it.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, b"%d\n" % os.getpid())

    def close(self):
        """Let others have the folder."""
        self._close()


def _lock(descriptor):
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _release(descriptor, process):
    """Close a lock's file; unlock it, unless in a process that was forked since."""
    try:
        import fcntl
    except ImportError:  # Windows unlocks what is closed, and forks nothing
        pass
    else:
        # A process that was forked just now may hold the file for a moment yet.
        if os.getpid() == process:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _holder(descriptor):
    """Return " (process 123)" of who holds the lock, or nothing."""
    text = _content(descriptor)
    return f" (process {int(text)})" if text.isdigit() else ""


def _content(descriptor):
    os.lseek(descriptor, 0, os.SEEK_SET)
    # Zeros are what a loss of power may leave.
    return os.read(descriptor, 64).strip(b"\0\r\n ")


def _refusal(error, folder, holder):
    if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
        return FolderInUseError(
            f"`folder` {folder} is in use by another labeling loop{holder}; close that "
            "one first, or give each annotator a folder of their own. Nothing was "
            "changed."
        )
    return OSError(
        error.errno,
        f"`folder` must be where files can be locked, on a local disk; got {folder}: "
        f"{error.strerror}",
    )
