"""Time and memory of predictions: of a million rows, and of single cells.

    python benchmarks/prediction.py [--samples 1000000] [--labels 85] [--threads N]
                                    [--json FILE]

A model is fitted once, on a part of the rows, and loaded by a process of its own for
each way to predict. Rows and cells a second are those of the whole call; the memory is
the growth of the peak over what it was with the data, beside the size of the result.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import _engine as engine
import numpy as np
import scipy.sparse as sp

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier, serving
from sklearn_masked.metrics import masked_roc_auc_scorer
from sklearn_masked.serving import predict_top_k


def decision_function(model, X, cells):
    return model.decision_function(X)


def predict_proba(model, X, cells):
    return model.predict_proba(X)


def predict(model, X, cells):
    return model.predict(X)


def cells_alone(model, X, cells):
    return model.decision_function_cells(X, *cells)


def cells_from_rows(model, X, cells):
    """Predict blocks of whole rows and keep the cells."""
    logits = np.empty(len(cells[0]), np.float32)
    for start in range(0, X.shape[0], 8192):
        rows = slice(start, start + 8192)
        some = slice(*np.searchsorted(cells[0], (start, start + 8192)))
        block = model.decision_function(X[rows])
        logits[some] = block[cells[0][some] - start, cells[1][some]]
    return logits


def scorer(model, X, cells):
    values = np.arange(len(cells[0])) % 2
    shape = (X.shape[0], model.n_labels_)
    labels = MaskedLabels.from_cells(*cells, values, shape=shape)
    return np.array(masked_roc_auc_scorer(model, X, labels))


def top_5(model, X, cells):
    return predict_top_k(model, X, 5).labels


def predictor(model, X, cells):
    return serving.load("model.safetensors").predict_proba(X)


def predictor_top_5(model, X, cells):
    return predict_top_k(serving.load("model.safetensors"), X, 5).labels


WAYS = {
    "decision_function": decision_function,
    "predict_proba": predict_proba,
    "predict": predict,
    "decision_function_cells": cells_alone,
    "the same cells out of whole rows": cells_from_rows,
    "masked_roc_auc_scorer": scorer,
    "predict_top_k, 5": top_5,
    "predict_proba, served": predictor,
    "predict_top_k, 5, served": predictor_top_5,
}


def run(way, folder, threads):
    engine.pin(threads)
    warnings.simplefilter("ignore")  # labels of one kind of cell
    X = sp.load_npz(Path(folder, "X.npz")).tocsr()
    model = pickle.loads(Path(folder, "model.pkl").read_bytes())
    cols = np.random.default_rng(1).integers(model.n_labels_, size=X.shape[0])
    cells = np.arange(X.shape[0]), cols
    os.chdir(folder)
    before = engine.peak_mb()
    start, used = time.perf_counter(), time.process_time()
    result = WAYS[way](model, X, cells)
    row = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - used}
    row |= {"peak_mb": engine.peak_mb(), "before_mb": before}
    row["result_mb"] = result.nbytes / 2**20
    print(json.dumps(row))


def measure(way, folder, threads):
    command = [sys.executable, __file__, "--way", way, folder]
    done = subprocess.run(
        [*command, "--threads", str(threads)], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.split("\n")[-2])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=50_000)
    parser.add_argument("--nonzeros", type=int, default=50, help="a row")
    parser.add_argument("--labels", type=int, default=85)
    parser.add_argument("--fitted", type=int, default=20_000, help="rows to fit on")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", default="prediction.json", help="file to write")
    parser.add_argument("--way", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        run(*args.way, args.threads)
        return

    env = engine.environment(args.threads)
    engine.print_environment(env)
    engine.pin(args.threads)
    X = engine.synthetic_rows(args.samples, args.features, args.nonzeros)
    n_fitted = min(args.fitted, args.samples)
    labels = engine.random_cells(n_fitted, args.labels)
    with warnings.catch_warnings(action="ignore"):
        model = MaskedMultiLabelClassifier(
            max_epochs=1, random_state=0, device="cpu"
        ).fit(X[:n_fitted], labels)
    print(f"{X.shape[0]} rows x {args.labels} labels, {X.nnz} nonzeros", flush=True)
    results = {way: [] for way in args.ways}
    with tempfile.TemporaryDirectory() as folder:
        sp.save_npz(Path(folder, "X.npz"), X, compressed=False)
        Path(folder, "model.pkl").write_bytes(pickle.dumps(model))
        serving.export(model, Path(folder, "model.safetensors"))
        del X, model
        for _ in range(args.repeats):
            for way in args.ways:
                results[way].append(measure(way, folder, args.threads))
    print(
        f"{'':34s} seconds (each)             CPU, s  rows/s    peak grows by, MB  "
        "result, MB"
    )
    for way, rows in results.items():
        seconds = [row["seconds"] for row in rows]
        grown = np.median([row["peak_mb"] - row["before_mb"] for row in rows])
        each = ", ".join(f"{second:.2f}" for second in seconds)
        print(
            f"{way:34s} {np.median(seconds):6.2f} ({each:17s}) "
            f"{np.median([row['cpu'] for row in rows]):7.2f} "
            f"{args.samples / np.median(seconds):8.0f} {grown:12.0f} "
            f"{rows[0]['result_mb']:15.0f}"
        )
    engine.write_json(args.json, environment=env, sizes=vars(args), ways=results)


if __name__ == "__main__":
    main()
