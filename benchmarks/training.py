"""Time training, steps and whole fits, beside what else one could use.

    python benchmarks/training.py [--data FOLDER] [--threads N] [--json FILE]
                                  [--parts steps fits] [--batch-sizes 256 ...]
                                  [--width 64]

FOLDER holds `texts.csv.gz` (columns id, text, split) and `labels.npz`; without it the
rows are synthetic. One labeled cell a row is kept. Contestants work on the same rows,
in turns; those that are not installed are named and left out.

*Steps*: an embedding bag of that width and a linear layer, the masked loss of the
labeled cells; the batch, forward, backward and update are timed together. Every
contestant gets its batches from this package's slicing, so that only the bag, its
gradient and the optimizer differ. Ours multiplies the gradient out block by block of
rows, or makes a sparse one as torch's do; "fixed batches" keep their members and what
was prepared for them, as ``iterator_train__fixed=True`` does; "the default" is
`MaskedMultiLabelClassifier` by its own algorithm, its epochs by batch. *Fits*: each in
a process of its own, with its peak memory; ours and fastText's are of the same width
and of as many epochs at most.
"""
# ruff: noqa: D102

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from unittest.mock import patch

import _engine as engine
import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from sklearn_masked import (
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
)
from sklearn_masked.classifier._data import make_targets
from sklearn_masked.nn import MaskedBCEWithLogitsLoss
from sklearn_masked.nn._batches import CellDataset
from sklearn_masked.nn._sparse import embedding_bag, keep_transpose
from sklearn_masked.nn.sdca import SDCASolver
from sklearn_masked.nn.sgd._optim import LazyAdam, RowWiseAdagrad, SparseSGD

WIDTH = 64  # of all contestants; `--width` sets another
EPOCHS = 6
LOSS = MaskedBCEWithLogitsLoss()


# Steps


def head_loss(bags, output, cells):
    """Return the loss of the labeled cells from the embedded rows."""
    rows, labels = bags.index_select(0, cells.rows), output.index_select(0, cells.cols)
    logits = torch.linalg.vecdot(rows, labels)
    return LOSS.cell_loss(logits, *cells)


def ours(make_optimizer, sparse="blocks"):
    """Return a contestant: our bag operator and one of our optimizers."""

    def build(n_features, n_labels):
        table = nn.Parameter(torch.randn(n_features, WIDTH) * 0.01)
        output = nn.Parameter(torch.randn(n_labels, WIDTH) * 0.01)
        optimizer = make_optimizer([table, output])

        def step(inputs, cells):
            optimizer.zero_grad()
            bags = embedding_bag(table, **inputs, sparse=sparse)
            head_loss(bags, output, cells).backward()
            optimizer.step()

        return step

    return build


def stock(make_optimizer, sparse):
    """Return a contestant: torch's EmbeddingBag and torch's optimizers."""

    def build(n_features, n_labels):
        bag = nn.EmbeddingBag(n_features, WIDTH, mode="sum", sparse=sparse)
        nn.init.normal_(bag.weight, std=0.01)
        output = nn.Parameter(torch.randn(n_labels, WIDTH) * 0.01)
        optimizers = [make_optimizer([bag.weight])]
        # torch's SparseAdam takes no dense gradients: the layer has its own optimizer.
        dense = torch.optim.SGD if sparse else make_optimizer
        optimizers.append(dense([output]))

        def step(inputs, cells):
            for optimizer in optimizers:
                optimizer.zero_grad()
            bags = bag(inputs["indices"], inputs["offsets"], inputs["weights"])
            head_loss(bags, output, cells).backward()
            for optimizer in optimizers:
                optimizer.step()

        return step

    return build


def fbgemm(n_features, n_labels):
    """Build FBGEMM's table-batched embedding, row-wise Adagrad in its backward."""
    from fbgemm_gpu.split_embedding_configs import EmbOptimType
    from fbgemm_gpu.split_table_batched_embeddings_ops_common import (
        EmbeddingLocation,
        PoolingMode,
    )
    from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
        ComputeDevice,
        SplitTableBatchedEmbeddingBagsCodegen,
    )

    bag = SplitTableBatchedEmbeddingBagsCodegen(
        [(n_features, WIDTH, EmbeddingLocation.HOST, ComputeDevice.CPU)],
        optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
        learning_rate=0.02,
        eps=1e-10,
        pooling_mode=PoolingMode.SUM,
    )
    nn.init.normal_(bag.weights_host, std=0.01)
    output = nn.Parameter(torch.randn(n_labels, WIDTH) * 0.01)
    optimizer = RowWiseAdagrad([output], lr=0.02)

    def step(inputs, cells):
        optimizer.zero_grad()
        indices, offsets = inputs["indices"].long(), inputs["offsets"].long()
        offsets = torch.cat([offsets, offsets.new_tensor([len(indices)])])
        bags = bag(indices, offsets, inputs["weights"])
        head_loss(bags, output, cells).backward()
        optimizer.step()

    return step


STEPS = {
    "ours, RowWiseAdagrad": ours(lambda p: RowWiseAdagrad(p, lr=0.02)),
    "ours, RowWiseAdagrad, sparse gradient": ours(
        lambda p: RowWiseAdagrad(p, lr=0.02), True
    ),
    "ours, RowWiseAdagrad, fixed batches": ours(lambda p: RowWiseAdagrad(p, lr=0.02)),
    "ours, SparseSGD": ours(lambda p: SparseSGD(p, lr=0.1)),
    "ours, LazyAdam": ours(lambda p: LazyAdam(p, lr=0.01)),
    "EmbeddingBag, SGD": stock(lambda p: torch.optim.SGD(p, lr=0.1), False),
    "EmbeddingBag, fused Adam": stock(
        lambda p: torch.optim.Adam(p, lr=0.01, fused=True), False
    ),
    "EmbeddingBag sparse, SGD": stock(lambda p: torch.optim.SGD(p, lr=0.1), True),
    "EmbeddingBag sparse, Adagrad": stock(
        lambda p: torch.optim.Adagrad(p, lr=0.02), True
    ),
    "EmbeddingBag sparse, SparseAdam": stock(
        lambda p: torch.optim.SparseAdam(p, lr=0.01), True
    ),
    "FBGEMM, row-wise Adagrad": fbgemm,
}


def time_default(X, labels, batch_size, epochs):
    """Return the milliseconds a batch of the default's dual ascent takes.

    The first epoch makes the inner products that later ones use. It does all of them,
    even where fewer are enough.
    """
    with patch.object(SDCASolver, "has_converged", False):
        model = MaskedMultiLabelClassifier(
            embedding_dim=WIDTH,
            batch_size=batch_size,
            max_epochs=epochs,
            calibrate=False,
            random_state=0,
            device="cpu",
        ).fit(X, labels)
    wall = 1e3 * np.array([row["dur"] for row in model.history_])
    wall /= X.shape[0] / batch_size
    low, middle, high = np.percentile(wall[1:], (25, 50, 75))
    parts = {
        "first epoch": (wall[0], [wall[0]] * 2),
        "later epochs": (middle, [low, high]),
    }
    return {
        f"ours, the default's {name}": {
            "median_ms": float(median),
            "quartiles_ms": quartiles,
            "cpu_ms": np.nan,  # a callback that reads it would have its price
        }
        for name, (median, quartiles) in parts.items()
    }


def time_steps(X, labels, batch_size, rounds, steps):
    """Print and return the times of all contestants at one batch size."""
    dataset = CellDataset(X, make_targets(labels, None))
    order = np.random.default_rng(0).permutation(len(dataset))
    batch_size = min(batch_size, len(dataset))
    n_batches = len(dataset) // batch_size
    kept = {}

    def members(i):
        start = i % n_batches * batch_size
        return order[start : start + batch_size]

    def run(name, step):
        if "fixed" not in name:
            return lambda i: step(*dataset.batch(members(i)))

        def of_kept(i):
            i %= min(n_batches, steps)
            if i not in kept:
                kept[i] = dataset.batch(members(i))
                keep_transpose(kept[i][0])
            step(*kept[i])

        # The first pass prepares the batches.
        for i in range(steps):
            of_kept(i)
        return of_kept

    contestants = {}
    for name, build in STEPS.items():
        try:
            contestants[name] = run(name, build(X.shape[1], labels.n_labels))
        except ImportError as error:
            print(f"left out: {name} ({error})")
    times = engine.in_turns(contestants, rounds, steps)
    times |= time_default(X, labels, batch_size, 1 + rounds)
    nonzeros = X.nnz / X.shape[0] * batch_size
    print(f"\nB = {batch_size}, {nonzeros:.0f} nonzeros a batch")
    print(f"{'':37s}  median ms  (quartiles)      CPU ms  Mnnz/s  x ours  x ours, CPU")
    best = times["ours, RowWiseAdagrad"]
    for name, row in times.items():
        row["million_nonzeros_a_second"] = nonzeros / row["median_ms"] / 1e3
        row["ratio"] = row["median_ms"] / best["median_ms"]
        row["cpu_ratio"] = row["cpu_ms"] / best["cpu_ms"]
        low, high = row["quartiles_ms"]
        print(
            f"{name:37s}  {row['median_ms']:9.2f}  ({low:7.2f},{high:8.2f}) "
            f"{row['cpu_ms']:8.2f} {row['million_nonzeros_a_second']:7.2f} "
            f"{row['ratio']:7.2f} {row['cpu_ratio']:7.2f}",
            flush=True,
        )
    return times


# Fits, each in a process of its own


def fit_default(X, labels):
    model = MaskedMultiLabelClassifier(
        embedding_dim=WIDTH, max_epochs=EPOCHS, random_state=0, device="cpu"
    ).fit(X, labels)
    epochs = [row["dur"] for row in model.history_]
    return {"epoch_seconds": float(np.median(epochs)), "passes": EPOCHS}


def fit_rowwise(X, labels):
    model = MaskedMultiLabelClassifier(
        max_epochs=EPOCHS,
        module=Bag,
        optimizer=RowWiseAdagrad,
        lr=0.02,
        random_state=0,
        device="cpu",
    ).fit(X, labels)
    epochs = [row["dur"] for row in model.history_]
    return {"epoch_seconds": float(np.median(epochs)), "passes": EPOCHS}


class Bag(nn.Module):
    """An embedding bag of the same width, single cells computed alone."""

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.table = nn.Parameter(torch.randn(n_features, WIDTH) * 0.01)
        self.output = nn.Parameter(torch.randn(n_labels, WIDTH) * 0.01)

    def forward(self, indices, offsets, weights):
        return embedding_bag(self.table, indices, offsets, weights) @ self.output.T

    def cell_logits(self, rows, cols, **bags):
        hidden = embedding_bag(self.table, **bags, sparse="blocks")
        return (hidden[rows] * self.output[cols]).sum(1)


def fit_separate(make):
    def fit(X, labels):
        MaskedMultiOutputClassifier(make()).fit(X, labels)
        return {}

    return fit


def logistic_regression():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=30, solver="liblinear", random_state=0)


def sgd_classifier():
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(loss="log_loss", max_iter=EPOCHS, tol=None, random_state=0)


def write_words(X, rows, words_of_labels, path):
    """Write rows as fastText reads them, a word a nonzero."""
    words = np.array([f"w{column}" for column in range(X.shape[1])], object)
    with open(path, "w") as file:
        for row, label in zip(rows, words_of_labels, strict=True):
            text = " ".join(words[X.indices[X.indptr[row] : X.indptr[row + 1]]])
            file.write(f"__label__{label} {text}\n")


def fasttext_seconds(path, loss, epochs):
    """Return wall and CPU seconds of a training."""
    import fasttext

    start = np.array([time.perf_counter(), time.process_time()])
    fasttext.train_supervised(
        str(path),
        dim=WIDTH,
        epoch=epochs,
        loss=loss,
        lr=0.1,
        minCount=1,
        bucket=0,
        thread=torch.get_num_threads(),
        verbose=0,
    )
    return np.array([time.perf_counter(), time.process_time()]) - start


def fit_fasttext_ova(X, labels):
    """One model for all labels; each row bears its labeled cell's label."""
    cells = labels.cells()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "words.txt")
        write_words(X, cells.rows, cells.cols, path)
        once = fasttext_seconds(path, "ova", 1)
        seconds = fasttext_seconds(path, "ova", EPOCHS)
    # What a pass more takes: reading the file and the dictionary do not count.
    epoch = (seconds - once) / (EPOCHS - 1)
    row = {"seconds": seconds[0], "cpu": seconds[1], "passes": EPOCHS}
    return row | {"epoch_seconds": epoch[0], "epoch_cpu": epoch[1]}


def fit_fasttext_separate(X, labels):
    """Train a binary model a label on its rows; writing the files is not timed."""
    cells = labels.cells()
    seconds = np.zeros(2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "words.txt")
        for label in np.flatnonzero((labels.n_positive > 0) & (labels.n_negative > 0)):
            own = cells.cols == label
            write_words(X, cells.rows[own], cells.values[own], path)
            seconds += fasttext_seconds(path, "softmax", EPOCHS)
    return {"seconds": seconds[0], "cpu": seconds[1], "passes": EPOCHS}


def fit_skorch(X, labels, n_rows=256, batch_size=128):
    """Fit skorch with its own dataset, which makes each CSR row dense: a sample."""
    import skorch

    X, labels = X[:n_rows], labels[:n_rows]
    y = np.nan_to_num(labels.to_dense(), nan=-1).astype(np.float32)

    class Masked(nn.Module):
        def forward(self, logits, y):
            known = y >= 0
            return nn.functional.binary_cross_entropy_with_logits(
                logits[known], y[known]
            )

    net = skorch.NeuralNet(
        nn.Sequential(
            nn.Linear(X.shape[1], WIDTH, bias=False), nn.Linear(WIDTH, y.shape[1])
        ),
        Masked,
        optimizer=torch.optim.SGD,
        max_epochs=2,
        batch_size=batch_size,
        train_split=None,
        verbose=0,
    )
    net.fit(X, y)
    # The second epoch: the first one warms up.
    seconds = net.history[-1]["dur"]
    return {"epoch_seconds": seconds, "rows": n_rows, "passes": 1}


FITS = {
    "ours, the default": fit_default,
    "ours, a bag and RowWiseAdagrad": fit_rowwise,
    "C separate liblinear": fit_separate(logistic_regression),
    "C separate SGDClassifier": fit_separate(sgd_classifier),
    "fastText ova": fit_fasttext_ova,
    "C separate fastText": fit_fasttext_separate,
    "skorch's own dataset": fit_skorch,
}


def run_fit(name, folder, threads):
    """Fit one contestant and print a line of JSON: runs in a process of its own."""
    engine.pin(threads)
    warnings.simplefilter("ignore")  # labels of one class among few rows
    X = sp.load_npz(Path(folder, "X.npz")).tocsr()
    with np.load(Path(folder, "cells.npz")) as cells:
        labels = MaskedLabels.from_cells(
            cells["rows"],
            cells["cols"],
            cells["values"],
            shape=(X.shape[0], int(cells["n_labels"])),
        )
    before = engine.peak_mb()
    start, used = time.perf_counter(), time.process_time()
    row = FITS[name](X, labels)
    row.setdefault("seconds", time.perf_counter() - start)
    row.setdefault("cpu", time.process_time() - used)
    row |= {"peak_mb": engine.peak_mb(), "peak_before_mb": before}
    if "epoch_seconds" in row:
        rows = row.get("rows", X.shape[0])
        nonzeros = X.nnz * rows / X.shape[0]
        row["million_nonzeros_a_second"] = nonzeros / row["epoch_seconds"] / 1e6
    print(json.dumps(row))


def time_fits(X, labels, names, repeats, threads):
    """Print and return seconds and memory of whole fits, repeats in turns."""
    results = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        sp.save_npz(Path(folder, "X.npz"), X, compressed=False)
        cells = labels.cells()._asdict()
        del cells["weights"]
        np.savez(Path(folder, "cells.npz"), n_labels=labels.n_labels, **cells)
        for _ in range(repeats):
            for name in names:
                command = [sys.executable, __file__, "--fit", name, folder]
                done = subprocess.run(
                    [*command, "--threads", str(threads), "--width", str(WIDTH)],
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    reason = done.stderr.strip().split("\n")[-1]
                    print(f"left out: {name} ({reason})", flush=True)
                    continue
                results[name].append(json.loads(done.stdout.split("\n")[-2]))
                print(f"{name}: {results[name][-1]['seconds']:.1f} s", flush=True)
    print(
        f"\n{'':32s}  fit, s (each)            x ours   CPU, s  x ours  epoch, s  "
        "Mnnz/s  peak, MB (before)"
    )
    own = results.get("ours, the default") or [{"seconds": np.nan, "cpu": np.nan}]
    base = {key: np.median([row[key] for row in own]) for key in ("seconds", "cpu")}
    for name, rows in results.items():
        if rows:
            _print_fit(name, rows, base)
    return results


def _print_fit(name, rows, base):
    seconds = [row["seconds"] for row in rows]

    def median(key):
        return np.median([row.get(key, np.nan) for row in rows])

    each = ", ".join(f"{second:.1f}" for second in seconds)
    print(
        f"{name:32s}  {median('seconds'):6.2f} ({each:16s}) "
        f"{median('seconds') / base['seconds']:6.2f} {median('cpu'):8.2f} "
        f"{median('cpu') / base['cpu']:7.2f} {median('epoch_seconds'):9.3f} "
        f"{median('million_nonzeros_a_second'):7.3f} {median('peak_mb'):9.0f} "
        f"({median('peak_before_mb'):.0f})"
    )


def main():
    global WIDTH
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="a folder as described above")
    parser.add_argument("--json", default="training.json", help="file to write")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", nargs="+", default=["steps", "fits"])
    parser.add_argument("--width", type=int, default=WIDTH, help="of the embeddings")
    sizes = [256, 512, 1024, 2048, 4096, 8192]
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=sizes)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="a round")
    parser.add_argument("--repeats", type=int, default=3, help="of whole fits")
    parser.add_argument("--fits", nargs="+", default=list(FITS), choices=FITS)
    parser.add_argument("--samples", type=int, default=40_000, help="synthetic rows")
    parser.add_argument("--features", type=int, default=50_000, help="synthetic")
    parser.add_argument("--nonzeros", type=int, default=100, help="synthetic, a row")
    parser.add_argument("--labels", type=int, default=85, help="synthetic")
    parser.add_argument("--fit", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    WIDTH = args.width
    if args.fit:
        run_fit(*args.fit, args.threads)
        return

    env = engine.environment(args.threads, "fbgemm-gpu-cpu", "fasttext-wheel")
    engine.print_environment(env)
    engine.pin(args.threads)
    if args.data:
        texts, Y = engine.read_texts(args.data)
        X, labels = engine.tfidf(texts), engine.one_sought(Y)
    else:
        X = engine.synthetic_rows(args.samples, args.features, args.nonzeros)
        labels = engine.random_cells(args.samples, args.labels)
    print(f"X {X.shape[0]} x {X.shape[1]}, {X.nnz} nonzeros; {labels!r}", flush=True)
    results = {"environment": env, "width": WIDTH, "nnz": X.nnz}
    results["shape"] = [*X.shape, labels.n_labels]
    if "steps" in args.parts:
        results["steps"] = {
            size: time_steps(X, labels, size, args.rounds, args.steps)
            for size in args.batch_sizes
        }
        engine.write_json(args.json, **results)
    if "fits" in args.parts:
        results["fits"] = time_fits(X, labels, args.fits, args.repeats, args.threads)
    engine.write_json(args.json, **results)


if __name__ == "__main__":
    main()
