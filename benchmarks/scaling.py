"""Time and memory of training as one size grows and the others stay.

    python benchmarks/scaling.py [--sweeps labels cells ...] [--threads N]
                                 [--json FILE]

Each fit runs in a process of its own, in turns; rows are synthetic, one labeled cell
a row unless that is what grows. Peak memory is that of the process, beside what it was
with the data, before the fit.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from unittest.mock import patch

import _engine as engine
import numpy as np

BASE = {
    "samples": 40_000,
    "features": 50_000,
    "nonzeros": 50,
    "labels": 85,
    "cells_a_row": 1,
    "batch_size": 512,
    "embedding_dim": 100,
    "threads": 1,
}
SWEEPS = {
    # What grows, and the row of the table that the others are divided by.
    "labels": ([10, 85, 1000, 10_955, 100_000], 85),
    "nonzeros": ([10, 50, 250], 50),
    "samples": ([10_000, 40_000, 160_000], 40_000),
    "cells_a_row": ([1, 2, 5, 20, 85], 1),
    "batch_size": ([64, 256, 512, 2048, 8192], 512),
    "embedding_dim": ([10, 100, 300], 100),
    "threads": ([1, 2], 1),
}


def run(sizes):
    """Fit once, predict the labeled cells, and print a line of JSON."""
    from sklearn_masked import MaskedMultiLabelClassifier
    from sklearn_masked.metrics import masked_roc_auc_scorer
    from sklearn_masked.nn.sdca import SDCASolver

    engine.pin(sizes["threads"])
    warnings.simplefilter("ignore")  # labels that no cell speaks of
    X = engine.synthetic_rows(sizes["samples"], sizes["features"], sizes["nonzeros"])
    labels = engine.random_cells(
        sizes["samples"], sizes["labels"], sizes["cells_a_row"]
    )
    before = engine.peak_mb()
    model = MaskedMultiLabelClassifier(
        embedding_dim=sizes["embedding_dim"],
        batch_size=sizes["batch_size"],
        callbacks=[engine.EpochTimes()],
        random_state=0,
        device="cpu",
    )
    start, used = time.perf_counter(), time.process_time()
    # All epochs are run: the first is dearer, and would be half of two.
    with patch.object(SDCASolver, "has_converged", False):
        model.fit(X, labels)
    row = {"fit_s": time.perf_counter() - start, "cpu_s": time.process_time() - used}
    times = dict(model.net_.callbacks_)["EpochTimes"]
    row["epoch_s"] = float(np.median(times.wall))
    row["epoch_cpu_s"] = float(np.median(times.cpu))
    row |= {"peak_mb": engine.peak_mb(), "before_mb": before}
    start = time.perf_counter()
    masked_roc_auc_scorer(model, X, labels)
    row["score_s"] = time.perf_counter() - start
    module = model.net_.module_
    parameters = sum(p.numel() * p.element_size() for p in module.parameters())
    buffers = sum(b.numel() * b.element_size() for b in module.buffers())
    row["model_mb"] = (parameters + buffers) / 2**20
    row["X_mb"] = (X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 2**20
    print(json.dumps(row))


def measure(sizes):
    command = [sys.executable, __file__, "--one", json.dumps(sizes)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.split("\n")[-2])


def sweep(name, repeats):
    """Print and return the table of what grows."""
    values, base = SWEEPS[name]
    runs = {value: [] for value in values}
    for _ in range(repeats):
        for value in values:
            runs[value].append(measure(BASE | {name: value}))
    known = ("fit_s", "cpu_s", "epoch_s", "epoch_cpu_s", "score_s")
    known += ("peak_mb", "before_mb")
    middle = {
        value: {key: float(np.median([row[key] for row in rows])) for key in known}
        for value, rows in runs.items()
    }
    print(
        f"\n{name:>14s}   fit, s (each)              CPU, s  epoch, s  x base  "
        "epoch CPU, s  x base  score, s  peak, MB (before)"
    )
    for value, row in middle.items():
        each = ", ".join(f"{one['fit_s']:.1f}" for one in runs[value])
        print(
            f"{value:>14}  {row['fit_s']:6.2f} ({each:17s}) {row['cpu_s']:7.2f} "
            f"{row['epoch_s']:9.3f} {row['epoch_s'] / middle[base]['epoch_s']:7.2f} "
            f"{row['epoch_cpu_s']:13.3f} "
            f"{row['epoch_cpu_s'] / middle[base]['epoch_cpu_s']:7.2f} "
            f"{row['score_s']:9.2f} {row['peak_mb']:9.0f} ({row['before_mb']:.0f})",
            flush=True,
        )
    return {str(value): rows for value, rows in runs.items()}


def plot(results, path):
    """Draw seconds and memory of each sweep."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(results), squeeze=False, layout="constrained")
    figure.set_size_inches(2.6 * len(results), 4.6)
    for (name, runs), (top, bottom) in zip(results.items(), axes.T, strict=True):
        values = [float(value) for value in runs]
        for axis, keys in ((top, ("fit_s", "epoch_s")), (bottom, ("peak_mb",))):
            for key in keys:
                middle = [
                    np.median([row[key] for row in rows]) for rows in runs.values()
                ]
                axis.plot(values, middle, "o-", label=key)
            axis.set(xscale="log", xlabel=name, ylim=(0, None))
            axis.legend(fontsize=7)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweeps", nargs="+", default=list(SWEEPS), choices=SWEEPS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=BASE["threads"])
    parser.add_argument("--samples", type=int, default=BASE["samples"])
    parser.add_argument("--nonzeros", type=int, default=BASE["nonzeros"], help="a row")
    parser.add_argument("--json", default="scaling.json", help="file to write")
    parser.add_argument("--png", help="file to draw")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run(json.loads(args.one))
        return
    for name in ("threads", "samples", "nonzeros"):
        BASE[name] = getattr(args, name)

    env = engine.environment(args.threads)
    engine.print_environment(env)
    print(", ".join(f"{name} {value}" for name, value in BASE.items()), flush=True)
    results = {name: sweep(name, args.repeats) for name in args.sweeps}
    engine.write_json(args.json, environment=env, base=BASE, sweeps=results)
    if args.png:
        plot(results, args.png)


if __name__ == "__main__":
    main()
