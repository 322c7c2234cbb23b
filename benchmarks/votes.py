"""Votes of five voters of planted quality, against majority and one annotator.

    python benchmarks/votes.py --data FOLDER --out votes.jsonl
    python benchmarks/votes.py --out votes.jsonl --table

FOLDER as in `quality.py`, whose sets and cells these are. Each cell gets 1 to 3 votes,
by voters drawn at random; a vote is right by the planted rates alone. Judged are the
labels, against the truth of the voted cells, and the default model trained on them,
against the truth of the test rows. `one annotator` is one vote per cell by the third
best of the five; `truth` trains on the true values of the same cells. Each line of the
results is one draw; a run that is started again goes on where it stopped.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import _quality_data
import numpy as np
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import KFold

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.labels import aggregate_votes
from sklearn_masked.metrics import masked_average_precision_score, masked_roc_auc_score
from sklearn_masked.model_selection import cross_val_predict

SETS = ("goemotions", "arxiv_cs", "xed_en")
N_VOTERS = 5
# Rows that are kept of a larger set, for training and for the test.
MOST_ROWS = 20_000, 5_000


def flips(n_labels):
    """70 to 95 % of the votes are right, of positives and of negatives alike."""
    rate = np.repeat(np.linspace(0.70, 0.95, N_VOTERS)[:, None], n_labels, 1)
    return rate, rate


def specialists(n_labels):
    """Each voter is right in 95 % at every fifth label, and in 65 % at the others."""
    own = np.arange(n_labels)[None] % N_VOTERS == np.arange(N_VOTERS)[:, None]
    rate = np.where(own, 0.95, 0.65)
    return rate, rate


def cautious(n_labels):
    """Voters who find 50 to 95 % of the positives, the more the more they mistake."""
    sensitivity = np.linspace(0.50, 0.95, N_VOTERS)[:, None]
    specificity = np.array([0.98, 0.95, 0.90, 0.85, 0.70])[:, None]
    return [np.repeat(rate, n_labels, 1) for rate in (sensitivity, specificity)]


PLANS = {plan.__name__: plan for plan in (flips, specialists, cautious)}


def cast(truth, labels, rates, rng):
    """Return cell, voter and vote of 1 to 3 votes per cell, and one vote per cell."""
    n_cells = len(truth)
    order = np.argsort(rng.random((n_cells, N_VOTERS)), axis=1)
    cell, nth = np.nonzero(np.arange(N_VOTERS) < rng.integers(1, 4, n_cells)[:, None])
    voter = order[cell, nth]
    third = np.full(n_cells, N_VOTERS // 2)
    return (
        cell,
        voter,
        *(
            _votes(truth[of], labels[of], by, rates, rng)
            for of, by in ((cell, voter), (np.arange(n_cells), third))
        ),
    )


def _votes(truth, labels, voter, rates, rng):
    sensitivity, specificity = (rate[voter, labels] for rate in rates)
    yes = np.where(truth == 1, sensitivity, 1 - specificity)
    return (rng.random(len(truth)) < yes).astype(np.int8)


def arms(y, rates, rng):
    """Return {name: (labels, value per cell or None)}, and (the truth, the votes)."""
    cells = y.cells()
    cell, voter, vote, single = cast(cells.values, cells.cols, rates, rng)
    rows, cols, shape = cells.rows, cells.cols, y.shape
    records = rows[cell], cols[cell], vote
    build, joined = MaskedLabels.from_cells, {"shape": shape, "soft": True}
    votes = dict(
        votes=vote, samples=rows[cell], labels=cols[cell], voters=voter, shape=shape
    )
    found = aggregate_votes(**votes)
    n_yes, n_votes = np.bincount(cell, vote), np.bincount(cell)
    majority = build(*records, shape=shape, on_conflict="majority")
    return {
        "truth": (y, None),
        "one annotator": (build(rows, cols, single, shape=shape), single),
        "majority": (majority, (n_yes + 0.5) / (n_votes + 1)),
        "share": (build(*records, **joined, on_conflict="mean"), n_yes / n_votes),
        "from_votes": (found.labels, found.labels.values),
    }, (cells.values, votes)


def with_model(data, votes, found, seed, params):
    """Return `from_votes` joined with a held-out model that was trained on it."""
    model = MaskedMultiLabelClassifier(random_state=seed, **params)
    folds = KFold(5, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        proba = cross_val_predict(
            model, data.X, found, cv=folds, method="predict_proba"
        )
    return aggregate_votes(**votes, y_proba=proba).labels


def judge(data, y, plan, seed, params):
    """Yield the figures of each way to labels, of one draw of votes."""
    rates = PLANS[plan](y.n_labels)
    ways, (truth, votes) = arms(y, rates, np.random.default_rng(seed))
    joined = with_model(data, votes, ways["from_votes"][0], seed, params)
    ways["with model"] = joined, joined.values
    test = data.Y_test
    for name, (labels, value) in ways.items():
        figures = {}
        if value is not None:
            figures["cell log loss"] = log_loss(truth, np.clip(value, 0.01, 0.99))
            figures["cell AUC"] = roc_auc_score(truth, value)
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model = MaskedMultiLabelClassifier(random_state=seed, **params)
            scores = model.fit(data.X, labels).decision_function(data.X_test)
            figures["CPU s"] = time.process_time() - began
            figures["test AUC"] = masked_roc_auc_score(test, scores)
            figures["test AP"] = masked_average_precision_score(test, scores)
        yield name, figures


def load(name, folder):
    """Return a set of `quality.py`, cut to the most rows."""
    data = _quality_data.load(name, folder)
    rng = np.random.RandomState(0)
    for part, most in zip(("", "_test"), MOST_ROWS, strict=True):
        X, Y = getattr(data, "X" + part), getattr(data, "Y" + part)
        kept = np.sort(rng.permutation(len(Y))[:most])
        setattr(data, "X" + part, X[kept])
        setattr(data, "Y" + part, Y[kept])
    return data


def run(options):
    """Judge what the results do not hold yet."""
    out = Path(options.out)
    done = {tuple(line["key"]) for line in read(out)}
    for name in options.sets:
        data = None
        for mask in options.masks:
            for size in options.cells:
                for plan in options.plans:
                    for seed in range(options.draws):
                        key = name, mask, size, plan, seed
                        if key in done:
                            continue
                        data = data or load(name, options.data)
                        y = _quality_data.choose_cells(data.Y, mask, size, seed)
                        found = dict(judge(data, y, plan, seed, options.params))
                        with out.open("a") as file:
                            print(json.dumps({"key": key, "ways": found}), file=file)


def read(out):
    """Return the lines of the results so far."""
    return [json.loads(line) for line in out.open()] if out.exists() else []


def table(out):
    """Print the mean over draws, a row per set, mask, size and plan."""
    groups = {}
    for line in read(out):
        groups.setdefault(tuple(line["key"][:4]), []).append(line["ways"])
    names = list(next(iter(groups.values()))[0])
    print("| set | cells | voters | draws |", " | ".join(names), "|")
    print("|", " --- |" * (4 + len(names)))
    for figure in ("cell log loss", "cell AUC", "test AUC", "test AP"):
        for (name, mask, size, plan), draws in groups.items():
            values = [
                [draw[way].get(figure, np.nan) for draw in draws] for way in names
            ]
            means = np.mean(values, axis=1)
            shown = " | ".join("" if m != m else f"{m:.3f}" for m in means)
            of = f"{name}, {figure} | {size} {mask} | {plan} | {len(draws)}"
            print(f"| {of} | {shown} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder of the sets")
    parser.add_argument("--out", default="votes.jsonl")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--masks", nargs="+", default=["one-sought"])
    parser.add_argument("--cells", nargs="+", type=int, default=[3000, 10_000])
    parser.add_argument("--plans", nargs="+", default=list(PLANS))
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--params", type=json.loads, default={})
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        run(options)
    table(Path(options.out))


if __name__ == "__main__":
    main()
