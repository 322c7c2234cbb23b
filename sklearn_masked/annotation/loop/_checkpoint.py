"""A record beside the log of how long it was, and of its checksum.

A log that is missing, emptied or shortened to whole lines looks sound by itself. The
record is written after the log is on disk, so that after a crash it may lag behind the
log, and never runs ahead of it.
"""

import contextlib
import os
import re
from typing import NamedTuple

# The same width always: the record is overwritten in place, by one write.
_RECORD = '{"n":%12d,"crc":"%08x"}\n'
_PATTERN = re.compile(rb'\{"n": *(\d+),"crc":"([0-9a-f]{8})"\}\s*\Z')
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)


class Checkpoint(NamedTuple):
    """How many entries a log had, and the checksum of their lines."""

    n: int
    crc: int


def checkpoint_path(log):
    """Return the path of the record of a log."""
    return log.with_suffix(".check")


def read_checkpoint(log):
    """Return the checkpoint of a log; None where there is none that can be read."""
    try:
        found = _PATTERN.match(checkpoint_path(log).read_bytes())
    except OSError:
        return None
    return found and Checkpoint(int(found[1]), int(found[2], 16))


def write_checkpoint(log, checkpoint, sync=False):
    """Write a checkpoint; one that cannot be written is left as it was.

    Parameters
    ----------
    sync : bool, default=False
        Whether it must outlast a loss of power. Afterwards a stale one is no harm.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(checkpoint_path(log), _FLAGS, 0o666)
        try:
            os.write(descriptor, (_RECORD % checkpoint).encode())
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
