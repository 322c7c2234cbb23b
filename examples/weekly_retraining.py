"""
Retraining week by week
=======================

Every week brings some hundred decisions. A fit on all cells takes seconds, so the
simplest way is to fit again, to compare with the model in use on rows drawn at random,
and to replace it only if it is not worse. Where old cells cannot be kept, `partial_fit`
goes on from the model as it is.
"""

import matplotlib.pyplot as plt
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.inspection import paired_comparison
from sklearn_masked.metrics import masked_roc_auc_score

WEEK, N_WEEKS = 200, 5

texts, y, truth = make_masked_multilabel(
    1800, 6, words_per_text=12, return_full=True, random_state=0
)
audit = slice(WEEK * N_WEEKS, None)  # rows at random, every cell decided
y_audit = truth[audit].toarray()
vectorizer = HashingVectorizer(n_features=2**14, alternate_sign=False)

# %%
# Fit again each week; the candidate is taken unless it is worse beyond doubt.

in_use, again = None, []
for week in range(N_WEEKS):
    everything = slice(0, WEEK * (week + 1))
    candidate = make_pipeline(vectorizer, MaskedMultiLabelClassifier(random_state=0))
    scores = candidate.fit(texts[everything], y[everything]).predict_proba(texts[audit])
    auc = masked_roc_auc_score(y_audit, scores)
    if in_use is None:
        in_use, said = candidate, "first model"
    else:
        change = paired_comparison(
            masked_roc_auc_score,
            y_audit,
            scores,
            in_use.predict_proba(texts[audit]),
            n_resamples=200,
            random_state=0,
        )
        taken = change.high > 0
        in_use = candidate if taken else in_use
        said = f"{change.difference:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
        said += ", taken" if taken else ", left"
    again.append(auc)
    print(f"week {week + 1}: AUC {auc:.3f}  {said}")

# %%
# The same weeks by `partial_fit`: each cell is seen once. The first call computes the
# embedding of all later ones, so it gets as many rows as there are, labeled or not.

X = vectorizer.transform(texts)
incremental, once = MaskedMultiLabelClassifier(random_state=0), []
first = MaskedLabels.from_cells(
    *y[:WEEK].cells()[:3], shape=(WEEK * N_WEEKS, y.n_labels)
)
incremental.partial_fit(X[: WEEK * N_WEEKS], first)
for week in range(N_WEEKS):
    if week:
        rows = slice(WEEK * week, WEEK * (week + 1))
        incremental.partial_fit(X[rows], y[rows])
    scores = incremental.predict_proba(X[audit])
    once.append(masked_roc_auc_score(y_audit, scores))
print("partial_fit:", [round(auc, 3) for auc in once])

# %%

cells = [WEEK * (week + 1) for week in range(N_WEEKS)]
plt.plot(cells, again, "o-", label="fit on all cells")
plt.plot(cells, once, "s--", label="partial_fit")
plt.xlabel("labeled cells")
plt.ylabel("macro ROC AUC on the audit")
plt.legend()
plt.show()
