"""Blocks of features side by side: one fit of both, against each alone and two fits.

    python benchmarks/blocks.py run --data FOLDER --out blocks.jsonl --cache CACHE
    python benchmarks/blocks.py table --out blocks.jsonl

FOLDER holds the sets as `quality.py` reads them. The blocks of texts are TF-IDF and
static embeddings, those of molecules n-grams of SMILES and fingerprints. Models:
`first` and `second`, the default of either block alone; `average`, the mean of their
logits; `stacked`, one fit of both with ``feature_blocks=None``; `blocks`, the same with
the blocks found, or named where both are sparse. Of texts one sought cell per row is
kept, of molecules every known one, and of these the first of a seeded order. arxiv_cs
is cut to 20,000 and 5,000 rows unless `--whole`. Molecules are split anew in each draw.
"""

import argparse
import functools
import time
import warnings
from pathlib import Path

import _quality_data
import numpy as np
import scipy.sparse as sp
from quality import append_line, read_lines, start, version_of
from words import CUT

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_roc_auc_score,
)

# The views of a set's two blocks.
BLOCKS = {
    "goemotions": ("tfidf", "embedding"),
    "arxiv_cs": ("tfidf", "embedding"),
    "tox21": ("smiles", "ecfp"),
}
SIZES = ("300", "1000", "3000", "10000", "full")
MODELS = ("first", "second", "average", "stacked", "blocks")


@functools.lru_cache(maxsize=1)
def load(name, folder, cache, whole, seed):
    """Return both blocks and labels of the training rows, and those of test rows."""
    split = ":random" if _quality_data.kind_of(name) == "molecules" else ""
    sets = [
        _quality_data.load(f"{name}:{view}{split}", folder, cache, seed)
        for view in BLOCKS[name]
    ]
    parts = []
    for rows, Y, i in (("X", "Y", 0), ("X_test", "Y_test", 1)):
        blocks, labels = [getattr(each, rows) for each in sets], getattr(sets[0], Y)
        if name in CUT and not whole:
            order = np.random.RandomState(0).permutation(len(labels))
            kept = np.sort(order[: CUT[name][i]])
            blocks, labels = [block[kept] for block in blocks], labels[kept]
        parts += [blocks, labels]
    return parts


def fit_all(name, size, seed, args):
    """Yield a line per model, or nothing if there are fewer cells."""
    is_partial = name in _quality_data.PARTIAL
    where = args.data, args.cache, args.whole, seed if is_partial else 0
    X, Y, X_test, Y_test = load(name, *where)
    mask = "natural" if is_partial else "one-sought"
    n_cells = size if size == "full" else int(size)
    labels = _quality_data.choose_cells(Y, mask, n_cells, seed)
    if labels is None:
        return
    both, both_test = (
        sp.hstack([sp.csr_array(each) for each in part], format="csr", dtype="f4")
        for part in (X, X_test)
    )
    n = X[0].shape[1]
    named = "auto"
    if sp.issparse(X[1]):
        named = {"first": slice(0, n), "second": slice(n, None)}
    fits = {
        "first": (X[0], X_test[0], None),
        "second": (X[1], X_test[1], None),
        "stacked": (both, both_test, None),
        "blocks": (both, both_test, named),
    }
    logits, truth = {}, MaskedLabels.from_dense(Y_test)
    for model, (rows, test, blocks) in fits.items():
        clf = MaskedMultiLabelClassifier(random_state=seed, feature_blocks=blocks)
        begun = time.process_time()
        clf.fit(rows, labels)
        seconds = round(time.process_time() - begun, 2)
        logits[model] = clf.decision_function(test)
        shares = getattr(clf, "feature_block_shares_", {})
        yield model, logits[model], truth, seconds, shares
    yield "average", (logits["first"] + logits["second"]) / 2, truth, None, {}


def run(args):
    """Fit and score what is not in the results yet."""
    start(1)
    warnings.simplefilter("ignore")  # labels without cells, or without test positives
    version, key = version_of("ours"), ("set", "size", "seed", "version")
    done = {tuple(line[k] for k in key) for line in read_lines(args.out)}
    if args.cache:
        Path(args.cache).mkdir(parents=True, exist_ok=True)
    for name in args.sets:
        for size in args.sizes:
            for seed in args.seeds:
                where = dict(zip(key, (name, size, seed, version), strict=True))
                if tuple(where.values()) in done:
                    continue
                for model, logits, truth, seconds, shares in fit_all(
                    name, size, seed, args
                ):
                    line = {
                        **where,
                        "model": model,
                        "auc": round(float(masked_roc_auc_score(truth, logits)), 6),
                        "ap": round(
                            float(masked_average_precision_score(truth, logits)), 6
                        ),
                        "fit_cpu_s": seconds,
                        "shares": shares,
                    }
                    append_line(args.out, line)
                    print(*line.values(), flush=True)


def table(args):
    """Print AUC / AP, mean over draws, of the newest version of the code."""
    lines = read_lines(args.out)
    newest, cells = args.version or lines[-1]["version"], {}
    for line in lines:
        if line["version"] == newest:
            at = line["set"], line["size"], line["model"]
            cells.setdefault(at, []).append((line["auc"], line["ap"]))
    print(f"| set | cells | draws | {' | '.join(MODELS)} | AP, blocks - best of 3 |")
    print("| --- " * (len(MODELS) + 4) + "|")
    for name, size in dict.fromkeys(at[:2] for at in cells):
        found = [np.mean(cells[name, size, model], axis=0) for model in MODELS]
        shown = [f"{auc:.3f} / {ap:.4f}" for auc, ap in found]
        gain = found[-1][1] - max(ap for _, ap in found[:3])
        n_draws = len(cells[name, size, MODELS[0]])
        print(f"| {name} | {size} | {n_draws} | {' | '.join(shown)} | {gain:+.4f} |")


def main(arguments=None):
    """Read the command line and do what it says."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help=run.__doc__)
    command.add_argument("--data", required=True, help="a folder as said above")
    command.add_argument("--out", required=True, help="JSON lines, added to")
    command.add_argument("--cache", help="a folder for the features")
    command.add_argument("--sets", nargs="+", default=tuple(BLOCKS))
    command.add_argument("--sizes", nargs="+", default=SIZES)
    command.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    command.add_argument("--whole", action="store_true", help="all rows of arxiv_cs")
    command.set_defaults(function=run)
    command = commands.add_parser("table", help=table.__doc__)
    command.add_argument("--out", required=True, help="the JSON lines")
    command.add_argument("--version", help="of the code, the last line's if not given")
    command.set_defaults(function=table)
    args = top.parse_args(arguments)
    args.function(args)


if __name__ == "__main__":
    main()
