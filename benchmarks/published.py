"""All cells known, official splits, the scores of papers: beside published rows.

    python benchmarks/published.py run --data FOLDER --out published.jsonl
    python benchmarks/published.py table --out published.jsonl

FOLDER as for `quality.py`. goemotions has the official parts, tox21 the random and the
scaffold split of FOLDER. Models are trained on the training part. Thresholds maximize
the F1 of each label on the development part; all scores are those of the test part.
P@k is the mean, over rows, of the share of true labels among the k highest scores.
Models: those of `quality.py` by name, `words` (the default model with a line of words
per label, `words.json`), `words-only` (that line alone, no labeled cell), `lightgbm`
(100 trees of 31 leaves per label). `goemotions:embedding` has static word vectors.
"""

import argparse
import datetime
import json
import types
import warnings
from pathlib import Path

import _quality_data
import _quality_rivals
import numpy as np
from quality import append_line, read_lines, start, timed, version_of
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import f1_score
from words import _label_names

from sklearn_masked import (
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    MaskedTunedThresholdClassifierCV,
)
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_f1_score,
    masked_roc_auc_score,
)

SETS = ("goemotions", "goemotions:embedding", "tox21", "tox21:ecfp:scaffold")
MODELS = ("ours", "words", "words-only", "separate", "lightgbm", "forest", "fasttext")
# What a model is not run on: without words, or where it takes hours.
LEFT_OUT = {
    "words": ("tox21", "goemotions:embedding"),
    "words-only": ("tox21", "goemotions:embedding"),
    "forest": ("goemotions",),
    "fasttext": ("tox21", "goemotions:embedding"),
    "lightgbm": ("goemotions:embedding",),
}
# As their authors state them, on splits like these.
PUBLISHED = (
    "goemotions: BERT, macro F1 0.46 (Demszky et al. 2020, arXiv:2005.00547, abstract)",
    "goemotions: BERT, macro F1 0.49; TF-IDF and logistic regression, micro F1 0.51 "
    "(Harutyunyan and Kumar 2026, arXiv:2601.18162, abstract)",
    "tox21, random split, validation AUC: logistic regression 0.735, random forest "
    "0.763, XGBoost 0.773, multitask network 0.754, graph convolution 0.832 (DeepChem, "
    "README of its benchmark)",
    "tox21, scaffold split: 0.676, 0.665, 0.703, 0.725, 0.764 (the same)",
)


class GivenScores(ClassifierMixin, BaseEstimator):
    """A classifier whose X is its scores, so that thresholds can be tuned on them."""

    def fit(self, X, y):
        """Learn nothing."""
        self.fitted_ = True
        return self

    def predict_proba(self, X):
        """Return X."""
        return X


def load(name, folder):
    """Return the task, the numbers of development and test rows, and their labels."""
    base, view, split = _quality_data.parse(name)
    path = Path(folder) / base
    Y = _quality_data._read_labels(path)
    rows, parts = _quality_data._read_rows_and_split(path, split, len(Y), 0)
    dev = "dev" if "dev" in parts else "valid"
    at = [np.flatnonzero(parts == part) for part in ("train", dev, "test")]
    kind, words = _quality_data.kind_of(name), None
    later = np.concatenate(at[1:])
    if base == "goemotions":
        texts = [[rows[i] for i in part] for part in (at[0], later)]
        if view == "embedding":
            X, X_later = _quality_data._embedded(*texts)
        else:
            vectorizer = TfidfVectorizer(**_quality_data.WORDS)
            X = vectorizer.fit_transform(texts[0])
            X_later = vectorizer.transform(texts[1])
            lines = json.loads((Path(folder) / "words.json").read_text())[base]
            words = vectorizer.transform([lines[n] for n in _label_names(path)])
    else:
        texts = None
        bits = _quality_data._read_features(path)
        X, X_later = bits[at[0]], bits[later]
    data = types.SimpleNamespace(
        name=name,
        X=X,
        X_test=X_later,
        Y=Y[at[0]],
        Y_test=Y[later],
        kind=kind,
        words=words,
    )
    if texts:
        data.tokens = _quality_data.Set("goemotions", X, X, Y, Y, texts).tokens
    labels = MaskedLabels.from_dense(Y[at[0]])
    task = _quality_rivals.Task(data, np.arange(len(at[0])), X, labels)
    return task, Y[at[1]], Y[at[2]]


def with_words(task, seed, cells=True):
    """Fit the default model with a line of words per label, or from the words alone."""
    labels = task.labels if cells else None
    rates = None if cells else np.nanmean(task.data.Y, axis=0)
    model = MaskedMultiLabelClassifier(
        label_features=task.data.words, base_rates=rates, random_state=seed
    ).fit(task.X, labels)
    return _quality_rivals.Fitted(lambda: model.predict_proba(task.data.X_test), {})


def lightgbm(task, seed):
    """Fit LightGBM per label, as it is by default."""
    from lightgbm import LGBMClassifier

    trees = LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1)
    model = MaskedMultiOutputClassifier(trees).fit(task.X, task.labels)
    return _quality_rivals.Fitted(lambda: model.predict_proba(task.data.X_test), {})


def get(model):
    """Return the function of a model's name."""
    if model == "words-only":
        return lambda task, seed: with_words(task, seed, cells=False)
    ours = {"words": with_words, "lightgbm": lightgbm}
    return ours.get(model) or _quality_rivals.get(model)


def scores_of(Y_dev, Y_test, proba):
    """Return the scores of the test rows; thresholds come from the development rows."""
    dev, test = proba[: len(Y_dev)], proba[len(Y_dev) :]
    tuned = MaskedTunedThresholdClassifierCV(
        FrozenEstimator(GivenScores().fit(dev, Y_dev)),
        scoring="f1",
        thresholds=np.unique(np.quantile(dev, np.linspace(0, 1, 2001))),
    )
    decided = tuned.fit(dev, Y_dev).predict(test)
    found = {
        "macro_auc": masked_roc_auc_score(Y_test, test),
        "macro_ap": masked_average_precision_score(Y_test, test),
        "micro_f1": masked_f1_score(Y_test, decided, average="micro"),
        "macro_f1": masked_f1_score(Y_test, decided),
    }
    if not np.isnan(Y_test).any():
        assert np.isclose(found["micro_f1"], f1_score(Y_test, decided, average="micro"))
        order = np.argsort(-test, axis=1)
        ranked = np.take_along_axis(Y_test, order, axis=1)
        found.update({f"p_at_{k}": ranked[:, :k].mean() for k in (1, 3)})
    return {name: round(float(value), 4) for name, value in found.items()}


def run(args):
    """Fit and score what is not in the results yet."""
    start(1)
    done = {(line["set"], line["model"]) for line in read_lines(args.out)}
    for name in args.sets:
        task, Y_dev, Y_test = load(name, args.data)
        for model in args.models:
            left_out = any(name.startswith(one) for one in LEFT_OUT.get(model, ()))
            if left_out or (name, model) in done:
                continue
            fit = get(model)
            fitted, _, cpu = timed(_quality_rivals.fit_quietly, fit, task, 0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = scores_of(Y_dev, Y_test, fitted.predict())
            line = {"set": name, "model": model, **found, "fit_cpu_s": cpu}
            today = datetime.datetime.now(datetime.UTC).date().isoformat()
            append_line(
                args.out, {**line, "version": version_of("ours"), "date": today}
            )
            print(line, flush=True)


def table(args):
    """Print the results, then the published rows."""
    names = ("macro_auc", "macro_ap", "micro_f1", "macro_f1", "p_at_1", "p_at_3")
    print("| set | model |", " | ".join(names), "| fit, CPU s |")
    print("| --- " * (len(names) + 3) + "|")
    for line in read_lines(args.out):
        shown = [f"{line[n]:.3f}" if n in line else "" for n in names]
        shown.append(f"{line['fit_cpu_s']:.1f}")
        print(f"| {line['set']} | {line['model']} |", " | ".join(shown), "|")
    print(*PUBLISHED, sep="\n")


def main(arguments=None):
    """Read the command line and do what it says."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help=run.__doc__)
    command.add_argument("--data", required=True, help="a folder as said above")
    command.add_argument("--out", required=True, help="JSON lines, added to")
    command.add_argument("--sets", nargs="+", default=SETS)
    command.add_argument("--models", nargs="+", default=MODELS)
    command.set_defaults(function=run)
    command = commands.add_parser("table", help=table.__doc__)
    command.add_argument("--out", required=True, help="the JSON lines")
    command.set_defaults(function=table)
    args = top.parse_args(arguments)
    args.function(args)


if __name__ == "__main__":
    main()
