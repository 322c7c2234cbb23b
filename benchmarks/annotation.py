"""Which cells to label, which labels look wrong: strategies, audits and a large query.

    python benchmarks/annotation.py simulate --data FOLDER --out RUNS.jsonl
    python benchmarks/annotation.py curves RUNS.jsonl --image CURVES.png
    python benchmarks/annotation.py cost --data FOLDER --out COSTS.jsonl
    python benchmarks/annotation.py audit --data FOLDER --json AUDIT.json
    python benchmarks/annotation.py query --json QUERY.json

FOLDER has a folder a set: `arxiv_cs` and `goemotions` with `texts.csv.gz` (id, text,
split) and either `labels.npz` (CSR, stored 1 = positive) or `labels.csv.gz`; `tox21`
with `molecules.csv.gz`, `labels.csv.gz` (empty = unknown) and `X_ecfp4_1024.npz`.
`simulate` writes a line a run (set, strategy, seed) and goes on where it was stopped.
`cost` compares one label per question with several labels per reading, with the
package's default model, by what they cost a person: reading a text 1, a key 0.1.
The column of cleanlab is empty where cleanlab is not installed.
"""

import argparse
import json
import resource
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from sklearn_masked import MaskedLabels, MaskedMultiOutputClassifier
from sklearn_masked.annotation import audit_cells, query_cells, simulate
from sklearn_masked.model_selection import cross_val_predict

STRATEGIES = [
    "default",
    "uncertain",
    "likely_positive",
    "likely_negative",
    "deficit",
    "expected_gain",
    "random",
    "random_rows",
    "uncertain_rows",
]
# With the words of `annotation_words.json` for the first round.
SEEDED = ["default", "random"]
COLORS = {
    "default, from words": "#0b5394",
    "default": "#3d85c6",
    "random, from words": "#b45f06",
    "random": "#e69138",
    "random_rows": "#999999",
    "uncertain_rows": "#555555",
}


def read_texts(folder):
    """Return texts, 0/1 CSR labels, names of the labels and the split of each text."""
    table = pd.read_csv(folder / "texts.csv.gz", keep_default_na=False)
    if (folder / "labels.npz").exists():
        Y = sp.csr_matrix(sp.load_npz(folder / "labels.npz"))
        names = (folder / "label_names.txt").read_text(encoding="utf-8").split()
    else:
        frame = pd.read_csv(folder / "labels.csv.gz").drop(columns="id")
        Y, names = sp.csr_matrix(frame.to_numpy(np.int8)), list(frame.columns)
    return table["text"].to_numpy(), Y, names, table["split"].to_numpy()


def separate_models():
    """Return one logistic regression a label."""
    return MaskedMultiOutputClassifier(LogisticRegression(C=30, solver="liblinear"))


def model_of(name):
    """Return separate models, which are quick, or the package's default model."""
    if name == "separate":
        return separate_models()
    from sklearn_masked import MaskedMultiLabelClassifier

    return MaskedMultiLabelClassifier(random_state=0)


# Strategies


def load_pool(folder, n_rows, seed):
    """Return the samples to label, those to score on, and words for each label."""
    texts, Y, names, split = read_texts(folder)
    train = np.flatnonzero(split == "train")
    if n_rows and n_rows < len(train):
        rng = np.random.default_rng(seed)
        train = np.sort(rng.choice(train, n_rows, replace=False))
    test = np.flatnonzero(split == "test")
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
    X, X_test = (
        vectorizer.fit_transform(texts[train]),
        vectorizer.transform(texts[test]),
    )
    words = json.loads(Path(__file__).with_name("annotation_words.json").read_text())
    queries = vectorizer.transform([words[folder.name][name] for name in names])
    y, y_test = (
        MaskedLabels.from_sparse(Y[rows], implicit="negative", label_names=names)
        for rows in (train, test)
    )
    return X, y, X_test, y_test, queries


def run_simulations(args):
    """Run what is not yet in the file of runs, a line each."""
    out = Path(args.out)
    lines = out.read_text().splitlines() if out.exists() else []
    done = {tuple(json.loads(line)["run"]) for line in lines}
    runs = [(name, False) for name in STRATEGIES] + [(name, True) for name in SEEDED]
    for name in args.sets:
        for seed in args.seeds:
            left = [
                (strategy, seeded, f"{strategy}, from words" if seeded else strategy)
                for strategy, seeded in runs
            ]
            left = [
                run
                for run in left
                if (name, run[2], seed) not in done
                and (args.strategies is None or run[2] in args.strategies)
            ]
            if not left:
                continue
            X, y, X_test, y_test, queries = load_pool(
                Path(args.data) / name, args.rows, seed
            )
            for strategy, seeded, title in left:
                start = time.perf_counter()
                curve = simulate(
                    model_of(args.model),
                    X,
                    y,
                    X_test,
                    y_test,
                    strategy=strategy,
                    queries=queries if seeded else None,
                    n_cells=args.cells,
                    batch_cells=args.batch,
                    random_state=seed,
                )
                record = {
                    "run": [name, title, seed],
                    "rows": X.shape[0],
                    "model": args.model,
                    "seconds": round(time.perf_counter() - start, 1),
                    "curve": {key: curve[key].tolist() for key in curve.dtype.names},
                }
                with out.open("a") as file:
                    file.write(json.dumps(record) + "\n")
                last = curve[-1]
                print(
                    f"{name:12s} {title:26s} seed {seed}: {last['n_cells']} cells, "
                    f"{last['n_positive']} positive, AUC {last['macro_auc']:.3f}, AP "
                    f"{last['macro_ap']:.3f}, {record['seconds']} s",
                    flush=True,
                )


def show_curves(args):
    """Print a table a set, and draw the curves."""
    runs = [json.loads(line) for line in Path(args.runs).read_text().splitlines()]
    sets = list(dict.fromkeys(run["run"][0] for run in runs))
    for name in sets:
        _print_curves(name, _by_strategy(runs, name))
    if args.image:
        _draw(args.image, {name: _by_strategy(runs, name) for name in sets})


def _by_strategy(runs, name):
    """Return {strategy: {field: array (seeds, rounds)}} of a set."""
    found = {f"{title}, from words": [] for title in SEEDED}
    found |= {title: [] for title in STRATEGIES}
    for run in runs:
        if run["run"][0] == name:
            found[run["run"][1]].append(run["curve"])
    return {
        strategy: {
            field: np.array([curve[field] for curve in curves]) for field in curves[0]
        }
        for strategy, curves in found.items()
        if curves
    }


def _interval(values):
    """Return the half width of the 95 % t interval of the mean over seeds."""
    if len(values) < 2:
        return np.nan
    return stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)


def _print_curves(name, strategies):
    half = len(strategies["random"]["n_cells"][0]) // 2 - 1
    target = strategies["random"]["macro_ap"][:, -1].mean()
    n_seeds, n_rounds = strategies["random"]["macro_ap"].shape
    cells = strategies["random"]["n_cells"][0]
    print(f"\n{name}, {n_seeds} seeds, {n_rounds} rounds (mean ± 95 % t interval)")
    print(
        f"| strategy | positives | AUC at {cells[half]} | AUC at {cells[-1]} | AP at "
        f"{cells[half]} | AP at {cells[-1]} | cells to AP {target:.3f} |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for strategy, curve in strategies.items():
        parts = [
            f"{values.mean():.3f} ± {_interval(values):.3f}"
            for field in ("macro_auc", "macro_ap")
            for values in (curve[field][:, half], curve[field][:, -1])
        ]
        reached = np.flatnonzero(curve["macro_ap"].mean(axis=0) >= target)
        when = int(curve["n_cells"][0][reached[0]]) if len(reached) else "-"
        positives = curve["n_positive"][:, -1].mean()
        print(f"| {strategy} | {positives:.0f} | {' | '.join(parts)} | {when} |")


def _draw(image, sets):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7.2), layout="constrained")
    axes = figure.subplots(2, len(sets), sharex=True, squeeze=False)
    fields = [("macro_ap", "macro average precision"), ("macro_auc", "macro ROC AUC")]
    for column, (name, strategies) in enumerate(sets.items()):
        for row, (field, title) in enumerate(fields):
            ax = axes[row][column]
            for strategy, color in COLORS.items():
                curve = strategies[strategy]
                cells, values = curve["n_cells"].mean(axis=0), curve[field]
                dashed = "rows" in strategy
                ax.plot(
                    cells,
                    values.mean(axis=0),
                    color=color,
                    label=strategy.replace("_", " "),
                    linestyle="--" if dashed else "-",
                    linewidth=2,
                )
                low, high = values.min(axis=0), values.max(axis=0)
                ax.fill_between(cells, low, high, color=color, alpha=0.15, linewidth=0)
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(alpha=0.25)
            if not column:
                ax.set_ylabel(title)
        axes[0][column].set_title(name)
        axes[1][column].set_xlabel("labeled cells")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    figure.savefig(image, dpi=130)
    print(f"{image}: means over seeds; the bands reach from the least to the largest.")


# Costs

# Title, strategy, labels that are shown with a text (None: one per question), and how
# many times the cells are asked for: nine of a text cost about as much as one.
WAYS = [
    ("random cells", "random", None, 1),
    ("one label per question", "default", None, 1),
    ("up to 9 labels per reading", "default", 9, 3),
]


def run_costs(args):
    """Simulate each way of asking, with and without words, and print the costs."""
    from sklearn_masked import MaskedMultiLabelClassifier

    out = Path(args.out)
    lines = out.read_text().splitlines() if out.exists() else []
    runs = [json.loads(line) for line in lines]
    done = {tuple(run["run"]) for run in runs}
    for name in args.sets:
        for seed in args.seeds:
            X, y, X_test, y_test, queries = load_pool(
                Path(args.data) / name, args.rows, seed
            )
            for words in (False, True):
                features = queries if words else None
                for title, strategy, max_labels, times in WAYS:
                    if (name, words, title, seed) in done:
                        continue
                    curve = simulate(
                        MaskedMultiLabelClassifier(
                            label_features=features, random_state=0
                        ),
                        X,
                        y,
                        X_test,
                        y_test,
                        strategy=strategy,
                        queries=features if strategy != "random" else None,
                        n_cells=times * args.cells,
                        batch_cells=args.batch,
                        max_labels=max_labels,
                        random_state=seed,
                    )
                    run = {"run": [name, words, title, seed]}
                    run |= {field: curve[field].tolist() for field in curve.dtype.names}
                    runs.append(run)
                    with out.open("a") as file:
                        file.write(json.dumps(run) + "\n")
                    print(*run["run"], curve[-1], flush=True)
    _print_costs(runs, args.sets)


def _print_costs(runs, sets):
    """Print the cost at which each way first has the AP that random cells end with."""
    print(
        "| set | words | asked | positives | AP at the end | cost at the end |", end=""
    )
    print(" cost to random's AP without words | cost to random's AP with words |")
    print("| --- " * 8 + "|")
    for name in sets:
        ends = {
            words: np.mean([run["macro_ap"][-1] for run in found])
            for words in (False, True)
            if (found := _runs(runs, name, words, WAYS[0][0]))
        }
        for words, (title, *_) in ((w, way) for w in (False, True) for way in WAYS):
            found = _runs(runs, name, words, title)
            mean = {
                field: np.mean([run[field][-1] for run in found])
                for field in ("n_positive", "macro_ap", "cost")
            }
            reached = [_cost_to(found, ends[target]) for target in (False, True)]
            print(
                f"| {name} | {'yes' if words else 'no'} | {title} | "
                f"{mean['n_positive']:.0f} | {mean['macro_ap']:.3f} | "
                f"{mean['cost']:.0f} | {reached[0]} | {reached[1]} |"
            )


def _runs(runs, name, words, title):
    return [run for run in runs if run["run"][:3] == [name, words, title]]


def _cost_to(runs, target):
    """Return the cost at which the mean over seeds reaches an AP, if it does."""
    n = min(len(run["cost"]) for run in runs)
    ap, cost = (
        np.mean([run[field][:n] for run in runs], axis=0)
        for field in ("macro_ap", "cost")
    )
    reached = np.flatnonzero(ap >= target - 1e-12)
    when = f"{cost[reached[0]]:.0f}" if len(reached) else "-"
    return f"{when} (to {target:.3f})"


# Audits


def one_sought(Y, seed):
    """Keep one cell a row: a positive half of the time, else a random label."""
    rng = np.random.RandomState(seed)
    cols = np.empty(Y.shape[0], int)
    for i in range(Y.shape[0]):
        positives = Y.indices[Y.indptr[i] : Y.indptr[i + 1]]
        sought = len(positives) and rng.rand() < 0.5
        cols[i] = rng.choice(positives) if sought else rng.randint(Y.shape[1])
    rows = np.arange(Y.shape[0])
    return rows, cols, np.asarray(Y[rows, cols]).ravel()


def load_cells(folder, seed):
    """Return X, the labeled cells of the training samples, and the labels' number."""
    if folder.name == "tox21":
        table = pd.read_csv(folder / "molecules.csv.gz")
        train = (table["split_random0"] == "train").to_numpy()
        Y = pd.read_csv(folder / "labels.csv.gz").drop(columns="id").to_numpy(float)
        Y = Y[train]
        rows, cols = np.nonzero(~np.isnan(Y))
        X = sp.csr_matrix(sp.load_npz(folder / "X_ecfp4_1024.npz"), dtype=np.float32)
        return X[train], rows, cols, Y[rows, cols].astype(int), Y.shape
    texts, Y, _, split = read_texts(folder)
    train = np.flatnonzero(split == "train")
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
    Y = Y[train]
    return vectorizer.fit_transform(texts[train]), *one_sought(Y, seed), Y.shape


def run_audits(args):
    """Flip 5 % of the labeled cells, and count those among the first 5 % ranked."""
    records = []
    print(
        "| set | seed | cells | flipped | found | cleanlab, issues | cleanlab, "
        "self-confidence | flagged | precision | estimated noise | audit, s | "
        "cleanlab, s |"
    )
    print("| --- " * 12 + "|")
    for name in args.sets:
        for seed in args.seeds:
            record = audit_once(Path(args.data) / name, seed, args.model)
            records.append(record)
            print("| " + " | ".join(map(_short, record.values())) + " |", flush=True)
    print(
        '"found": share of the flipped cells among the first 5 % ranked, which is '
        "precision and recall in one."
    )
    if args.json:
        Path(args.json).write_text(json.dumps(records, indent=1) + "\n")


def _short(value):
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def audit_once(folder, seed, model):
    X, rows, cols, values, shape = load_cells(folder, seed)
    rng = np.random.default_rng(seed)
    n_flipped = round(0.05 * len(values))
    flipped = np.zeros(len(values), bool)
    flipped[rng.choice(len(values), n_flipped, replace=False)] = True
    labels = MaskedLabels.from_cells(
        rows, cols, np.where(flipped, 1 - values, values), shape=shape
    )
    folds = KFold(5, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fold may lack a rare label's positives
        proba = cross_val_predict(
            model_of(model), X, labels, cv=folds, method="predict_proba"
        )
    planted = sp.csr_array((flipped, (rows, cols)), shape=shape)
    start = time.perf_counter()
    audit = audit_cells(proba, labels)
    seconds = time.perf_counter() - start
    is_planted = planted[audit.table["sample"], audit.table["label"]]
    flagged = audit.table["issue"]
    issues, confidence, peer_seconds = cleanlab_by_column(proba, labels, planted)
    wrong = audit.noise["wrong_negative"].sum() + audit.noise["wrong_positive"].sum()
    return {
        "set": folder.name,
        "seed": seed,
        "cells": len(values),
        "flipped": n_flipped,
        "found": float(is_planted[:n_flipped].mean()),
        "cleanlab_issues": issues,
        "cleanlab_self_confidence": confidence,
        "flagged": int(flagged.sum()),
        "precision_of_flagged": float(is_planted[flagged].mean()),
        "estimated_noise": float(wrong / len(values)),
        "seconds": seconds,
        "cleanlab_seconds": peer_seconds,
    }


def cleanlab_by_column(proba, labels, planted):
    """Return what cleanlab finds, a column at a time on its labeled rows.

    Two ways to pool its columns: by self-confidence, with what `find_label_issues`
    flags first; and by self-confidence alone.
    """
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return None, None, None
    start = time.perf_counter()
    cells = labels.cells()
    quality, issue = np.ones(len(cells.rows)), np.zeros(len(cells.rows), bool)
    for label in range(labels.n_labels):
        here = np.flatnonzero(cells.cols == label)
        given = cells.values[here].astype(int)
        p = proba[cells.rows[here], label]
        both = np.stack([1 - p, p], axis=1)
        if len(np.unique(given)) < 2:  # cleanlab refuses a sole class
            quality[here] = both[np.arange(len(here)), given]
            continue
        quality[here] = get_label_quality_scores(given, both)
        issue[here] = find_label_issues(given, both, n_jobs=1)
    seconds = time.perf_counter() - start
    is_planted = planted[cells.rows, cells.cols]
    n_first = int(planted.sum())
    return (
        float(is_planted[np.lexsort((quality, ~issue))[:n_first]].mean()),
        float(is_planted[np.argsort(quality, kind="stable")[:n_first]].mean()),
        seconds,
    )


# A large query


def run_query(args):
    """Ask for 1,000 of 1,000,000 x 1,000 cells, whose probabilities come by block."""
    n_rows, n_labels, step = args.rows, args.labels, 2000
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(n_rows), 2)
    first = rng.integers(n_labels, size=n_rows)
    cols = np.stack([first, (first + 1 + rng.integers(n_labels - 1, size=n_rows))], 1)
    values = (rng.random(len(rows)) < 0.2).astype(np.int8)
    labels = MaskedLabels.from_cells(
        rows, (cols % n_labels).ravel(), values, shape=(n_rows, n_labels)
    )
    base = rng.beta(0.3, 5, size=(2 * step, n_labels)).astype(np.float32)

    def proba():
        for start in range(0, n_rows, step):
            stop = min(start + step, n_rows)
            shift = start // step * 7 % step
            yield slice(start, stop), base[shift : shift + stop - start]

    start = time.perf_counter()
    for _, block in proba():
        block.sum()
    alone = time.perf_counter() - start
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{n_rows} x {n_labels}, {labels.n_cells} labeled cells; 1,000 are asked for")
    print(
        f"a pass over the probabilities alone: {alone:.1f} s; before: {before:.0f} MB"
    )
    started = time.perf_counter()
    cpu = time.process_time()
    table = query_cells(
        proba(),
        labels,
        n_cells=1000,
        strategy=args.strategy,
        random_state=0,
    )
    record = {
        "rows": n_rows,
        "labels": n_labels,
        "strategy": args.strategy,
        "found": len(table),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "pass_seconds": alone,
        "peak_before_mb": before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(record))
    if args.json:
        with Path(args.json).open("a") as file:
            file.write(json.dumps(record) + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("simulate")
    command.add_argument("--data", required=True)
    command.add_argument("--out", required=True)
    command.add_argument("--sets", nargs="+", default=["goemotions", "arxiv_cs"])
    command.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    command.add_argument("--rows", type=int, default=20_000)
    command.add_argument("--cells", type=int, default=5000)
    command.add_argument("--batch", type=int, default=500)
    command.add_argument("--strategies", nargs="+", help="these alone, by title")
    command.add_argument("--model", choices=["separate", "joint"], default="separate")
    command.set_defaults(run=run_simulations)

    command = commands.add_parser("curves")
    command.add_argument("runs")
    command.add_argument("--image")
    command.set_defaults(run=show_curves)

    command = commands.add_parser("cost")
    command.add_argument("--data", required=True)
    command.add_argument("--out", required=True)
    command.add_argument("--sets", nargs="+", default=["goemotions", "arxiv_cs"])
    command.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    command.add_argument("--rows", type=int, default=10_000)
    command.add_argument("--cells", type=int, default=5000)
    command.add_argument("--batch", type=int, default=250)
    command.set_defaults(run=run_costs)

    command = commands.add_parser("audit")
    command.add_argument("--data", required=True)
    command.add_argument("--json")
    command.add_argument(
        "--sets", nargs="+", default=["tox21", "goemotions", "arxiv_cs"]
    )
    command.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    command.add_argument("--model", choices=["separate", "joint"], default="separate")
    command.set_defaults(run=run_audits)

    command = commands.add_parser("query")
    command.add_argument("--rows", type=int, default=1_000_000)
    command.add_argument("--labels", type=int, default=1000)
    command.add_argument("--strategy", default="default")
    command.add_argument("--json")
    command.set_defaults(run=run_query)

    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
