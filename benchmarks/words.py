"""What words that describe the labels are worth: with and without, by number of cells.

    python benchmarks/words.py run --data FOLDER --out words.jsonl --cache CACHE
    python benchmarks/words.py table --out words.jsonl

FOLDER holds the sets as `quality.py` reads them, and `words.json`: {set: {label name:
words}}. Each line of the results is one fitted model; a run goes on where it stopped.
Models: `none`; `words`; `shuffled0` to `shuffled4`, each label with the words of
another; `fixed`, 0.5 times the cosine of row and words, over its standard deviation,
added to the logits of `none`. All training rows are passed, one sought cell per row is
kept, and of these the first of a seeded order. Without a cell (size 0) base rates are
those of the training rows. arxiv_cs is cut to 20,000 and 5,000 rows unless `--whole`.
"""

import argparse
import csv
import functools
import gzip
import itertools
import json
import time
import warnings
from pathlib import Path

import _quality_data
import numpy as np
import scipy.sparse as sp
from quality import append_line, read_lines, start, version_of
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_log_loss,
    masked_roc_auc_score,
)

SETS = ("goemotions", "arxiv_cs", "xed_en", "cooking_stackexchange")
SIZES = ("0", "30", "100", "300", "1000", "3000", "10000", "full")
MODELS = ("none", "fixed", "words", *(f"shuffled{i}" for i in range(5)))
CUT = {"arxiv_cs": (20_000, 5_000)}
KEY = ("set", "size", "seed", "model", "version")


@functools.lru_cache(maxsize=1)
def load(name, folder, cache, whole):
    """Return rows and labels to train on, those to test on, and the words' features."""
    data = _quality_data.load(name, folder, cache)
    base, view, split = _quality_data.parse(name)
    features = _words(base, view, split, Path(folder), cache, len(data.Y))
    parts = [(data.X, data.Y), (data.X_test, data.Y_test)]
    if base in CUT and not whole:
        rng = np.random.RandomState(0)
        kept = [
            np.sort(rng.permutation(len(Y))[:n])
            for (_, Y), n in zip(parts, CUT[base], strict=True)
        ]
        parts = [(X[k], Y[k]) for (X, Y), k in zip(parts, kept, strict=True)]
    return *parts[0], *parts[1], features


def _words(base, view, split, folder, cache, n_train):
    """Return a row of features per label, in the space of the texts'."""
    words = json.loads((folder / "words.json").read_text())[base]
    words = [words[name] for name in _label_names(folder / base)]
    Y = _quality_data._read_labels(folder / base)
    rows, parts = _quality_data._read_rows_and_split(folder / base, split, len(Y), 0)
    train = [rows[i] for i in np.flatnonzero(parts == "train")]
    file = Path(cache or "/nonexistent") / f"{base}_words_embedding.npy"
    if view == "tfidf":
        vectorizer = TfidfVectorizer(**_quality_data.WORDS).fit(train)
        return vectorizer.transform(words)
    if file.exists():
        return np.load(file)
    return _quality_data._embedded(train, words)[1]


def _label_names(path):
    if (path / "label_names.txt").exists():
        lines = (path / "label_names.txt").read_text().splitlines()
        return [line.split("\t")[-1] for line in lines]
    with gzip.open(path / "labels.csv.gz", "rt", encoding="utf-8") as opened:
        return [name for name in next(csv.reader(opened)) if name != "id"]


@functools.lru_cache(maxsize=1)
def _fitted(name, size, seed, permutation, folder, cache, whole):
    """Return a fitted model and its CPU seconds, or None if there are fewer cells.

    `permutation` None is without words, -1 with them, others are seeds.
    """
    X, Y, _, _, features = load(name, folder, cache, whole)
    params, labels = {"random_state": seed}, None
    if size == "0":
        params["base_rates"] = _rates(Y)
    else:
        n_cells = size if size == "full" else int(size)
        labels = _quality_data.choose_cells(Y, "one-sought", n_cells, seed)
        if labels is None:
            return None
    if permutation is not None:
        order = np.arange(Y.shape[1])
        if permutation >= 0:
            order = np.random.RandomState(permutation).permutation(order)
        params["label_features"] = features[order]
    begun, clf = time.process_time(), MaskedMultiLabelClassifier(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # labels without cells
        clf.fit(X, labels)
    return clf, round(time.process_time() - begun, 3)


def fit_one(key, args):
    """Return the line of one fit, or None if the mask leaves fewer cells."""
    name, size, seed, model = (key[part] for part in KEY[:4])
    where = args.data, args.cache, args.whole
    X, Y, X_test, Y_test, features = load(name, *where)
    permutation = {"none": None, "fixed": None, "words": -1}.get(model, model[-1])
    permutation = permutation if permutation is None else int(permutation)
    fitted = _fitted(name, size, seed, permutation, *where)
    if fitted is None:
        return None
    clf, seconds = fitted
    logits = clf.decision_function(X_test).astype(float)
    if model == "fixed":
        logits += 0.5 * _cosines(X_test, features) / _cosines(X, features).std()
    coef = np.round(getattr(clf, "label_features_coef_", []), 3).tolist()
    scores = _scores(Y_test, logits, _rates(Y))
    taken = clf.auto_params_["label_correlation"]
    return {**key, **scores, "fit_cpu_s": seconds, "coef": coef, "correlation": taken}


def _rates(Y):
    return np.clip(Y.mean(axis=0), 1e-4, 1 - 1e-4)


def _cosines(X, features):
    cosines = normalize(X) @ normalize(features).T
    return cosines.toarray() if sp.issparse(cosines) else cosines


def _scores(Y_test, logits, rates):
    truth = MaskedLabels.from_dense(Y_test)
    alone = np.broadcast_to(rates, logits.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # labels of one class among the test rows
        scores = {
            "auc": masked_roc_auc_score(truth, logits),
            "ap": masked_average_precision_score(truth, logits),
            "log_loss": masked_log_loss(truth, expit(logits), average="micro"),
            "rates_log_loss": masked_log_loss(truth, alone, average="micro"),
        }
    return {name: round(float(value), 6) for name, value in scores.items()}


def keys(args):
    """Yield the keys of all fits, draws innermost where a set is read once."""
    for name, seed in itertools.product(args.sets, args.seeds):
        for size, model in itertools.product(args.sizes, args.models):
            is_idle = size == "0" and model in ("none", "fixed")
            if is_idle or (size in ("0", "full") and seed != args.seeds[0]):
                continue
            line = dict(set=name, size=size, seed=seed, model=model)
            yield {**line, "version": version_of("ours")}


def run(args):
    """Fit and score what is not in the results yet."""
    start(1)
    done = {tuple(line[k] for k in KEY) for line in read_lines(args.out)}
    if args.cache:
        Path(args.cache).mkdir(parents=True, exist_ok=True)
    for key in keys(args):
        if tuple(key.values()) in done:
            continue
        line = fit_one(key, args)
        if line is not None:
            append_line(args.out, line)
            print(
                *(line[k] for k in (*KEY[:-1], "auc", "ap", "log_loss", "coef")),
                flush=True,
            )


def table(args):
    """Print AUC / AP, mean over draws, of the newest version of the code."""
    lines = read_lines(args.out)
    newest = args.version or lines[-1]["version"]
    cells = {}
    for line in lines:
        if line["version"] == newest:
            model = "shuffled" if "shuffled" in line["model"] else line["model"]
            cells.setdefault((line["set"], line["size"], model), []).append(line)
    print(
        "| set | cells | draws | none | words | fixed | shuffled - none, AP "
        "| log loss, none -> words (rates alone) |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, size in dict.fromkeys(key[:2] for key in cells):
        found = {
            m: cells.get((name, size, m), [])
            for m in ("none", "words", "fixed", "shuffled")
        }

        def mean(model, score):
            values = [line[score] for line in found[model]]  # noqa: B023
            return np.mean(values) if values else np.nan

        shown = [
            f"{mean(m, 'auc'):.3f} / {mean(m, 'ap'):.4f}"
            for m in ("none", "words", "fixed")
        ]
        shuffled = mean("shuffled", "ap") - mean("none", "ap")
        losses = (
            mean("none", "log_loss"),
            mean("words", "log_loss"),
            mean("words", "rates_log_loss"),
        )
        print(
            f"| {name} | {size} | {len(found['words'])} | {' | '.join(shown)} "
            f"| {shuffled:+.4f} | {losses[0]:.4f} -> {losses[1]:.4f} "
            f"({losses[2]:.4f}) |"
        )


def main(arguments=None):
    """Read the command line and do what it says."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help=run.__doc__)
    command.add_argument("--data", required=True, help="a folder as said above")
    command.add_argument("--out", required=True, help="JSON lines, added to")
    command.add_argument("--cache", help="a folder for the features of texts")
    for option, default in (("sets", SETS), ("sizes", SIZES), ("models", MODELS)):
        command.add_argument(f"--{option}", nargs="+", default=default)
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
