"""Time of the bootstrap against a loop, and how often its intervals hold the truth.

    python benchmarks/inspection.py [time] [coverage] [few] [exchange]

All run on simulated scores, in minutes on one core. `few` is the coverage and the width
of intervals of macro averages of labels with few positives and one labeled cell a row;
`exchange` is how often equal models differ with p <= 0.05.
"""

import argparse
import time
import warnings

import numpy as np

from sklearn_masked import MaskedLabels, metrics
from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.inspection import bootstrap_interval, paired_comparison

_LOOPS = 10  # replicates of the slow loop, whose time is multiplied


def simulate(rng, n_samples, n_labels, labeled, apart=1.5):
    """Return labels, one in ten positive, and scores.

    `labeled` is the share of labeled cells; the scores of positives lie `apart`
    standard deviations higher.
    """
    y = (rng.random((n_samples, n_labels)) < 0.1).astype(float)
    scores = apart * y + rng.normal(size=y.shape)
    y[rng.random(y.shape) >= labeled] = np.nan
    return MaskedLabels.from_dense(y), scores


def times():
    print("rows, labels, cells | metric | 1,000 replicates, s | loop, s | ratio")
    for n_samples, n_labels, labeled in (
        (2_000, 5, 0.5),
        (20_000, 85, 1 / 85),
        (10_000, 85, 1.0),
    ):
        rng = np.random.default_rng(0)
        labels, scores = simulate(rng, n_samples, n_labels, labeled)
        proba, pred = 1 / (1 + np.exp(-scores)), (scores > 1).astype(float)
        for name, y_score in (
            ("masked_roc_auc_score", scores),
            ("masked_average_precision_score", scores),
            ("masked_log_loss", proba),
            ("masked_brier_score_loss", proba),
            ("masked_f1_score", pred),
        ):
            metric = getattr(metrics, name)
            cells = labels.cells()
            y_score = y_score[cells.rows, cells.cols]
            start = time.perf_counter()
            fast = bootstrap_interval(metric, labels, y_score, random_state=0)
            middle = time.perf_counter()
            slow = bootstrap_interval(
                lambda *args, metric=metric, **kwargs: metric(*args, **kwargs),
                labels,
                y_score,
                n_resamples=_LOOPS,
                random_state=0,
            )
            loop = (time.perf_counter() - middle) * 1000 / _LOOPS
            gap = np.abs(fast.replicates[:_LOOPS] - slow.replicates).max()
            assert gap < 1e-12
            seconds = middle - start
            print(
                f"{n_samples:,} x {n_labels}, {labels.n_cells:,} | {name} | "
                f"{seconds:.2f} | {loop:.1f} | {loop / seconds:.0f}"
            )


def coverage(n_simulations=200, n_resamples=400):
    print("labels, positive cells each | metric, truth | percentiles | ours")
    for apart in (1.5, 3.0):
        for n_labels, n_samples, labeled in (
            (1, 50, 1.0),
            (1, 100, 1.0),
            (1, 300, 1.0),
            (1, 1000, 1.0),
            (20, 4000, 1 / 20),
            (85, 4000, 1 / 20),
        ):
            for metric in (
                metrics.masked_roc_auc_score,
                metrics.masked_average_precision_score,
            ):
                rng = np.random.default_rng(0)
                truth = metric(*simulate(rng, 1_000_000, 1, 1.0, apart))
                held = np.zeros(3)
                for _ in range(n_simulations):
                    found = bootstrap_interval(
                        metric,
                        *simulate(rng, n_samples, n_labels, labeled, apart),
                        n_resamples=n_resamples,
                        random_state=int(rng.integers(2**31)),
                    )
                    if np.isnan(found.estimate):
                        continue  # no positive at all
                    low, high = np.nanquantile(found.replicates, [0.025, 0.975])
                    held += [1, low <= truth <= high, found.low <= truth <= found.high]
                print(
                    f"{n_labels}, about {n_samples * labeled / 10:.0f} | "
                    f"{metric.__name__}, {truth:.3f} | "
                    f"{held[1]:.0f} of {held[0]:.0f} | {held[2]:.0f} of {held[0]:.0f}",
                    flush=True,
                )


def one_cell_a_row(rng, n_labels, n_positive, n_negative, apart, noise=1.0):
    """Return labels of shape (n_cells, n_labels), one cell a row, and their scores."""
    cols, each = np.arange(n_labels), n_positive + n_negative
    values = np.tile(np.arange(each) < n_positive, n_labels)
    scores = apart * values + noise * rng.normal(size=len(values))
    labels = MaskedLabels.from_cells(
        np.arange(len(values)),
        np.repeat(cols, each),
        values.astype(int),
        shape=(len(values), n_labels),
    )
    return labels, scores


def few(n_simulations=200, n_resamples=200):
    print("labels x positives, share, apart | metric, truth | bias | held | width")
    for n_labels, n_positive, n_negative, apart in (
        (50, 3, 27, 0.5),
        (50, 3, 27, 1.5),
        (50, 3, 27, 3.0),
        (50, 3, 57, 1.0),
        (50, 3, 7, 1.5),
        (40, 10, 90, 1.5),
        (40, 10, 190, 1.0),
        (40, 10, 490, 1.5),
        (40, 10, 23, 1.5),
    ):
        share = n_positive / (n_positive + n_negative)
        for metric in (
            metrics.masked_average_precision_score,
            metrics.masked_roc_auc_score,
        ):
            rng = np.random.default_rng(0)
            y = (rng.random((2_000_000, 1)) < share).astype(float)
            truth = metric(y, apart * y + rng.normal(size=y.shape))
            found = [
                bootstrap_interval(
                    metric,
                    *one_cell_a_row(rng, n_labels, n_positive, n_negative, apart),
                    n_resamples=n_resamples,
                    random_state=int(rng.integers(2**31)),
                )
                for _ in range(n_simulations)
            ]
            low, high = np.array([(one.low, one.high) for one in found]).T
            held = np.count_nonzero((low <= truth) & (truth <= high))
            estimates = np.array(
                [
                    metric(
                        *one_cell_a_row(rng, n_labels, n_positive, n_negative, apart)
                    )
                    for _ in range(2000)
                ]
            )
            spread = np.diff(np.quantile(estimates, [0.025, 0.975])).item()
            print(
                f"{n_labels} x {n_positive}, {share:.2f}, {apart} | "
                f"{metric.__name__}, {truth:.3f} | {estimates.mean() - truth:+.3f} | "
                f"{held} of {n_simulations} | {np.mean(high - low) / spread:.2f}",
                flush=True,
            )


def exchange(n_simulations=1000, n_resamples=199):
    print("labels x positives + negatives, apart, noise in common | metric | p <= 0.05")
    for n_labels, n_negative, apart, common in (
        (1, 36, 1.5, 0.3),
        (1, 96, 1.5, 1.0),
        (1, 96, 3.0, 1.0),
        (10, 36, 1.5, 1.0),
        (10, 96, 1.5, 1.0),
        (20, 36, 1.0, 1.0),
    ):
        for metric in (
            metrics.masked_average_precision_score,
            metrics.masked_roc_auc_score,
        ):
            rng = np.random.default_rng(0)
            n_small = 0
            for _ in range(n_simulations):
                labels, scores = one_cell_a_row(
                    rng, n_labels, 4, n_negative, apart, common
                )
                first, second = (scores + rng.normal(size=len(scores)) for _ in "ab")
                found = paired_comparison(
                    metric,
                    labels,
                    first,
                    np.exp(second),
                    n_resamples=n_resamples,
                    random_state=int(rng.integers(2**31)),
                )
                n_small += found.p_value <= 0.05
            print(
                f"{n_labels} x 4 + {n_negative}, {apart}, {common} | "
                f"{metric.__name__} | {n_small / n_simulations:.3f}",
                flush=True,
            )


PARTS = {"time": times, "coverage": coverage, "few": few, "exchange": exchange}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    warnings.simplefilter("ignore", UnscoredLabelsWarning)
    for part in parser.parse_args().parts:
        PARTS[part]()


if __name__ == "__main__":
    main()
