"""What a served file costs and gives: start, equality, smaller files, damaged files.

    python benchmarks/serving.py start [--python PYTHON]
    python benchmarks/serving.py sets --data FOLDER [--sets goemotions ...]
    python benchmarks/serving.py fuzz [--files 10000]

`start` fits a pipeline of 20 labels and some 20,000 words, and loads it in a process of
its own: as a pickle, here, and as a file, here and by PYTHON, which may have numpy,
scipy and the project installed without its dependencies. CPU seconds are those of the
whole process, from its start to the first predicted text; memory is its peak.

`sets` fits the default model to some sought cells of each set, as `quality.py` reads
them from FOLDER, and compares the predictor with it on all test rows: the largest
difference of a probability, the CPU time of predicting them, in turns, and, for smaller
files, their size and the macro average precision.

`fuzz` damages files, by changed, missing and added bytes, and by changes of single
settings and arrays whose checksum is then made right, and loads them.
"""

import argparse
import contextlib
import json
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import _engine as engine
import _quality_data
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedMultiLabelClassifier, serving
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.exceptions import ServedFileError
from sklearn_masked.metrics import masked_average_precision_score

SETS = tuple(_quality_data.SETS)
SMALLER = {
    "as fitted": {},
    "float16": {"dtype": "float16"},
    "prune 0.5": {"prune": 0.5},
    "prune 0.8": {"prune": 0.8},
    "prune 0.9": {"prune": 0.9},
    "prune 0.8, float16": {"prune": 0.8, "dtype": "float16"},
}
START = """
import time, {module}
model = {load}
model.predict_proba(["some words"])
with open("/proc/self/status") as file:
    peak = next(line for line in file if line.startswith("VmHWM"))
print(time.process_time(), int(peak.split()[1]) / 1024)
"""


def classifier():
    return MaskedMultiLabelClassifier(random_state=0, device="cpu")


def start(args):
    texts, y = make_masked_multilabel(
        20_000, 20, vocabulary_size=24_000, words_per_text=60, random_state=0
    )
    model = make_pipeline(TfidfVectorizer(), classifier()).fit(texts, y)
    n_words = len(model[0].vocabulary_)
    print(f"20 labels, {n_words} words")
    with tempfile.TemporaryDirectory() as folder:
        pickled, served = Path(folder, "model.pkl"), Path(folder, "model.safetensors")
        pickled.write_bytes(pickle.dumps(model))
        serving.export(model, served)
        load = f"sklearn_masked.serving.load({str(served)!r})"
        ways = {
            "pickle": (
                sys.executable,
                "pickle",
                f"pickle.load(open({str(pickled)!r}, 'rb'))",
            ),
            "file": (sys.executable, "sklearn_masked.serving", load),
        }
        if args.python:
            ways["file, by --python"] = args.python, "sklearn_masked.serving", load
        print(f"{'':20s} {'CPU s':>8s} {'peak MB':>8s}  (median of {args.repeats})")
        for name, (python, module, expression) in ways.items():
            code = START.format(module=module, load=expression)
            # What is installed there, and no more, is what the other Python sees.
            options = ["-I"] if python == args.python else []
            runs = [_run([python, *options], code) for _ in range(args.repeats)]
            seconds, peak = np.median(runs, axis=0)
            print(f"{name:20s} {seconds:8.2f} {peak:8.0f}")
        print(f"file: {served.stat().st_size / 1e6:.1f} MB")


def _run(command, code):
    done = subprocess.run([*command, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [float(number) for number in done.stdout.split()]


def sets(args):
    engine.pin(1)
    for name in args.sets:
        X, X_test, Y, Y_test = _rows(name, args.data)
        rows = np.random.RandomState(0).permutation(len(Y))[: args.rows]
        y = _quality_data.choose_cells(Y[rows], "one-sought", "full", 0)
        model = classifier()
        if isinstance(X, np.ndarray) and X.ndim == 1:
            model = make_pipeline(TfidfVectorizer(**_quality_data.TFIDF), model)
        model.fit(X[rows], y)
        with tempfile.TemporaryDirectory() as folder:
            _compare(name, model, X_test, Y_test, Path(folder, "model"))


def _rows(name, folder):
    """Return rows and labels to train on and to test on, the rows as they are."""
    path = Path(folder) / name
    Y = _quality_data._read_labels(path)
    raw, parts = _quality_data._read_rows_and_split(path, "random0", len(Y), 0)
    is_text = _quality_data.SETS[name] == "text"
    X = np.array(raw) if is_text else _quality_data._read_features(path)
    test = "test" if "test" in parts else "valid"
    train, test = (np.flatnonzero(parts == part) for part in ("train", test))
    return X[train], X[test], Y[train], Y[test]


def _compare(name, model, X, Y, path):
    expected = model.predict_proba(X)
    for variant, params in SMALLER.items():
        if "prune" in params and isinstance(X, np.ndarray) and X.ndim == 2:
            continue  # of a sparse X alone
        serving.export(model, path, **params)
        predictor = serving.load(path)
        found = predictor.predict_proba(X)
        score, size = masked_average_precision_score(Y, found), path.stat().st_size
        print(
            f"{name:12s} {variant:20s} AP {score:.4f}  {size / 1e6:6.2f} MB"
            f"  largest difference {np.abs(found - expected).max():.1e}",
            flush=True,
        )
    serving.export(model, path)
    predictor = serving.load(path)
    for rows, label in ((X, "all rows"), (X[:1], "one row")):
        times = engine.in_turns(
            {
                "model": lambda _, rows=rows: model.predict_proba(rows),
                "file": lambda _, rows=rows: predictor.predict_proba(rows),
            },
            rounds=7,
            steps=1 if label == "all rows" else 20,
        )
        ours, theirs = times["file"]["cpu_ms"], times["model"]["cpu_ms"]
        print(
            f"{name:12s} {label} ({rows.shape[0]}): file {ours:.2f} ms, model "
            f"{theirs:.2f} ms, ratio {ours / theirs:.2f}",
            flush=True,
        )


def fuzz(args):
    # The tests make the models, and break the parts of their files.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from test_serving_file import MODELS, break_file

    warnings.simplefilter("ignore")
    rng, slowest = np.random.default_rng(0), 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        for name, (make, X) in MODELS.items():
            serving.export(make(), path)
            data = path.read_bytes()
            ends = {"error": 0, "loaded": 0, "raised ValueError": 0}
            _end(path, X)
            with no_code():
                for seed in range(args.files):
                    forged = seed % 3 == 0
                    made = break_file(data, seed) if forged else damage(data, rng)
                    path.write_bytes(made)
                    begun = time.perf_counter()
                    end = _end(path, X)
                    slowest = max(slowest, time.perf_counter() - begun)
                    if end == "loaded" and not forged and made != data:
                        raise RuntimeError(f"a damaged file was loaded: {path}")
                    ends[end] += 1
            print(name, len(data), "bytes,", json.dumps(ends), flush=True)
    print(f"slowest {slowest:.2f} s")


@contextlib.contextmanager
def no_code():
    """Raise if Python is asked to run, import or unpickle something meanwhile."""
    events = "exec", "compile", "import", "pickle.find_class", "os.", "subprocess."
    watching, seen = [True], []

    def look(event, arguments):
        if watching and event.startswith(events):
            if event != "import" or arguments[0] not in sys.modules:
                seen.append((event, arguments))

    sys.addaudithook(look)
    yield
    watching.clear()
    if seen:
        raise RuntimeError(f"a file asked for {seen[0]}")


def damage(data, rng):
    """Return other bytes: some changed, cut off, added, or moved."""
    data, how = bytearray(data), rng.integers(5)
    # The header is the smaller part, and the one that is read with more care.
    place = int(rng.integers(rng.choice([16, 2000, len(data)])))
    if how == 0:
        data[place] ^= int(rng.integers(1, 256))
    elif how == 1:
        del data[place:]
    elif how == 2:
        data[place:place] = rng.bytes(int(rng.integers(1, 9)))
    elif how == 3:
        del data[place : place + int(rng.integers(1, 9))]
    else:
        data[place : place + 8] = rng.bytes(8)
    return bytes(data)


def _end(path, X):
    try:
        predictor = serving.load(path)
    except ServedFileError:
        return "error"
    try:
        with np.errstate(all="ignore"):
            predictor.predict(X)
    except ValueError:
        return "raised ValueError"
    return "loaded"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("start")
    part.add_argument("--python", help="another Python to load the file with")
    part.add_argument("--repeats", type=int, default=5)
    part = parts.add_parser("sets")
    part.add_argument("--data", required=True, help="folder of the sets")
    part.add_argument("--sets", nargs="+", default=SETS)
    part.add_argument("--rows", type=int, default=20_000, help="to fit on, at most")
    part = parts.add_parser("fuzz")
    part.add_argument("--files", type=int, default=10_000, help="of each model")
    args = parser.parse_args()
    before = time.perf_counter()
    {"start": start, "sets": sets, "fuzz": fuzz}[args.part](args)
    print(f"{time.perf_counter() - before:.0f} s")


if __name__ == "__main__":
    main()
