"""Intervals of `audited_performance`: how often they cover, and how wide they are.

    python benchmarks/audit.py [--draws 400] [--rows 20000]

Each line is one setting of simulated traffic: the share of positives, the ROC AUC of
the scores, the number of audited rows. Scores are normal in either class, so that the
true precision and recall are known; decisions find two thirds of the positives. Each
draw has its own traffic and its own audit. For precision, recall and prevalence the
line gives the share of draws whose 95 % interval holds the true value; the mean width
over that of Wilson's interval of the audit by itself, in the draws where it has one;
and how often the latter covers.

"sharp" and "flat" scores are probabilities that are too far from, or too near to, one
half; "noise" scores say nothing of the truth within either decision; "drawn by score"
audits rows with a probability that rises with the score from 0.2 to 1 and weighs them
by its inverse; "few rows" has 2,000 rows of traffic, of which 400 are audited.
"""

import argparse
import warnings

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from sklearn_masked import MaskedLabels
from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.inspection import audited_performance
from sklearn_masked.metrics.bootstrap import wilson

NAMES = ("precision", "recall", "prevalence")
SETTINGS = [
    (share, auc, n_audited, "calibrated")
    for share in (0.02, 0.1, 0.3)
    for auc in (0.8, 0.95)
    for n_audited in (200, 400, 1000)
] + [
    (0.005, 0.97, 1000, "calibrated"),
    (0.1, 0.9, 400, "sharp"),
    (0.1, 0.9, 400, "flat"),
    (0.1, 0.9, 400, "noise"),
    (0.1, 0.9, 400, "few rows"),
    (0.02, 0.9, 400, "drawn by score"),
    (0.1, 0.9, 400, "drawn by score"),
]


def traffic(rng, share, auc, n_rows, n_draws, kind):
    """Return truths, decisions and scores, a column per draw, and the true shares."""
    spread = np.sqrt(2) * norm.ppf(auc)
    centers = spread**2 / 2
    truth = rng.random((n_rows, n_draws)) < share
    evidence = rng.normal(np.where(truth, centers, -centers), spread)
    threshold = centers - 0.43 * spread
    decided = evidence >= threshold
    recall = norm.sf(threshold, centers, spread)
    found = share * recall + (1 - share) * norm.sf(threshold, -centers, spread)
    logits = logit(share) + evidence
    change = {"sharp": lambda x: 2 * x + 1, "flat": lambda x: x / 2 - 0.5}
    scores = expit(change.get(kind, lambda x: x)(logits))
    if kind == "noise":
        scores = rng.random(scores.shape)
    return truth, decided, scores, (share * recall / found, recall, share)


def draw_audit(rng, truth, scores, n_audited, kind):
    """Return the labels of an audit of each draw, weighted where it is not uniform."""
    n_rows, n_draws = truth.shape
    chances = np.ones(truth.shape)
    if kind == "drawn by score":
        chances = 0.2 + 0.8 * np.minimum(scores / 0.5, 1)
    chances = chances * n_audited / chances.sum(axis=0)
    rows, cols = np.nonzero(rng.random(truth.shape) < chances)
    weights = 1 / chances[rows, cols] if kind == "drawn by score" else None
    return MaskedLabels.from_cells(
        rows, cols, truth[rows, cols] * 1, shape=truth.shape, weights=weights
    )


def alone(audit, decided):
    """Return Wilson's intervals of the audit by itself: (3, 2, n_draws)."""
    cells = audit.cells()
    weights = np.ones(len(cells.rows)) if cells.weights is None else cells.weights
    truth, chosen = cells.values == 1, decided[cells.rows, cells.cols]

    def interval(of, among):
        def total(weights):
            return np.bincount(cells.cols, weights, minlength=audit.n_labels)

        sums = total(weights * among)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = total(weights * (of & among)) / sums
            return wilson(share, sums**2 / total(weights**2 * among), 0.95)

    every = np.ones(len(truth), dtype=bool)
    return np.array(
        [interval(truth, chosen), interval(chosen, truth), interval(truth, every)]
    )


def covered(ends, truth):
    """Return the share of the known intervals that hold the truth."""
    known = ~np.isnan(ends[0])
    low, high = ends[:, known]
    return np.mean((low <= truth) & (truth <= high))


def measure(rng, share, auc, n_audited, kind, n_rows, n_draws):
    """Return coverage, relative width and coverage alone, a row per share."""
    n_rows = 2000 if kind == "few rows" else n_rows
    truth, decided, scores, true = traffic(rng, share, auc, n_rows, n_draws, kind)
    audit = draw_audit(rng, truth, scores, n_audited, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnscoredLabelsWarning)
        report = audited_performance(audit, decided, scores)
    rivals = alone(audit, decided)
    found = []
    for name, rival, value in zip(NAMES, rivals, true, strict=True):
        ends = np.array([report[f"{name}_low"], report[f"{name}_high"]])
        known = ~np.isnan(ends[0]) & ~np.isnan(rival[0])
        widths = [np.diff(pair[:, known], axis=0).mean() for pair in (ends, rival)]
        found.append(
            (covered(ends, value), widths[0] / widths[1], covered(rival, value))
        )
    return np.array(found), true


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--rows", type=int, default=20000)
    args = parser.parse_args()
    print(f"{args.draws} draws of {args.rows} rows; coverage, relative width, (alone)")
    head = ("positive", "AUC", "audit", "scores", *NAMES)
    print("{:>8} {:>5} {:>6} {:>15} {:>19} {:>19} {:>19}".format(*head))
    every = []
    for number, (share, auc, n_audited, kind) in enumerate(SETTINGS):
        rng = np.random.default_rng(number)
        found, true = measure(rng, share, auc, n_audited, kind, args.rows, args.draws)
        every.append(found)
        line = " ".join(f"{c:6.3f} {w:4.2f} ({a:.3f})" for c, w, a in found)
        print(f"{share:8g} {auc:5g} {n_audited:6d} {kind:>15} {line}", flush=True)
    every = np.array(every)
    for place, name in enumerate(NAMES):
        coverage, width = every[:, place, 0], every[:, place, 1]
        print(
            f"{name}: coverage {coverage.min():.3f} to {coverage.max():.3f}, mean "
            f"{coverage.mean():.3f}; relative width {width.min():.2f} to "
            f"{width.max():.2f}, mean {width.mean():.2f}"
        )


if __name__ == "__main__":
    main()
