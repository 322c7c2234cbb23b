"""A user's script, read by type checkers and not run: right calls pass, typos do not.

A line that must be an error ends with `type: ignore`; where it is none, the checkers
say that the comment is unused. To mypy, whatever a class inherits from scikit-learn,
which has no hints, may be anything: the last line is an error to pyright alone.
"""
# pyright: basic, reportUnnecessaryTypeIgnoreComment=true

import numpy as np
from sklearn.linear_model import LogisticRegression

from sklearn_masked import (
    MaskedCalibratedClassifierCV,
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    MaskedTunedThresholdClassifierCV,
    check_labels,
)
from sklearn_masked.annotation import query_cells
from sklearn_masked.exceptions import UnlabeledLabelWarning
from sklearn_masked.inspection import bootstrap_interval
from sklearn_masked.metrics import masked_report, masked_roc_auc_score
from sklearn_masked.model_selection import MaskedStratifiedKFold, cross_val_predict

X = np.random.default_rng(0).normal(size=(40, 3))
y = np.where(X > 0, 1.0, np.nan)

labels: MaskedLabels = check_labels(y)
named = MaskedLabels.from_dense(y, label_names=["war", "crime", "sport"])
n_cells: int = named.n_cells
rows: MaskedLabels = MaskedLabels.merge(labels, labels, on_conflict="last")

clf = MaskedMultiLabelClassifier(shared_weight=0.3, C="auto", random_state=0)
proba: np.ndarray = clf.fit(X, y).predict_proba(X)
score: float = clf.score(X, labels, sample_weight=np.ones(40))
names: np.ndarray | None = clf.label_names_

separate = MaskedMultiOutputClassifier(LogisticRegression(), n_jobs=2)
calibrated = MaskedCalibratedClassifierCV(separate, target_prevalence={"war": 0.1})
tuned = MaskedTunedThresholdClassifierCV(calibrated, target=0.9, cv=3).fit(X, named)
decisions: np.ndarray = tuned.predict(X)

auc = masked_roc_auc_score(y, proba, average=None)
print(masked_report(named, proba)["auc"].mean(), bootstrap_interval)
print(cross_val_predict(clf, X, named, cv=MaskedStratifiedKFold(3)))
print(query_cells(proba, named, n_cells=5), UnlabeledLabelWarning)

MaskedMultiLabelClassifier(shared_wait=0.3)  # type: ignore[call-arg]
MaskedMultiLabelClassifier(reduction="rows")  # type: ignore[arg-type]
MaskedLabels.from_dense(y, names=["war"])  # type: ignore[call-arg]
masked_roc_auc_score(y, proba, average="mean")  # type: ignore[arg-type]
n: int = clf.predict_proba(X)  # type: ignore[assignment]
clf.fti(X, y)  # pyright: ignore[reportAttributeAccessIssue]
