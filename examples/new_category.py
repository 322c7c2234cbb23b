"""
A new category after the model is in use
========================================

A new category means a fit with one column more. Nobody goes through the old texts:
their cells of the new column are unlabeled. A line of words predicts the category
before it has any cell. `partial_fit` with one label name more needs no old texts.
"""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_masked import (
    DescribedLabelsClassifier,
    MaskedLabels,
    MaskedMultiLabelClassifier,
)
from sklearn_masked.annotation import query_cells, seed_cells
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.metrics import masked_average_precision_score

NAMES = ["war", "sport", "crime", "trade", "climate"]
NEW = "energy"

# %%
# Five categories are in use, with one decision per text; "energy" is to come. The texts
# are generated, so its words are found as those that its texts have more than others;
# in earnest you write them down. The known truth stands for the person who answers.

texts, y, truth = make_masked_multilabel(
    3000, 6, words_per_text=12, return_full=True, random_state=0
)
truth = truth.toarray()[:, 5]
pool, test = slice(0, 1500), slice(1500, None)
ids = [f"t{i}" for i in range(1500)]
used = y[pool][:, list(range(5))].with_label_names(NAMES).with_sample_ids(ids)
print(used)

vectorizer = TfidfVectorizer().fit(texts[pool])
X = vectorizer.transform(texts[test])
positive = truth[test] == 1
more = np.ravel(X[positive].mean(axis=0) - X[~positive].mean(axis=0))
words = " ".join(vectorizer.get_feature_names_out()[more.argsort()[-4:]])


def with_answers(rows):
    """Return the labels with the new column, and the answers given so far in it."""
    given = MaskedLabels.from_cells(
        [ids[i] for i in rows],
        [NEW] * len(rows),
        [truth[i] for i in rows],
        sample_ids=ids,
        label_names=[NEW],
    )
    return MaskedLabels.merge(used, given)


def fit_and_score(labels, described=True):
    """Return a fitted model, and say how well it finds the new category."""
    model = make_pipeline(
        TfidfVectorizer(), MaskedMultiLabelClassifier(base_rates=0.1, random_state=0)
    )
    if described:
        model = DescribedLabelsClassifier(model, {NEW: words})
    model.fit(texts[pool], labels)
    scores = model.predict_proba(texts[test])[:, [5]]
    ap = masked_average_precision_score(truth[test][:, None], scores)
    said = "with words" if described else "without"
    print(f"{labels[:, [5]].n_cells:3d} cells of {NEW}, {said:10s}: AP {ap:.2f}")
    return model


# %%
# 1. No cell yet: words alone.

model = fit_and_score(with_answers([]))

# %%
# 2. First cells, of texts that look like the words.

column = with_answers([])[:, [5]]
seeds = seed_cells(
    vectorizer.transform(texts[pool]),
    vectorizer.transform([words]),
    column,
    n_cells=20,
    random_state=0,
)
rows = seeds["sample"].tolist()
model = fit_and_score(with_answers(rows))

# %%
# 3. Then those that the model asks for, of the new column alone.

for _ in range(2):
    proba = model.predict_proba(texts[pool])[:, [5]]
    column = with_answers(rows)[:, [5]]
    asked = query_cells(proba, column, n_cells=40, random_state=0)
    rows += asked["sample"].tolist()
    model = fit_and_score(with_answers(rows))
fit_and_score(with_answers(rows), described=False)

# %%
# The old categories are as good as before: their cells are the same.

old = np.flatnonzero(model.label_names_ != NEW)
print(model.label_names_[old], model.predict_proba(texts[:1])[0, old].round(1))
