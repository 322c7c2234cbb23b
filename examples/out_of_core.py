"""
Out of core: chunks of a file, and an array on disk
===================================================

Texts that do not fit in memory go through a hashing vectorizer and `partial_fit`, chunk
by chunk. Arrays that do not fit are read from the disk batch by batch.
"""

import csv
import itertools
import tempfile
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.metrics import masked_roc_auc_score

CHUNK = 500
folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "decisions.csv"

# %%
# A file of one decision per line: text, label, value.

texts, y, truth = make_masked_multilabel(3000, 6, return_full=True, random_state=0)
cells = y[:2000].cells()
with open(file, "w", newline="", encoding="utf-8") as opened:
    writer = csv.writer(opened)
    writer.writerow(["text", "label", "value"])
    for row, col, value in zip(cells.rows, cells.cols, cells.values, strict=True):
        writer.writerow([texts[row], f"label {col}", int(value)])

# %%
# Chunk by chunk. The first call computes the embedding of all later ones: let it have
# as many rows as fit.

names = [f"label {j}" for j in range(6)]
vectorizer = HashingVectorizer(n_features=2**14, alternate_sign=False)
model = MaskedMultiLabelClassifier(random_state=0)
with open(file, newline="", encoding="utf-8") as opened:
    lines = csv.DictReader(opened)
    while chunk := list(itertools.islice(lines, CHUNK)):
        labels = MaskedLabels.from_cells(
            range(len(chunk)),
            [line["label"] for line in chunk],
            [int(line["value"]) for line in chunk],
            sample_ids=range(len(chunk)),
            label_names=names,
        )
        X = vectorizer.transform([line["text"] for line in chunk])
        model.partial_fit(X, labels)
        scores = model.predict_proba(vectorizer.transform(texts[2000:]))
        auc = masked_roc_auc_score(truth[2000:].toarray(), scores)
        print(f"{len(chunk)} lines more: AUC {auc:.3f}")

# %%
# The same cells at once, for comparison:

whole = MaskedMultiLabelClassifier(random_state=0)
whole.fit(vectorizer.transform(texts[:2000]), y[:2000])
scores = whole.predict_proba(vectorizer.transform(texts[2000:]))
print(f"one fit: AUC {masked_roc_auc_score(truth[2000:].toarray(), scores):.3f}")

# %%
# An array on disk: a float32 `numpy.memmap` is taken as it is.

path = Path(folder.name) / "X.npy"
on_disk = np.lib.format.open_memmap(path, "w+", np.float32, (4000, 50))
rng = np.random.default_rng(0)
on_disk[:] = rng.normal(size=on_disk.shape)
target = np.where(rng.random((4000, 3)) < 0.2, on_disk[:, :3] > 0, np.nan)
on_disk.flush()

X = np.load(path, mmap_mode="r")
model = MaskedMultiLabelClassifier(module="embedding_bag", lr=0.01, random_state=0)
scores = model.fit(X, target).predict_proba(X)
truth = (X[:, :3] > 0).astype(int)
print(type(X).__name__, f"AUC {masked_roc_auc_score(truth, scores):.3f}")
del X, on_disk
folder.cleanup()
