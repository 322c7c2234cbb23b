"""Time of the bootstrap against a loop, and how often its intervals hold the truth.

    python benchmarks/inspection.py [time] [coverage]

Both run on simulated scores, in minutes on one core.
"""

import argparse
import time
import warnings

import numpy as np

from sklearn_masked import MaskedLabels, metrics
from sklearn_masked.inspection import bootstrap_interval

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


PARTS = {"time": times, "coverage": coverage}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    warnings.simplefilter("ignore", metrics.UnscoredLabelsWarning)
    for part in parser.parse_args().parts:
        PARTS[part]()


if __name__ == "__main__":
    main()
