"""
Sources labeled for different classes
=====================================

A news desk has labeled crime and war, a shop has labeled spam and fraud, and a few
texts were seen by both. `merge` joins them by name and id; what a source never asked
about stays unlabeled, and one model learns all four labels from all texts.
"""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.metrics import masked_roc_auc_score

NAMES = ["crime", "war", "spam", "fraud"]

# %%
# Both sources ask one question about each of their texts.

texts, _, truth = make_masked_multilabel(
    2000, 4, words_per_text=12, return_full=True, random_state=0
)
truth = truth.toarray()
by_id = {f"t{i}": text for i, text in enumerate(texts)}
rng = np.random.default_rng(0)


def source(rows, columns):
    """Return one random cell per row, of the labels that the source knows."""
    cols = rng.choice(columns, size=len(rows))
    return MaskedLabels.from_cells(
        [f"t{i}" for i in rows],
        [NAMES[j] for j in cols],
        truth[rows, cols],
        sample_ids=[f"t{i}" for i in rows],
        label_names=[NAMES[j] for j in columns],
    )


desk = source(np.arange(0, 300), [0, 1])
shop = source(np.arange(250, 600), [2, 3])
both = MaskedLabels.merge(desk, shop)
print(desk, shop, both, both.label_names, sep="\n")

# %%
# X in the order of the merged rows, by id.

X = [by_id[i] for i in both.sample_ids]
model = make_pipeline(TfidfVectorizer(), MaskedMultiLabelClassifier(random_state=0))
model.fit(X, both)
scores = model.predict_proba(texts[600:])
aucs = masked_roc_auc_score(truth[600:], scores, average=None)
print(dict(zip(NAMES, aucs.round(2).tolist(), strict=True)))

# %%
# Reading the cells that a source never asked about as "no" would teach that no text of
# the news desk is spam and none of the shop is about war:

filled = np.nan_to_num(both.to_dense(), nan=0.0)
model.fit(X, MaskedLabels.from_dense(filled, label_names=NAMES))
wrong = model.predict_proba(texts[600:])
print(
    f"mean probability {scores.mean():.2f} as merged, {wrong.mean():.2f} with gaps "
    f"filled; share of positives {truth[600:].mean():.2f}"
)

# %%
# The sources contradict each other on a cell: an error that names it, unless you say
# how to settle it.

doubt = MaskedLabels.from_dicts([{"war": 1}]).with_sample_ids(["t0"])
denial = MaskedLabels.from_dicts([{"war": 0}]).with_sample_ids(["t0"])
try:
    MaskedLabels.merge(doubt, denial)
except ValueError as error:
    print(error)
print(MaskedLabels.merge(doubt, denial, on_conflict="last"))
