"""How evenly splitters divide the labeled cells, and how long they take.

    python benchmarks/splitters.py --data FOLDER [--json FILE] [--folds 5] [--seeds 3]

FOLDER holds `texts.csv.gz` (columns id, text, split) and `labels.npz` (a scipy CSR
matrix, stored 1 = positive, everything else negative). Its training rows are masked in
two ways: `one-sought` keeps one labeled cell a row, `random-60` each cell with
probability 0.4. Beside ours stand scikit-learn's `KFold` and, where it is installed,
the package iterative-stratification, which gets the two indicators of each label,
positive and negative, as columns: it would take -1 for a positive.
"""

import argparse
import csv
import gzip
import json
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.model_selection import GroupKFold, KFold

from sklearn_masked.exceptions import RareLabelWarning
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.model_selection import (
    MaskedStratifiedGroupKFold,
    MaskedStratifiedKFold,
)

try:
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
except ImportError:
    MultilabelStratifiedKFold = None

# Labels with fewer positive or fewer negative cells are not looked at.
ENOUGH = 10
HEADER = (
    "mask",
    "splitter",
    "most cells off, positive",
    "negative",
    "counts off by more than 1",
    "root mean square",
    "fold sizes",
    "seconds of a core",
)


def read_labels(folder):
    """Return the dense 0/1 labels of the training rows."""
    folder = Path(folder)
    with gzip.open(folder / "texts.csv.gz", "rt", encoding="utf-8", newline="") as file:
        is_train = [row["split"] == "train" for row in csv.DictReader(file)]
    return sp.load_npz(folder / "labels.npz").tocsr()[np.array(is_train)].toarray()


def one_sought(Y, seed):
    """Keep one cell a row: a positive half of the time, else of a random label."""
    rng = np.random.RandomState(seed)
    masked = np.full(Y.shape, np.nan)
    for i, row in enumerate(Y):
        positives = np.flatnonzero(row)
        sought = len(positives) and rng.rand() < 0.5
        j = rng.choice(positives) if sought else rng.randint(len(row))
        masked[i, j] = row[j]
    return masked


def random_60(Y, seed):
    """Keep each cell with probability 0.4."""
    return np.where(np.random.RandomState(seed).rand(*Y.shape) < 0.6, np.nan, Y)


def indicators(y):
    """Return the columns that say positive, then those that say negative."""
    return np.hstack([y == 1, y == 0])


def splitters(n_folds, seed):
    """Yield a name, a splitter and what it is given as y, for each splitter."""
    yield "MaskedStratifiedKFold", MaskedStratifiedKFold(n_folds), "labels"
    shuffled = MaskedStratifiedKFold(n_folds, shuffle=True, random_state=seed)
    yield "MaskedStratifiedKFold, shuffle", shuffled, "labels"
    yield "MaskedStratifiedKFold, from dense", MaskedStratifiedKFold(n_folds), "dense"
    if MultilabelStratifiedKFold is not None:
        theirs = MultilabelStratifiedKFold(n_folds, shuffle=True, random_state=seed)
        yield "iterative-stratification", theirs, "indicators"
    yield "KFold, shuffle", KFold(n_folds, shuffle=True, random_state=seed), "dense"


def timed_tests(cv, y, groups=None, repeats=1):
    """Return the test parts, and the shortest time of a core that made them."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RareLabelWarning)
            tests = [test for _, test in cv.split(np.zeros(len(y)), y, groups)]
        times.append(time.process_time() - start)
    return tests, min(times)


def balance(dense, tests):
    """Return how far the counts of the folds are from the ideal."""
    counts = indicators(dense).reshape(len(dense), 2, -1)
    totals = counts.sum(axis=0)
    enough = (totals >= ENOUGH).all(axis=0)
    folds = np.array([counts[test].sum(axis=0) for test in tests])[:, :, enough]
    off = np.abs(folds - totals[:, enough] / len(tests))
    sizes = [len(test) for test in tests]
    return {
        "off_positive": off[:, 0].max(),
        "off_negative": off[:, 1].max(),
        # A hair above 1, for the last digit of a fifth.
        "off_more_than_1": (off > 1 + 1e-9).mean(),
        "rms_off": np.sqrt((off**2).mean()),
        "smallest_fold": min(sizes),
        "largest_fold": max(sizes),
        "n_labels": int(enough.sum()),
    }


def compare(Y, n_folds, seeds):
    """Yield a row of the table for each mask, splitter and seed."""
    for mask in (one_sought, random_60):
        for seed in range(seeds):
            dense = mask(Y, seed)
            forms = {
                "dense": dense,
                "labels": MaskedLabels.from_dense(dense),
                "indicators": indicators(dense),
            }
            for name, cv, form in splitters(n_folds, seed):
                repeats = 1 if form == "indicators" else 5
                tests, seconds = timed_tests(cv, forms[form], repeats=repeats)
                yield {
                    "mask": mask.__name__.replace("_", "-"),
                    "splitter": name,
                    "seed": seed,
                    "seconds": seconds,
                    **balance(dense, tests),
                }


def compare_groups(Y, n_folds, seeds):
    """Yield rows for groups of unlike sizes, one cell a row."""
    for seed in range(seeds):
        dense = one_sought(Y, seed)
        labels = MaskedLabels.from_dense(dense)
        draws = np.random.RandomState(seed).pareto(2, size=4000) + 0.1
        groups = np.random.RandomState(seed).choice(
            4000, p=draws / draws.sum(), size=len(Y)
        )
        for name, cv in [
            ("MaskedStratifiedGroupKFold", MaskedStratifiedGroupKFold(n_folds)),
            ("GroupKFold", GroupKFold(n_folds)),
        ]:
            tests, seconds = timed_tests(cv, labels, groups, repeats=3)
            yield {
                "mask": "one-sought, 4,000 groups",
                "splitter": name,
                "seed": seed,
                "seconds": seconds,
                **balance(dense, tests),
            }


def summarize(rows):
    """Return one row for each mask and splitter: the worst balance, the median time."""
    summary = []
    for key in dict.fromkeys((row["mask"], row["splitter"]) for row in rows):
        same = [row for row in rows if (row["mask"], row["splitter"]) == key]
        worst = {
            name: float(max(row[name] for row in same))
            for name in ("off_positive", "off_negative", "off_more_than_1", "rms_off")
        }
        summary.append(
            {
                "mask": key[0],
                "splitter": key[1],
                **worst,
                "smallest_fold": min(row["smallest_fold"] for row in same),
                "largest_fold": max(row["largest_fold"] for row in same),
                "seconds": float(np.median([row["seconds"] for row in same])),
            }
        )
    return summary


def show(summary):
    print("| " + " | ".join(HEADER) + " |")
    print("| --- | --- |" + " ---: |" * (len(HEADER) - 2))
    for row in summary:
        print(
            f"| {row['mask']} | {row['splitter']} | {row['off_positive']:.1f} | "
            f"{row['off_negative']:.1f} | {row['off_more_than_1']:.1%} | "
            f"{row['rms_off']:.2f} | {row['smallest_fold']} to {row['largest_fold']} | "
            f"{row['seconds']:.3f} |"
        )


def ratios(summary):
    """Return how many times longer iterative-stratification takes than ours."""
    seconds = {(row["mask"], row["splitter"]): row["seconds"] for row in summary}
    return {
        f"{mask}, {splitter}": seconds[mask, "iterative-stratification"] / time
        for (mask, splitter), time in seconds.items()
        if splitter.startswith("Masked")
        and (mask, "iterative-stratification") in seconds
    }


def million_rows(n_samples=1_000_000, n_labels=100):
    """Return the time and the balance of a million rows of one cell each."""
    rng = np.random.RandomState(0)
    cols, values = rng.randint(n_labels, size=n_samples), rng.rand(n_samples) < 0.2
    labels = MaskedLabels(np.arange(n_samples + 1), cols, values, (n_samples, n_labels))
    tests, seconds = timed_tests(MaskedStratifiedKFold(5), labels)
    kinds = 2 * cols + values
    counts = np.array([np.bincount(kinds[t], minlength=2 * n_labels) for t in tests])
    off = np.abs(counts - counts.mean(axis=0)).max()
    return {"seconds": seconds, "most_cells_off": float(off)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of the data set")
    parser.add_argument("--json", default="splitters.json", help="file to write")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    Y = read_labels(options.data)
    rows = list(compare(Y, options.folds, options.seeds))
    rows += compare_groups(Y, options.folds, options.seeds)
    summary = summarize(rows)
    print(
        f"{Y.shape[0]} rows, {Y.shape[1]} labels, {options.folds} folds, "
        f"{options.seeds} masks; labels with {ENOUGH} positive and {ENOUGH} negative "
        f"cells or more ({min(row['n_labels'] for row in rows)} at least); worst "
        "balance and median time over the masks.\n"
    )
    show(summary)
    times, million = ratios(summary), million_rows()
    for name, ratio in times.items():
        print(f"\n{name}: iterative-stratification takes {ratio:.0f} times as long.")
    print(
        f"\n1,000,000 rows x 100 labels, one cell a row: {million['seconds']:.2f} s, "
        f"at most {million['most_cells_off']:.1f} cells off."
    )
    Path(options.json).write_text(
        json.dumps(
            {
                "rows": rows,
                "summary": summary,
                "times_as_long": times,
                "million_rows": million,
            },
            indent=1,
            default=float,
        )
    )


if __name__ == "__main__":
    main()
