"""Quality and time of the default model and of its rivals, on real sets.

    python benchmarks/quality.py small --data FOLDER --out results.jsonl   # minutes
    python benchmarks/quality.py run --data FOLDER --out results.jsonl     # hours
    python benchmarks/quality.py spread --data FOLDER --out results.jsonl
    python benchmarks/quality.py table --out results.jsonl

FOLDER holds a folder per set, with `texts.csv.gz` (id, text, split) or
`molecules.csv.gz` and `X_ecfp4_1024.npz` or `X.npy`/`X.npz` and `split.txt`, and
`labels.npz` or `labels.csv.gz` (empty = unlabeled). Each line of the results is one
fitted model; a run that is started again goes on where it stopped. Parameters are part
of a model's name, as in `--models ours ours:label_correlation=0,interactions=0`.

`small` is what a change is judged by first; `spread` fits the same cells again with
other random states and orders of rows, and with X changed by 1e-7; `curve` runs what
`quality_plots.py` draws. README.md beside this file has the results.
"""

import argparse
import concurrent.futures
import datetime
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import time
import warnings
from pathlib import Path

import _quality_data
import _quality_rivals
import _quality_tables
import numpy as np

import sklearn_masked
from sklearn_masked import MaskedLabels
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_log_loss,
    masked_roc_auc_score,
)

KEY = ("set", "mask", "size", "rows", "seed", "run", "model", "version")
PANEL = {
    "sets": (
        *_quality_data.SETS,
        *(f"{name}:embedding" for name in ("arxiv_cs", "goemotions", "xed_en")),
        "tox21:smiles",
    ),
    "masks": None,  # those of the set: `_quality_data.masks_of`
    "sizes": ("100", "300", "1000", "3000", "10000", "full"),
    "rows": ("labeled", "all"),
    "seeds": (0, 1, 2, 3, 4),
    "runs": ("plain",),
    "models": (
        "ours",
        "classic",
        "separate",
        "separate:per_label=True",
        "separate:C=1,scaling=unit",
        "forest",
    ),
    "full_draws": 1,
}
SMALL = {
    **PANEL,
    "sets": ("goemotions", "tox21", "emotions"),
    "sizes": ("100", "300", "1000", "3000"),
    "models": ("ours", "separate", "separate:per_label=True"),
}
SPREAD = {
    **PANEL,
    "sizes": ("300", "1000", "3000"),
    "seeds": (0,),
    "runs": (*(f"order{i}" for i in range(10)), "plain", "noise0", "noise1", "noise2"),
    "rows": ("labeled",),
    "models": ("ours",),
}
CURVE = {
    **PANEL,
    "sets": ("arxiv_cs",),
    "masks": ("one-sought", "full-budget"),
    "sizes": ("100", "300", "1000", "3000", "10000"),
    "rows": ("all",),
    "seeds": (0, 1, 2, 3, 4),
    "models": ("ours", "separate"),
    "full_draws": 3,
}


@functools.cache
def version_of(model):
    """Return what names the code of a model: ours by its sources, rivals by "2"."""
    if not model.startswith(("ours", "classic")):
        return "2"
    digest = hashlib.sha256()
    root = Path(sklearn_masked.__file__).parent
    for part in ("nn", "classifier"):
        for file in sorted((root / part).rglob("*.py")):
            digest.update(file.read_bytes())
    return f"{sklearn_masked.__version__}+{digest.hexdigest()[:8]}"


def read_lines(file):
    """Return the lines of a results file; one cut short by an end is left out."""
    lines = []
    for text in Path(file).read_text().splitlines() if Path(file).exists() else ():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def append_line(file, line):
    with open(file, "a") as opened:
        # A line that an abrupt end cut short must not swallow this one.
        cut = opened.tell() and Path(file).read_bytes()[-1:] != b"\n"
        opened.write(("\n" if cut else "") + json.dumps(line) + "\n")
        opened.flush()
        os.fsync(opened.fileno())


def score(truth, proba):
    """Return the scores on all known test cells, and the number of labels scored."""
    with warnings.catch_warnings():
        # Labels whose test cells are of one class: `labels_scored` counts the others.
        warnings.simplefilter("ignore")
        scores = {
            f"{average}_{name}": metric(truth, proba, average=average)
            for name, metric in (
                ("auc", masked_roc_auc_score),
                ("ap", masked_average_precision_score),
            )
            for average in ("macro", "micro")
        }
        scores["log_loss"] = masked_log_loss(truth, proba, average="micro")
    scores = {name: round(float(value), 6) for name, value in scores.items()}
    both = (truth.n_positive > 0) & (truth.n_negative > 0)
    return {**scores, "labels_scored": int(both.sum())}


def timed(function, *args):
    """Return the result, wall-clock seconds and the process's seconds of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*args)
    seconds = time.perf_counter() - wall, time.process_time() - cpu
    return result, *(round(value, 3) for value in seconds)


def arrange(data, labels, rows, seed, run):
    """Return the task and the random state of a run on the same cells.

    "order3" has the rows in another order and random state 3; "noise0" multiplies each
    entry of X by 1 + 1e-7 times a normal variate.
    """
    cells = labels.cells()
    kept = np.unique(cells.rows) if rows == "labeled" else np.arange(len(data.Y))
    if run.startswith("order"):
        seed = int(run.removeprefix("order"))
        kept = np.random.RandomState(seed).permutation(kept)
    X = data.X[kept]
    if run.startswith("noise"):
        rng = np.random.RandomState(int(run.removeprefix("noise")))
        values = X if isinstance(X, np.ndarray) else X.data
        noise = 1 + 1e-7 * rng.standard_normal(values.shape)
        values[...] = (values * noise).astype(values.dtype)
    return _quality_rivals.Task(data, kept, X, labels[kept]), seed


def measure(data, labels, key):
    """Fit one model and return what is to be told of it."""
    task, seed = arrange(data, labels, key["rows"], key["seed"], key["run"])
    function = _quality_rivals.get(key["model"])
    fitted, *fit = timed(_quality_rivals.fit_quietly, function, task, seed)
    proba, *predict = timed(fitted.predict)
    return {
        "n_cells": labels.n_cells,
        "n_rows": len(task.rows),
        **score(MaskedLabels.from_dense(data.Y_test), proba),
        "fit_s": fit[0],
        "fit_cpu_s": fit[1],
        "predict_s": predict[0],
        "predict_cpu_s": predict[1],
        "chosen": fitted.chosen,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def keys(args):
    """Yield the keys of all fits, draws outermost: each completes the panel once.

    Rivals use the labeled rows alone, so they are run once for both ways to pass rows.
    """
    names = ("size", "rows", "run", "model")
    values = args.sizes, args.rows, args.runs, args.models
    for seed, name in itertools.product(args.seeds, args.sets):
        kind = _quality_data.kind_of(name)
        for mask in args.masks or _quality_data.masks_of(name):
            for chosen in itertools.product(*values):
                key = dict(
                    zip(names, chosen, strict=True), set=name, mask=mask, seed=seed
                )
                model = key["model"]
                if not model.startswith("ours"):
                    key["rows"] = "labeled"
                few = key["size"] != "full" or seed in args.seeds[: args.full_draws]
                if few and _quality_rivals.applies(model, kind):
                    key["version"] = version_of(model)
                    yield {part: key[part] for part in KEY}


def fit_one(key, folder, cache):
    """Return the line of one fit, or None if the mask leaves fewer cells."""
    data = _quality_data.load(key["set"], folder, cache, key["seed"])
    size = key["size"] if key["size"] == "full" else int(key["size"])
    labels = _quality_data.choose_cells(data.Y, key["mask"], size, key["seed"])
    return None if labels is None else {**key, **measure(data, labels, key)}


def start(threads):
    """Limit the threads of this process, and load what a first fit loads."""
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    torch.set_num_threads(threads)
    X = np.random.RandomState(0).rand(40, 3)
    y = np.tile([[0.0, 1.0], [1.0, 0.0]], (20, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sklearn_masked.MaskedMultiLabelClassifier(random_state=0).fit(X, y)


def lines(todo, args):
    """Yield the lines of the fits as they end."""
    if args.jobs == 1:
        start(args.threads)
        yield from (fit_one(key, args.data, args.cache) for key in todo)
        return
    with concurrent.futures.ProcessPoolExecutor(
        args.jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=start,
        initargs=(args.threads,),
    ) as pool:
        ends = [pool.submit(fit_one, key, args.data, args.cache) for key in todo]
        yield from (end.result() for end in concurrent.futures.as_completed(ends))


def run(args):
    """Fit and score what is not in the results yet."""
    for model in args.models:
        _quality_rivals.get(model)  # a name that is wrong ends no long run
    done = {tuple(line[k] for k in KEY) for line in read_lines(args.out)}
    todo = {tuple(key.values()): key for key in keys(args)}
    todo = [key for values, key in todo.items() if values not in done]
    if args.cache:
        Path(args.cache).mkdir(parents=True, exist_ok=True)
    for line in filter(None, lines(todo, args)):
        append_line(args.out, {**line, "threads": args.threads})
        shown = [str(line[name]) for name in KEY[:-1]]
        scores = [f"{line[name]:.4f}" for name in _quality_tables.SCORES]
        print(*shown, *scores, f"{line['fit_cpu_s']:.2f} s", line["chosen"], flush=True)


def table(args):
    """Print the tables of a results file."""
    print(_quality_tables.report(read_lines(args.out), args.models, args.rival))


def parser():
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)
    for name, defaults in (
        ("run", PANEL),
        ("small", SMALL),
        ("spread", SPREAD),
        ("curve", CURVE),
    ):
        command = commands.add_parser(name, help=run.__doc__)
        command.add_argument("--data", required=True, help="a folder as said above")
        command.add_argument("--out", required=True, help="JSON lines, added to")
        command.add_argument("--cache", help="a folder for the features of texts")
        for option in ("sets", "masks", "sizes", "rows", "runs", "models"):
            command.add_argument(f"--{option}", nargs="+", default=defaults[option])
        command.add_argument("--seeds", nargs="+", type=int, default=defaults["seeds"])
        full = {"type": int, "default": defaults["full_draws"]}
        command.add_argument("--full-draws", **full, help="draws of size full")
        command.add_argument("--threads", type=int, default=1, help="of each process")
        command.add_argument("--jobs", type=int, default=1, help="processes")
        command.set_defaults(function=run)
    shown = commands.add_parser("table", help=table.__doc__)
    shown.add_argument("--out", required=True, help="the JSON lines")
    shown.add_argument("--models", nargs="+", help="all of ours if not given")
    shown.add_argument("--rival", help="instead of the best on average, score by score")
    shown.set_defaults(function=table)
    return top


def main(arguments=None):
    args = parser().parse_args(arguments)
    args.function(args)


if __name__ == "__main__":
    main()
