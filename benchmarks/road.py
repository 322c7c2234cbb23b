"""Files, functions and depth of a default fit: how far a reader has to walk.

    python benchmarks/road.py --data FOLDER [--show]

FOLDER holds the sets goemotions and tox21 in the forms that `quality.py` describes. Of
`classifier/` and `nn/` it counts the files and the functions that a fit enters; frames
named `<...>` (comprehensions, lambdas, class bodies) are no functions. The depth is the
longest chain of the package's functions from `fit` to the frame that is deepest.
"""

import argparse
import collections
import functools
import sys
from pathlib import Path

import _quality_data
import numpy as np

import sklearn_masked
from sklearn_masked import MaskedMultiLabelClassifier

ROOT = Path(sklearn_masked.__file__).parent
ROOMS = "classifier", "nn"
# Set, mask, cells.
FITS = ("goemotions", "one-sought", 3_000), ("tox21", "natural", 1_000)
# At most, and most lines of a function that the fit enters.
MOST_FILES, MOST_FUNCTIONS, MOST_DEPTH, MOST_LINES = 16, 120, 12, 60


class Road:
    """The package's functions that are entered while `walk` runs a callable."""

    def __init__(self):
        self.functions = collections.Counter()
        self.stack, self.deepest, self.n_changes = [], [], 0

    def walk(self, run):
        """Run a callable without arguments."""
        sys.setprofile(self._see)
        try:
            run()
        finally:
            sys.setprofile(None)

    def _see(self, frame, event, _):
        code = frame.f_code
        if event not in ("call", "return") or code.co_name.startswith("<"):
            return
        if not code.co_filename.startswith(str(ROOT)):
            return
        if event == "return":
            if self.stack and self.stack[-1] is code:
                self.stack.pop()
            return
        if self.stack and self.stack[-1].co_filename != code.co_filename:
            self.n_changes += 1
        self.stack.append(code)
        self.functions[code] += 1
        if len(self.stack) > len(self.deepest):
            self.deepest = list(self.stack)

    def of_rooms(self):
        """Return the functions of `classifier/` and `nn/`."""
        rooms = [str(ROOT / room) for room in ROOMS]
        return [
            code
            for code in self.functions
            if any(code.co_filename.startswith(room) for room in rooms)
        ]


def rows_and_labels(folder, name, mask, n_cells):
    """Return the rows that have a cell, and their labels."""
    found = _quality_data.load(name, folder)
    labels = _quality_data.choose_cells(found.Y, mask, n_cells, 0)
    rows = np.unique(labels.cells().rows)
    return found.X[rows], labels[rows]


def lines_of(code):
    """Return the number of lines from a function's first to its last."""
    return max(line for *_, line in code.co_lines() if line) - code.co_firstlineno + 1


def main():
    """Print a line per fit, and with `--show` the road itself."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of the sets")
    parser.add_argument("--show", action="store_true", help="name the functions")
    arguments = parser.parse_args()
    print(
        f"at most: {MOST_FILES} files, {MOST_FUNCTIONS} functions, depth {MOST_DEPTH}"
    )
    for name, mask, n_cells in FITS:
        X, y = rows_and_labels(arguments.data, name, mask, n_cells)
        MaskedMultiLabelClassifier(random_state=0).fit(X[:50], y[:50])  # imports
        road, estimator = Road(), MaskedMultiLabelClassifier(random_state=0)
        road.walk(functools.partial(estimator.fit, X, y))
        functions = road.of_rooms()
        files = collections.Counter(code.co_filename for code in functions)
        longest = max(functions, key=lines_of)
        print(
            f"{name}, {mask}, {n_cells} cells: {len(files)} files, {len(functions)} "
            f"functions, depth {len(road.deepest)}, {road.n_changes} changes of file; "
            f"longest {longest.co_qualname} ({lines_of(longest)} lines)"
        )
        if arguments.show:
            show(road, functions)


def show(road, functions):
    """Print the functions by file, and the deepest chain."""
    by_file = collections.defaultdict(list)
    for code in functions:
        by_file[Path(code.co_filename).relative_to(ROOT)].append(code.co_qualname)
    for file, names in by_file.items():
        print(f"  {file} ({len(names)}): {', '.join(names)}")
    print("  deepest:", " > ".join(code.co_name for code in road.deepest))


if __name__ == "__main__":
    main()
