"""Quality, time and size of the default model and of its rivals, on real sets.

    python benchmarks/quality.py run --data FOLDER --out results.jsonl
    python benchmarks/quality.py table --out results.jsonl

FOLDER holds a folder a set: `arxiv_cs` and `goemotions` with `texts.csv.gz` (columns
id, text, split) and `labels.npz` or `labels.csv.gz`; `tox21` with `molecules.csv.gz`,
`labels.csv.gz` (empty = unlabeled) and `X_ecfp4_1024.npz`. Each line of the results is
one fitted model; a run that is started again goes on where it stopped.

`loss` runs and tables the loss parameters of the default model; `curve` runs what
`quality_plots.py` draws. README.md beside this file has the results.
"""

import argparse
import datetime
import functools
import hashlib
import itertools
import json
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

SIZES = ("1000", "3000", "10000", "full")
LOSSES = (
    "ours",
    "ours:reduction=label",
    "ours:reduction=sample",
    "ours:pos_weight=balanced",
    "ours:label_smoothing=0.05",
    "ours:unlabeled_weight=0.03",
)
CURVE = {
    "masks": ("one-sought", "random-cells", "full-budget"),
    "sizes": ("500", "1000", "2000", "5000", "10000", "full"),
    "models": ("ours", "separate"),
}


@functools.cache
def version_of(model):
    """Return what names the code of a model: ours by its sources, rivals by "1"."""
    if not model.startswith("ours"):
        return "1"
    digest = hashlib.sha256()
    root = Path(sklearn_masked.__file__).parent
    for part in ("nn", "classifier"):
        for file in sorted((root / part).rglob("*.py")):
            digest.update(file.read_bytes())
    return f"{sklearn_masked.__version__}+{digest.hexdigest()[:8]}"


KEY = ("set", "mask", "size", "seed", "model", "version")


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


def measure(data, labels, model, seed):
    """Fit one model and return what is to be told of it."""
    task = _quality_rivals.Task(data, labels)
    function = _quality_rivals.get(model)
    fitted, *fit = timed(_quality_rivals.fit_quietly, function, task, seed)
    proba, *predict = timed(fitted.predict)
    return {
        "n_cells": labels.n_cells,
        **score(MaskedLabels.from_dense(data.Y_test), proba),
        "fit_s": fit[0],
        "fit_cpu_s": fit[1],
        "predict_s": predict[0],
        "predict_cpu_s": predict[1],
        "model_bytes": fitted.n_bytes(),
        "chosen": fitted.chosen,
    }


def runs(args):
    """Yield the keys of all runs, the sets' outermost: each is read once a seed."""
    for name, seed in itertools.product(args.sets, args.seeds):
        for mask, size in itertools.product(args.masks, args.sizes):
            if mask == "natural" and not name.startswith("tox21"):
                continue  # all cells are known there: "all" is its name
            for model in args.models:
                tox21 = name.startswith("tox21")
                if tox21 or model not in _quality_rivals.TOX21_ONLY:
                    values = (name, mask, size, seed, model, version_of(model))
                    yield dict(zip(KEY, values, strict=True))


def run(args):
    """Fit and score what is not in the results yet."""
    done = {tuple(line[k] for k in KEY) for line in read_lines(args.out)}
    todo = [key for key in runs(args) if tuple(key.values()) not in done]
    data = loaded = None
    for key in todo:
        if loaded != (key["set"], key["seed"]):
            loaded = key["set"], key["seed"]
            data = _quality_data.load(loaded[0], args.data, args.cache, loaded[1])
        size = key["size"] if key["size"] == "full" else int(key["size"])
        labels = _quality_data.choose_cells(data.Y, key["mask"], size, key["seed"])
        if labels is None:
            continue  # the mask leaves fewer cells
        line = {**key, **measure(data, labels, key["model"], key["seed"])}
        line["threads"] = args.threads
        line["date"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        append_line(args.out, line)
        shown = [str(value) for value in key.values()]
        scores = [f"{line[k]:.4f}" for k in _quality_tables.SCORES]
        print(*shown, *scores, f"{line['fit_cpu_s']:.1f} s", line["chosen"], flush=True)


def table(args):
    """Print the tables of a results file."""
    print(_quality_tables.report(read_lines(args.out), args.version))


def loss(args):
    """Run the default with other loss parameters, and print what they change."""
    run(args)
    print(_quality_tables.losses(read_lines(args.out), args.models, args.seeds))


def parser():
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)
    everything = {
        "sets": _quality_data.DEFAULT_SETS,
        "masks": ("one-sought", "random-60", "full-budget"),
        "sizes": SIZES,
        "models": ("ours", "separate"),
    }
    few = {"masks": ("one-sought", "random-60"), "sizes": ("3000", "full")}
    _add_run(commands, "run", run, everything, [0, 1, 2])
    _add_run(commands, "loss", loss, {**everything, **few, "models": LOSSES}, [0])
    _add_run(commands, "curve", run, {**CURVE, "sets": ("arxiv_cs",)}, [0, 1, 2])
    shown = commands.add_parser("table", help=table.__doc__)
    shown.add_argument("--out", required=True, help="the JSON lines")
    shown.add_argument("--version", help="of ours; the last one run if not given")
    shown.set_defaults(function=table)
    return top


def _add_run(commands, name, function, defaults, seeds):
    command = commands.add_parser(name, help=function.__doc__)
    command.add_argument("--data", required=True, help="a folder as described above")
    command.add_argument("--out", required=True, help="JSON lines, added to")
    command.add_argument("--cache", help="a folder for the TF-IDF matrices")
    for option, values in defaults.items():
        command.add_argument(f"--{option}", nargs="+", default=list(values))
    command.add_argument("--seeds", nargs="+", type=int, default=seeds)
    command.add_argument("--threads", type=int, default=1)
    command.set_defaults(function=function)


def main(arguments=None):
    args = parser().parse_args(arguments)
    if args.command == "table":
        return table(args)
    from threadpoolctl import threadpool_limits

    if args.cache:
        Path(args.cache).mkdir(parents=True, exist_ok=True)
    with threadpool_limits(args.threads):
        if any(model.startswith("ours") for model in args.models):
            import torch

            torch.set_num_threads(args.threads)
        np.random.seed(0)
        args.function(args)


if __name__ == "__main__":
    main()
