"""Time and memory of training as one size grows and the others stay.

    python benchmarks/scaling.py [--sweeps labels cells ...] [--threads N]
                                 [--json FILE]
    python benchmarks/scaling.py --disk 1000000 10000000 [--folder FOLDER]

Each fit runs in a process of its own, in turns; rows are synthetic, one labeled cell
a row unless that is what grows. Peak memory is that of the process, beside what it was
with the data, before the fit.

`--disk` fits rows of a CSR that is mapped from the disk, 10 nonzeros each, on 100,000
features and labels, one cell a row, and a tenth of the rows in memory: the peak of
anonymous memory (Linux; pages of mapped files are no part of it) and CPU time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from unittest.mock import patch

import _engine as engine
import numpy as np
import scipy.sparse as sp

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


DISK = {"features": 100_000, "nonzeros": 10, "labels": 100_000, "epochs": 2}
PARTS = "data", "indices", "indptr"


def write_rows(folder, n_rows):
    """Write the arrays of a CSR, a hundred thousand rows at a time."""
    folder.mkdir(parents=True)
    width, n_features = DISK["nonzeros"], DISK["features"]
    shape = (n_rows * width,)
    data, indices = (
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, shape)
        for name, kind in (("data", np.float32), ("indices", np.int32))
    )
    rng = np.random.default_rng(0)
    bounds = np.cumsum(1 / (np.arange(n_features) + 2.7))  # as unequal as words
    names = rng.permutation(n_features)
    for start in range(0, n_rows, 100_000):
        n = min(100_000, n_rows - start)
        draws = np.searchsorted(bounds, bounds[-1] * rng.random((n, width)))
        columns = np.sort(names[draws.clip(max=n_features - 1)], axis=1)
        while len(again := np.argwhere(np.diff(columns, axis=1) == 0)):
            columns[tuple(again.T)] = rng.integers(n_features, size=len(again))
            columns.sort(axis=1)
        values = rng.random((n, width), dtype=np.float32) + np.float32(0.1)
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        part = slice(start * width, (start + n) * width)
        data[part], indices[part] = values.ravel(), columns.ravel()
    data.flush(), indices.flush()
    np.save(folder / "indptr.npy", np.arange(n_rows + 1, dtype=np.int32) * width)


def anonymous_mb():
    """Return the memory of this process that no file stands behind."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("--disk needs Linux: /proc/self/status has no RssAnon here.")


def run_disk(sizes):
    """Fit rows of a folder, mapped or read, and print a line of JSON."""
    from sklearn_masked import MaskedMultiLabelClassifier
    from sklearn_masked.nn.sdca import SDCASolver

    engine.pin(1)
    warnings.simplefilter("ignore")  # labels that no cell speaks of
    folder, mode = Path(sizes["folder"]), "r" if sizes["mapped"] else None
    parts = [np.load(folder / f"{name}.npy", mmap_mode=mode) for name in PARTS]
    n_rows = len(parts[2]) - 1
    X = sp.csr_matrix(tuple(parts), (n_rows, DISK["features"]), copy=False)
    labels = engine.random_cells(n_rows, DISK["labels"])
    model = MaskedMultiLabelClassifier(
        label_correlation=0, max_epochs=DISK["epochs"], random_state=0, device="cpu"
    )
    before, peak, ended = anonymous_mb(), [0.0], threading.Event()

    def watch():
        while not ended.wait(0.02):
            peak[0] = max(peak[0], anonymous_mb())

    watcher, used = threading.Thread(target=watch), time.thread_time()
    watcher.start()
    with patch.object(SDCASolver, "has_converged", False):
        model.fit(X, labels)
    used = time.thread_time() - used
    ended.set()
    watcher.join()
    state = model.net_.module_.state_dict().values()
    row = {"rows": n_rows, "nonzeros": X.nnz, "before_mb": before, "peak_mb": peak[0]}
    row["model_mb"] = sum(part.numel() * part.element_size() for part in state) / 2**20
    print(json.dumps(row | {"cpu_us": 1e6 * used / X.nnz}))


def disk(sizes, folder):
    """Print and return a row for each number of rows on disk."""
    print(", ".join(f"{name} {value}" for name, value in DISK.items()))
    print(
        f"{'rows':>10} {'peak, MB':>9} {'before':>7} {'model':>6} {'allowed':>8} "
        "CPU, us a nonzero  a tenth in memory  ratio"
    )
    rows = []
    for n_rows in sizes:
        found = {}
        for n, mapped in ((n_rows, True), (n_rows // 10, False)):
            place = Path(folder) / str(n)
            if not place.exists():
                write_rows(place, n)
            found[mapped] = measure({"folder": str(place), "mapped": mapped})
        row, tenth = found[True], found[False]
        ratio = row["cpu_us"] / tenth["cpu_us"]
        print(
            f"{n_rows:>10} {row['peak_mb']:>9.0f} {row['before_mb']:>7.0f} "
            f"{row['model_mb']:>6.0f} {2048 + 2 * row['model_mb']:>8.0f} "
            f"{row['cpu_us']:>17.2f} {tenth['cpu_us']:>18.2f} {ratio:>6.2f}",
            flush=True,
        )
        rows.append({"disk": row, "tenth": tenth})
    return rows


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
    parser.add_argument("--disk", type=int, nargs="+", help="rows on disk")
    parser.add_argument("--folder", help="for the rows; default: a temporary one")
    args = parser.parse_args()
    if args.one:
        sizes = json.loads(args.one)
        (run_disk if "mapped" in sizes else run)(sizes)
        return
    if args.disk:
        env = engine.environment(1)
        engine.print_environment(env)
        with tempfile.TemporaryDirectory() as own:
            rows = disk(args.disk, args.folder or own)
        engine.write_json(args.json, environment=env, disk=DISK, rows=rows)
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
