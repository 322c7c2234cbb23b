"""Keep what is whole of a damaged log, and say what is lost."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._files import keep_copy, write_atomically
from ._checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from ._lock import FolderLock
from ._log import bare, checksum_of, entry_of, line_of

# What a damaged line may still tell: each field is a string or an integer.
_FIELD = rb'"%s":("(?:[^"\\]|\\.)*"|\d+)'
_SAMPLE, _LABEL, _UNDO = (
    re.compile(_FIELD % name) for name in (b"sample", b"label", b"undo")
)
_SHOWN = 10


@dataclass(frozen=True)
class SalvageReport:
    """What was kept of a damaged file of answers, and what was lost: prints as text.

    Attributes
    ----------
    n_kept : int
        Entries that are whole: answers, skips, undos and batches.
    n_lost : int
        Entries that are not.
    lines : list of int
        Numbers of the damaged lines, from 1.
    cells : list of (sample, label)
        Cells that damaged lines name. An answer to each of them, or an undo, is lost;
        an earlier answer may stand again.
    n_unknown : int
        Lost entries that name no cell: batches, and those of which too little is left.
    copy : Path or None
        The file as it was; None if it was not written anew.

    See Also
    --------
    LabelingLoop.salvage : Returns it.
    """

    n_kept: int
    n_lost: int
    lines: list[Any]
    cells: list[Any]
    n_unknown: int
    copy: Path | None

    def __str__(self) -> str:
        said = [f"{_count(self.n_kept)} kept, {self.n_lost} lost."]
        if self.lines:
            said.append(f"Damaged lines: {_some(self.lines)}.")
        if self.cells:
            cells = [f"{label!r} of sample {sample!r}" for sample, label in self.cells]
            said.append(f"An answer or an undo is lost for: {_some(cells)}.")
        if self.n_unknown:
            said.append(
                f"Of {_count(self.n_unknown)} nothing tells which cell was concerned: "
                "compare with another copy, such as an export."
            )
        if self.copy is not None:
            said.append(f"The file as it was: {self.copy}.")
        return "\n".join(said)


def _count(n):
    return f"{n} {'entry' if n == 1 else 'entries'}"


def _some(items):
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(map(str, items[:_SHOWN])) + more


def salvage(folder):
    """Write the whole lines of a log anew; see :meth:`LabelingLoop.salvage`."""
    log = folder / "answers.jsonl"
    if not (log.exists() or (folder / "settings.json").exists()):
        raise FileNotFoundError(
            f"`folder` must be that of a labeling loop; {folder} has neither "
            "answers.jsonl nor settings.json."
        )
    lock = FolderLock(folder)
    try:
        return _salvage(folder, log)
    finally:
        lock.close()


def _salvage(folder, log):
    content = log.read_bytes() if log.exists() else b""
    kept, damaged = _sort_out(re.split(rb"\r\n|\n|\r", content))
    lines = [line_of({**entry, "n": n}) for n, entry in enumerate(kept)]
    saved = read_checkpoint(log) or Checkpoint(len(kept), checksum_of(lines))
    numbers = {entry["n"] for entry in kept}
    # A damaged line may be one that was never saved: torn by a crash, or another's.
    n_all = max(saved.n, max(numbers, default=-1) + 1)
    n_lost = max(n_all - len(numbers), len(damaged))
    cells = _concerned(damaged.values(), kept)
    copy = None
    there = (bare(line) for line in content.split(b"\n"))
    if lines != [line + b"\n" for line in there if line]:
        copy = keep_copy(log, "answers.damaged.jsonl")
        write_atomically(log, lambda file: file.writelines(lines))
    if copy or n_lost or checksum_of(lines[: saved.n]) != saved.crc:
        # What was computed from the file as it was is no longer known to be of it.
        for name in ("model.json", "written.json"):
            (folder / name).unlink(missing_ok=True)
    write_checkpoint(log, Checkpoint(len(lines), checksum_of(lines)), sync=True)
    return SalvageReport(
        n_kept=len(kept),
        n_lost=n_lost,
        lines=list(damaged),
        cells=cells,
        n_unknown=n_lost - len(cells),
        copy=copy,
    )


def _sort_out(lines):
    """Return the entries that are whole, in their order, and damaged lines by number.

    A line that stands there twice is one entry.
    """
    kept, damaged, known = [], {}, set()
    for number, line in enumerate(map(bare, lines), 1):
        if not line:
            continue
        entry = entry_of(line)
        if entry is None or not isinstance(entry.get("n"), int):
            damaged[number] = line
        elif line not in known:
            kept.append(entry)
        known.add(line)
    return sorted(kept, key=lambda entry: entry["n"]), damaged


def _concerned(damaged, kept):
    """Return the cells that damaged lines name, one a line at most."""
    by_id = {entry["id"]: entry for entry in kept if "sample" in entry}
    cells = []
    for line in damaged:
        undone = by_id.get(_field(_UNDO, line))
        if undone is not None:
            cells.append((undone["sample"], undone["label"]))
            continue
        cell = _field(_SAMPLE, line), _field(_LABEL, line)
        if None not in cell:
            cells.append(cell)
    return cells


def _field(pattern, line):
    """Return the value of a field of a damaged line, or None."""
    found = pattern.search(line)
    if found is None:
        return None
    try:
        return json.loads(found[1])
    except ValueError:
        return None
