"""Time the masked metrics beside a loop of scikit-learn's over the labels.

    python benchmarks/metrics.py [--cells 1000000] [--labels 1000] [--json FILE]

Both get the same cells and scores, the loop one label's slice after the other, cut out
beforehand. In turns, in one process; one thread, as none of it uses more.
"""

import argparse
import time

import _engine as engine
import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from sklearn_masked import MaskedLabels
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_roc_auc_score,
)

METRICS = {
    "roc_auc": (masked_roc_auc_score, roc_auc_score),
    "average_precision": (masked_average_precision_score, average_precision_score),
}


def seconds_of(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def compare(ours, theirs, labels, scores, repeats):
    """Return both's seconds, in turns, and the largest difference of a label."""
    cells = labels.cells()
    order = np.argsort(cells.cols, kind="stable")
    ends = np.searchsorted(cells.cols[order], np.arange(labels.n_labels + 1))
    parts = [order[start:end] for start, end in zip(ends[:-1], ends[1:], strict=True)]
    # A label with one kind of cell alone has no score: the same ones for both.
    scored = (labels.n_positive > 0) & (labels.n_negative > 0)
    slices = [
        (
            cells.values[part],
            scores[part],
            None if (w := cells.weights) is None else w[part],
        )
        for part, known in zip(parts, scored, strict=True)
        if known
    ]

    def loop():
        return np.array([theirs(y, s, sample_weight=w) for y, s, w in slices])

    times = {"ours": [], "loop": []}
    for _ in range(repeats):
        seconds, of_loop = seconds_of(loop)
        times["loop"].append(seconds)
        for _ in range(3):
            seconds, of_ours = seconds_of(lambda: ours(labels, scores, average=None))
            times["ours"].append(seconds)
    return times, float(np.abs(of_ours[scored] - of_loop).max())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", default="metrics.json", help="file to write")
    args = parser.parse_args()

    env = engine.environment(1)
    engine.print_environment(env)
    rng = np.random.default_rng(0)
    n, n_labels = args.cells, args.labels
    cols, values = rng.integers(n_labels, size=n), rng.random(n) < 0.3
    weight = rng.random(n) + 0.1
    continuous = rng.standard_normal(n)
    rows = []
    print(f"{n} labeled cells over {n_labels} labels")
    print(f"{'':42s} loop, s (min)    ours, ms (min)   ratio  largest difference")
    for weighted in (False, True):
        labels = MaskedLabels.from_cells(
            np.arange(n),
            cols,
            values.astype(np.int8),
            shape=(n, n_labels),
            weights=weight if weighted else None,
        )
        for kind, scores in (("distinct", continuous), ("tied", continuous.round(2))):
            for name, (ours, theirs) in METRICS.items():
                times, difference = compare(ours, theirs, labels, scores, args.repeats)
                loop, own = (np.median(times[key]) for key in ("loop", "ours"))
                row = {"metric": name, "weighted": weighted, "scores": kind}
                row |= {"seconds": times, "ratio": loop / own, "difference": difference}
                rows.append(row)
                words = f"{name}, {kind}{', weighted' * weighted}"
                print(
                    f"{words:42s} {loop:6.2f} ({min(times['loop']):.2f})  "
                    f"{own * 1e3:10.0f} ({min(times['ours']) * 1e3:.0f}) "
                    f"{loop / own:9.1f}  {difference:.1e}",
                    flush=True,
                )
    engine.write_json(args.json, environment=env, rows=rows)


if __name__ == "__main__":
    main()
