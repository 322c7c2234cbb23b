"""
Several annotators of different quality
=======================================

Three people and a rule vote on the same texts, and disagree. How good each voter is at
each label is estimated from the votes alone (Dawid and Skene's model, smoothed); the
cells become probabilities, and both classifiers train on those.
"""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.labels import aggregate_votes
from sklearn_masked.metrics import masked_average_precision_score

# %%
# Ann and Bob are careful, Cid often presses the wrong key, the rule says yes too often.
# Each looks at 60 % of the cells of 400 texts.

texts, _, truth = make_masked_multilabel(
    1600, 4, words_per_text=15, return_full=True, random_state=0
)
truth = truth.toarray()
train, test = slice(0, 400), slice(400, None)
rng = np.random.default_rng(0)


def votes_of(sensitivity, specificity, share=0.6):
    """Return votes of 1 and 0, NaN where the voter did not look."""
    says_yes = np.where(
        truth[train] == 1,
        rng.random(truth[train].shape) < sensitivity,
        rng.random(truth[train].shape) > specificity,
    )
    return np.where(rng.random(says_yes.shape) < share, says_yes, np.nan)


votes = {
    "ann": votes_of(0.95, 0.95),
    "bob": votes_of(0.9, 0.95),
    "cid": votes_of(0.6, 0.65),
    "rule": votes_of(0.9, 0.55),
}

# %%
# What is estimated of the voters, without any truth: the mean over the labels.

found = aggregate_votes(votes)
for i, voter in enumerate(found.voters):
    print(
        f"{voter:5s} sensitivity {found.sensitivity[i].mean():.2f}"
        f"  specificity {found.specificity[i].mean():.2f}"
    )

# %%
# The same model, trained on the aggregated votes, on their majority, and on one voter.

stacked = np.array(list(votes.values()))
share = np.nanmean(np.where(np.isnan(stacked).all(axis=0), 0.5, stacked), axis=0)
majority = np.where(share == 0.5, np.nan, share > 0.5)
for name, labels in {
    "aggregated votes": found.labels,
    "majority, ties left out": MaskedLabels.from_dense(majority),
    "ann alone": votes["ann"],
    "cid alone": votes["cid"],
}.items():
    model = make_pipeline(TfidfVectorizer(), MaskedMultiLabelClassifier(random_state=0))
    scores = model.fit(texts[train], labels).predict_proba(texts[test])
    ap = masked_average_precision_score(truth[test], scores)
    print(f"{name:26s}macro AP {ap:.3f}")
