"""What the programs about speed share: data, taking turns, tables, JSON."""

import csv
import gzip
import json
import os
import platform
import resource
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import skorch

from sklearn_masked import MaskedLabels

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "skorch")


def environment(threads, *packages):
    """Return what a table of times must stand beside."""
    versions = {}
    for name in (*PACKAGES, *packages):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load_before": [round(x, 1) for x in os.getloadavg()],
        **versions,
    }


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def print_environment(env):
    known = {k: v for k, v in env.items() if v is not None}
    print(", ".join(f"{k} {v}" for k, v in known.items()), flush=True)


def pin(threads):
    """Hold torch, BLAS and OpenMP to so many threads."""
    import threadpoolctl
    import torch

    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)


def write_json(path, **parts):
    Path(path).write_text(json.dumps(parts, indent=1) + "\n")


def in_turns(contestants, rounds, steps):
    """Time steps of each contestant, one after the other, round by round.

    Parameters
    ----------
    contestants : dict of callables
        Called with the number of the step, counted over all rounds.
    rounds, steps : int
        Steps a round and contestant.

    Returns
    -------
    dict of dict
        Milliseconds a step: median, quartiles, minimum, and the median of the
        thread's CPU time, which another process on the same core does not lengthen.
    """
    wall = {name: [] for name in contestants}
    cpu = {name: [] for name in contestants}
    for step in contestants.values():
        step(0)
    for i in range(rounds):
        for name, step in contestants.items():
            for k in range(steps):
                before, used = time.perf_counter(), time.thread_time()
                step(1 + i * steps + k)
                wall[name].append(1e3 * (time.perf_counter() - before))
                cpu[name].append(1e3 * (time.thread_time() - used))
    return {name: _summary(wall[name], cpu[name]) for name in contestants}


def _summary(wall, cpu):
    low, middle, high = np.percentile(wall, (25, 50, 75))
    return {
        "median_ms": middle,
        "quartiles_ms": [low, high],
        "min_ms": min(wall),
        "cpu_ms": float(np.median(cpu)),
        "n": len(wall),
    }


class EpochTimes(skorch.callbacks.Callback):
    """Note wall and CPU seconds of each epoch."""

    def __init__(self):
        self.wall, self.cpu = [], []

    def on_epoch_begin(self, net, **kwargs):  # noqa: D102
        self.start = time.perf_counter(), time.thread_time()

    def on_epoch_end(self, net, **kwargs):  # noqa: D102
        self.wall.append(time.perf_counter() - self.start[0])
        self.cpu.append(time.thread_time() - self.start[1])


def peak_mb():
    """Return the largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def synthetic_rows(n_samples, n_features, nonzeros, seed=0):
    """Return a CSR matrix whose columns are as unequal as words, rows of length 1."""
    rng = np.random.default_rng(seed)
    share = 1 / (np.arange(n_features) + 2.7)
    draws = rng.choice(n_features, n_samples * nonzeros, p=share / share.sum())
    columns = rng.permutation(n_features)[draws].astype(np.int32)
    indptr = np.arange(n_samples + 1, dtype=np.int32) * nonzeros
    values = rng.random(len(columns), dtype=np.float32)
    X = sp.csr_matrix((values, columns, indptr), (n_samples, n_features))
    X.sum_duplicates()
    lengths = np.sqrt(X.multiply(X).sum(axis=1).A1)
    X.data /= np.repeat(lengths, np.diff(X.indptr)).astype(np.float32)
    return X


def random_cells(n_samples, n_labels, cells_a_row=1, seed=0):
    """Return labels with so many labeled cells a row, at random places."""
    rng = np.random.default_rng(seed)
    start = rng.integers(n_labels, size=(n_samples, 1))
    # Steps of one odd number: the labels of a row differ.
    cols = (start + np.arange(cells_a_row) * _coprime(n_labels)) % n_labels
    values = rng.integers(2, size=cols.size)
    rows = np.repeat(np.arange(n_samples), cells_a_row)
    return MaskedLabels.from_cells(
        rows, cols.ravel(), values, shape=(n_samples, n_labels)
    )


def _coprime(n):
    step = max(1, int(0.6 * n))
    while np.gcd(step, n) != 1:
        step += 1
    return step


def read_texts(folder):
    """Return the training texts, and their labels as a CSR matrix, 1 = positive.

    `folder` holds `texts.csv.gz` (columns id, text, split) and `labels.npz`.
    """
    folder = Path(folder)
    with gzip.open(folder / "texts.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    train = np.array([row.get("split", "train") != "test" for row in rows])
    texts = [row["text"] for row, kept in zip(rows, train, strict=True) if kept]
    return texts, sp.load_npz(folder / "labels.npz").tocsr()[train]


def tfidf(texts):
    """Return word 1-2-grams as TF-IDF, float32."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), min_df=2, dtype=np.float32
    )
    return vectorizer.fit_transform(texts)


def one_sought(Y, seed=0):
    """Keep one cell a row: a positive half of the time, else a random label."""
    rng = np.random.default_rng(seed)
    n = Y.shape[0]
    lengths = np.diff(Y.indptr)
    cols = rng.integers(Y.shape[1], size=n)
    sought = (lengths > 0) & (rng.random(n) < 0.5)
    pick = Y.indptr[:-1] + (rng.random(n) * lengths).astype(int)
    cols[sought] = Y.indices[pick[sought]]
    values = np.asarray(Y[np.arange(n), cols]).ravel()
    return MaskedLabels.from_cells(np.arange(n), cols, values, shape=Y.shape)
