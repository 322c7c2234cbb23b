"""Kill a labeling loop at random points, again and again, and count what is lost.

    python benchmarks/loop_crash.py --kills 200

Killed. A child process opens the loop of a folder and works: it takes batches, says
yes, no or skip, one answer or several at a time, or a screen of answers that belong
together, corrects, undoes, and fits. It tells
its parent of each step before it begins and once the method has returned. The parent
kills it (SIGKILL) after a random time, opening included; reads the file of answers by
code of its own, and compares it with what it was told, entry by entry; and starts the
next child on the same folder, which must be handed the cells that were left open.

Full disk. To every third child a limit on the size of its files is set, at a random
byte of the next lines: the system cuts a write short or refuses it, of answers and
models alike. When it is met, the child lifts it, and repeats the step.

Slow disk. Another third writes in two pieces with a pause between, so that kills fall
within a line.

Two processes. While a child works, another process tries to open its folder now and
then; and in a second part, several processes that all want to answer open one folder
at the same time, over and over, and some of them are killed. The parent holds the
folder until each of them has tried, so that they meet for certain.

A kill leaves written pages to the system: this shows what a dying process loses, not
what a dying machine does. For that, each answer is fsync'ed before it counts, which
the tests watch.
"""

import argparse
import json
import os
import random
import resource
import select
import signal
import tempfile
import time
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.dummy import DummyClassifier

from sklearn_masked import MaskedMultiOutputClassifier
from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.annotation.loop import _log
from sklearn_masked.exceptions import (
    AnswerNotSavedError,
    FolderInUseError,
    ModelNotSavedWarning,
    TornAnswerWarning,
)

X = np.arange(4000.0)[:, None]
NAMES = [f"category {j}" for j in range(10)]
# Longest time that a child lives after its first answer, in seconds.
LONGEST = 0.08
# The same of one that is killed while it opens the loop.
OPENING = 0.02


def open_loop(folder):
    estimator = MaskedMultiOutputClassifier(DummyClassifier())
    return LabelingLoop(
        estimator, X, folder=folder, label_names=NAMES, strategy="random"
    )


def truth(row, col):
    """Return what a child says of a cell, so that anybody can check it."""
    return (1, 0, None)[(row * 7 + col * 3) % 3]


class SlowOs:
    """The functions of `os` on a disk that takes its time, between bytes too."""

    def __getattr__(self, name):
        return getattr(os, name)

    def write(self, descriptor, data):
        """Write in two pieces."""
        at = random.randrange(len(data))
        written = os.write(descriptor, data[:at])
        time.sleep(0.005)
        return written + os.write(descriptor, data[at:])


class Child:
    """What runs in the process that will be killed."""

    def __init__(self, folder, pipe, trouble):
        self.folder, self.pipe, self.trouble = folder, pipe, trouble
        self.random = random.Random(os.getpid())

    def tell(self, *words):
        """Tell the parent."""
        os.write(self.pipe, json.dumps(words).encode() + b"\n")

    def run(self):
        """Open the loop and work, for as long as it lasts."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.loop = open_loop(self.folder)
        for one in caught:
            torn = one.category is TornAnswerWarning
            self.tell("torn" if torn else f"failed: {one.message}")
        if self.trouble == "full disk":  # room for a few more lines or less
            size = (self.folder / "answers.jsonl").stat().st_size
            self.set_limit(size + self.random.randrange(3000))
        elif self.trouble == "slow disk":
            _log.os = SlowOs()
        while True:
            if self.random.random() < 0.5:
                batch = self.step("batch", self.loop.next_batch, 20)
            else:
                batch = self.step("batch", self.screens)
            self.work_on(batch)

    def screens(self):
        """Take 5 samples with 4 labels each, or what is left of a batch."""
        return self.loop.next_screens(
            20 if self.loop.report().n_open else 5, max_labels=4
        )

    def work_on(self, batch):
        """Answer the cells of a batch."""
        cells = list(
            zip(batch["sample"].tolist(), batch["label"].tolist(), strict=True)
        )
        self.tell("got", cells)
        while cells:
            if self.random.random() < 0.3:  # a screen, taken back now and then
                screen = [cell for cell in cells if cell[0] == cells[0][0]]
                self.answer(screen, together=True)
                if self.random.random() < 0.3:
                    self.step("undo", self.loop.undo)
                    self.answer(screen, together=True)
                cells = [cell for cell in cells if cell not in screen]
                continue
            if self.random.random() < 0.1:  # several in one call
                some, cells = cells[:3], cells[3:]
                self.answer(some)
                continue
            cell, cells = cells[0], cells[1:]
            if self.random.random() < 0.1:  # a slip: corrected at once
                self.answer([cell], 1 - (truth(*cell) or 0))
            elif self.random.random() < 0.1:
                self.answer([cell], 0)
                self.step("undo", self.loop.undo)
            self.answer([cell])
            if self.random.random() < 0.1:
                self.fit()

    def answer(self, cells, value="the truth", together=False):
        """Answer cells in one call."""
        values = [truth(*cell) if value == "the truth" else value for cell in cells]
        given = [[*cell, one] for cell, one in zip(cells, values, strict=True)]
        rows, cols = zip(*cells, strict=True)
        answer = partial(self.loop.answer, together=together)
        name = "screen" if together and len(given) > 1 else "answer"
        self.step(name, answer, rows, cols, values, told=given)

    def step(self, name, function, *args, told=None):
        """Call a function, again if the disk was full, and tell of it."""
        self.tell("try", name, told)
        try:
            result = function(*args)
        except AnswerNotSavedError:
            self.tell("full")
            self.set_limit(resource.RLIM_INFINITY)
            result = function(*args)
        self.tell("done")
        return result

    def fit(self):
        """Fit and save a model, on a disk that may be full by then."""
        if self.trouble == "full disk":
            self.set_limit(self.random.randrange(10_000))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self.loop.fit()
            except ValueError:  # no yes and no no so far
                return
            finally:
                self.set_limit(resource.RLIM_INFINITY)
        for one in caught:
            not_saved = one.category is ModelNotSavedWarning
            self.tell("model not saved" if not_saved else f"failed: {one.message}")

    def set_limit(self, size):
        """Let the system refuse to write beyond a size of a file."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def start(work):
    """Fork a child that runs work(pipe); return its id, and the end to read from."""
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        os.close(write_end)
        return child, read_end
    try:
        os.close(read_end)
        work(write_end)
    except BaseException as error:
        os.write(write_end, json.dumps([f"failed: {error!r}"]).encode() + b"\n")
    finally:
        os._exit(1)


def listen(pipe, until, word=None, times=1):
    """Return what a child says until some time, a word so many times, or its end."""
    heard = b""
    while (left := until - time.monotonic()) > 0 and (
        word is None or heard.count(word) < times
    ):
        if select.select([pipe], [], [], left)[0]:
            some = os.read(pipe, 1 << 16)
            if not some:
                break
            heard += some
    return heard


def told(heard):
    """Return what a child said, whole lines."""
    lines = [json.loads(line) for line in heard.split(b"\n")[:-1]]
    for line in lines:
        if line[0].startswith("failed"):
            raise SystemExit(f"a child {line[0]}")
    return lines


def read_apart(path):
    """Return (steps of a file of answers, bytes of a torn line), not by the package."""
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if content.endswith(b'"}'):  # a line up to its line break is whole
        whole = content
    steps, by_id = [], {}
    for n, line in enumerate(whole.splitlines()):
        body, checksum = line[:-2].rsplit(b',"crc":"', 1)
        entry = json.loads(line)
        if zlib.crc32(body) != int(checksum, 16) or entry["n"] != n:
            raise SystemExit(f"{path}, line {n + 1}, is damaged")
        if "undo" in entry:
            steps.append(["undo", by_id[entry["undo"]]])
        elif "asked" in entry:
            cells = [[row, NAMES.index(name)] for row, name, *_ in entry["asked"]]
            steps.append(["batch", cells])
        else:
            cell = [entry["sample"], NAMES.index(entry["label"])]
            step = ["answer", [*cell, entry["value"]], entry["annotator"]]
            if entry["id"] in by_id:
                raise SystemExit(f"{path}, line {n + 1}, has an id for the second time")
            by_id[entry["id"]] = step
            steps.append(step)
    return steps, len(content) - len(whole)


class Expected:
    """What the parent knows of a folder from what it was told."""

    def __init__(self):
        self.steps = []  # what must be in the file, in this order
        self.given = []  # answers that stand, (row, col, value)
        self.screens = []  # and which of them were given together, a number each
        self.batch = []

    def take(self, step, screen=None):
        """Take note of a step that is in the file."""
        self.steps.append(step)
        if step[0] == "answer":
            self.given.append(step)
            self.screens.append(len(self.steps) if screen is None else screen)
        elif step[0] == "undo":  # of the last that stand
            assert self.given.pop() == step[1]
            self.screens.pop()
        else:
            self.batch = step[1]

    def standing(self):
        """Return the value of each cell by the answers that stand."""
        return {(row, col): value for _, (row, col, value), _ in self.given}

    def open_cells(self):
        """Return the cells of the last batch that wait for an answer."""
        standing = self.standing()
        return [cell for cell in self.batch if tuple(cell) not in standing]

    def may_follow(self, step):
        """Return the entries that a step may have left in the file."""
        name, given = step
        if name in ("answer", "screen"):
            return [["answer", one, None] for one in given]
        if name == "undo":
            n = self.screens.count(self.screens[-1])
            return [["undo", one] for one in reversed(self.given[-n:])]
        return []


class Judge:
    """Compare what children told with what is in the file, and count."""

    def __init__(self, folder):
        self.log = folder / "answers.jsonl"
        self.expected = Expected()
        self.trying = None  # what a child had begun when it was killed
        self.count = dict.fromkeys(
            (
                "killed",
                "  while opening",
                "  within a line",
                "  between saving and telling",
                "torn lines set aside",
                "full disks met",
                "models not saved for it",
                "second processes refused",
                "second processes let in",
                "steps acknowledged",
                "  of these found",
                "lost",
                "doubled or not told of",
                "batches not asked again",
            ),
            0,
        )

    def judge(self, lines):
        """Go through what a child told, and read the file."""
        count, expected = self.count, self.expected
        found, n_torn = read_apart(self.log)
        at, self.trying, opened = len(expected.steps), None, False
        for kind, *rest in lines:
            if kind == "try":
                self.trying, opened = rest, True
            elif kind == "done" and self.trying[0] != "batch":
                at = self.acknowledged(found, at)
            elif kind == "got":
                at = self.got(rest[0], found, at)
            count["torn lines set aside"] += kind == "torn"
            count["full disks met"] += kind == "full"
            count["models not saved for it"] += kind == "model not saved"
        at = self.perhaps_saved(at, found)
        count["killed"] += 1
        count["  while opening"] += not opened
        count["  within a line"] += n_torn > 0
        count["doubled or not told of"] += len(found) - at
        if len(found) != at or found[:at] != expected.steps:
            raise SystemExit(
                f"the file is not what was told: {count}\nin the file {found[-6:]}\n"
                f"expected {expected.steps[-6:]}\nthe child said {lines[-6:]}"
            )

    def perhaps_saved(self, at, found):
        """Take note of what was begun, not acknowledged, and is in the file."""
        if self.trying is None:
            return at
        name, given = self.trying
        n_before = at
        if name == "batch":
            if at < len(found) and not self.expected.open_cells():
                self.expected.take(found[at])
                at += 1
        else:
            possible = self.expected.may_follow(self.trying)
            screen = -len(self.expected.steps) if name == "screen" else None
            while at < len(found) and possible and found[at] == possible[0]:
                self.expected.take(possible.pop(0), screen)
                at += 1
        self.count["  between saving and telling"] += at > n_before
        return at

    def acknowledged(self, found, at):
        """Look for a step that was acknowledged."""
        step, self.trying = self.trying, None
        screen = -len(self.expected.steps) if step[0] == "screen" else None
        for entry in self.expected.may_follow(step):
            self.count["steps acknowledged"] += 1
            here = at < len(found) and found[at] == entry
            self.count["  of these found" if here else "lost"] += 1
            self.expected.take(entry, screen)
            at += here
        return at

    def got(self, cells, found, at):
        """Look at a batch: what was open, or a new one that is in the file."""
        left, self.trying = self.expected.open_cells(), None
        if left:
            again = sorted(cells) == sorted(left)
            self.count["batches not asked again"] += not again
            return at
        return self.acknowledged_batch(cells, found, at)

    def acknowledged_batch(self, cells, found, at):
        """Look for a new batch."""
        self.count["steps acknowledged"] += 1
        here = at < len(found) and found[at] == ["batch", cells]
        self.count["  of these found" if here else "lost"] += 1
        self.expected.take(["batch", cells])
        return at + here


def is_refused(folder):
    """Tell whether a second process is refused and leaves the folder as it is."""

    def seen(name):
        return (folder / name).read_bytes() if (folder / name).exists() else None

    names = "settings.json", "lock"
    before = [seen(name) for name in names]
    try:
        open_loop(folder).close()
    except FolderInUseError:
        return [seen(name) for name in names] == before
    return False


def kill_many(folder, n_kills, seed, n_steps=1):
    """Kill n_kills children, and return what became of their answers.

    Four of five have told of n_steps steps when they are killed, others of none.
    """
    folder, chance = Path(folder), random.Random(seed)
    open_loop(folder).close()
    judge = Judge(folder)
    for turn in range(n_kills):
        trouble = (None, "full disk", "slow disk")[turn % 3]
        child, pipe = start(lambda end, t=trouble: Child(folder, end, t).run())
        heard = b""
        if chance.random() < 0.8:  # let it open the loop; else kill it at once or so
            heard = listen(pipe, time.monotonic() + 60, b"done", n_steps)
        if heard and turn % 5 == 0:
            refused = is_refused(folder)
            judge.count["second processes refused"] += refused
            judge.count["second processes let in"] += not refused
        longest = LONGEST if heard else OPENING
        heard += listen(pipe, time.monotonic() + chance.random() * longest)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        heard += listen(pipe, time.monotonic() + 60)
        os.close(pipe)
        judge.judge(told(heard))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TornAnswerWarning)
        loop = open_loop(folder)
    with loop:
        cells = loop.labels.cells()
        same = zip(cells.rows.tolist(), cells.cols.tolist(), strict=True)
        same = dict(zip(same, cells.values.tolist(), strict=True))
    standing = judge.expected.standing()
    decided = {cell: value for cell, value in standing.items() if value is not None}
    judge.count["cells labeled in the end"] = len(same)
    judge.count["  of these not as answered"] = len(same.items() ^ decided.items())
    return judge.count


def contend(folder, who, n_answers, end):
    """Answer n_answers cells of one's own, as soon and as often as one is let in."""
    row, refused = 0, 0
    while row < n_answers:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TornAnswerWarning)
                loop = open_loop(folder)
        except FolderInUseError:
            refused += 1
            if refused == 1:
                os.write(end, b'["refused"]\n')
            time.sleep(0.002)
            continue
        with loop:
            began = time.monotonic_ns()
            known = {one.sample for one in loop.answers() if one.annotator == str(who)}
            for _ in range(3):
                while row in known:
                    row += 1
                if row < n_answers:
                    loop.answer(row, who, 1, annotator=str(who))
                    words = ["answer", row, who, began, time.monotonic_ns(), refused]
                    os.write(end, json.dumps(words).encode() + b"\n")
                    row, refused = row + 1, 0


def crowd(folder, n_rounds, seed, n_processes=4, n_answers=12):
    """Let several processes answer in one folder at once, and kill one a round."""
    chance = random.Random(seed)
    count = dict.fromkeys(
        ("processes at once", "killed of them", "times refused", "answers told of"), 0
    )
    count |= dict.fromkeys(("lost", "doubled", "two in the folder at once"), 0)
    for turn in range(n_rounds):
        here = Path(folder) / str(turn)
        here.mkdir()
        with open_loop(here):
            children = [
                start(partial(contend, here, who, n_answers))
                for who in range(n_processes)
            ]
            # Each has tried to come in while this process was inside.
            heard = [listen(pipe, time.monotonic() + 60, b"\n") for _, pipe in children]
            let_in = sum(told(one)[0] != ["refused"] for one in heard)
            count["two in the folder at once"] += let_in
        time.sleep(chance.random() * 0.1)
        os.kill(children[0][0], signal.SIGKILL)
        count["killed of them"] += 1
        lines = []
        for (child, pipe), some in zip(children, heard, strict=True):
            lines += told(some + listen(pipe, time.monotonic() + 60))
            os.close(pipe)
            os.waitpid(child, 0)
        lines = [line for line in lines if line != ["refused"]]
        count["processes at once"] = n_processes
        count["times refused"] += sum(line[-1] for line in lines)
        count["answers told of"] += len(lines)
        steps, _ = read_apart(here / "answers.jsonl")
        found = [(*step[1][:2], step[2]) for step in steps]
        count["doubled"] += len(found) - len(set(found))
        count["lost"] += len({(r, c, str(c)) for _, r, c, *_ in lines} - set(found))
        wanted = {
            (r, c, str(c)) for c in range(1, n_processes) for r in range(n_answers)
        }
        count["lost"] += len(wanted - set(found))
        stays = sorted((line[3], line[4], line[2]) for line in lines)
        pairs = zip(stays[:-1], stays[1:], strict=True)
        count["two in the folder at once"] += sum(
            one[2] != other[2] and other[0] < one[1] for one, other in pairs
        )
    return count


def show(title, count):
    print(title)
    for name, number in count.items():
        print(f"  {name:30} {number:7d}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        show("killed, full disk", kill_many(folder, args.kills, args.seed))
        print(f"  {'lines of answers':30} ", end="")
        print(f"{len((Path(folder) / 'answers.jsonl').read_bytes().splitlines()):7d}")
    with tempfile.TemporaryDirectory() as folder:
        show("several processes, one folder", crowd(folder, args.rounds, args.seed))
    print(f"seconds {time.monotonic() - began:.0f}")


if __name__ == "__main__":
    main()
