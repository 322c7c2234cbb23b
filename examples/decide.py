"""
From sought cells to decisions in traffic
=========================================

Annotators sought positives, so probabilities are too high for traffic. An audit of rows
drawn at random corrects them, and thresholds keep a promised precision.
"""

import matplotlib.pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from sklearn_masked import (
    MaskedCalibratedClassifierCV,
    MaskedMultiLabelClassifier,
    MaskedTunedThresholdClassifierCV,
)
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.metrics import masked_classification_report, masked_log_loss
from sklearn_masked.plotting import MaskedCalibrationDisplay

# %%
# One sought cell in each of 1,500 texts, an audit of 500 texts, and 1,000 new ones.

texts, y, truth = make_masked_multilabel(
    3000, 4, words_per_text=12, return_full=True, random_state=0
)
truth = truth.toarray()
train, audit, new = slice(0, 1500), slice(1500, 2000), slice(2000, None)
sought = y[train].n_positive / y[train].n_labeled
print("share of positives, labeled cells:", sought.round(2))
print("share of positives, audit:        ", truth[audit].mean(axis=0).round(2))

# %%
# Calibrated to the labeled cells, then corrected by the audit.

model = make_pipeline(TfidfVectorizer(), MaskedMultiLabelClassifier(random_state=0))
calibrated = MaskedCalibratedClassifierCV(model, cv=3, ensemble=False)
calibrated.fit(texts[train], y[train])
before = calibrated.predict_proba(texts[new])
calibrated.correct_prior(texts[audit], truth[audit])
after = calibrated.predict_proba(texts[new])

figure, panels = plt.subplots(1, 2, figsize=(10, 4.5), sharey=True)
for axes, name, proba in zip(
    panels, ("as labeled", "corrected by the audit"), (before, after), strict=True
):
    MaskedCalibrationDisplay.from_predictions(truth[new], proba, n_bins=8, ax=axes)
    axes.set_title(f"{name}: log loss {masked_log_loss(truth[new], proba):.3f}")
figure.tight_layout()

# %%
# Thresholds per label: as much recall as a precision of 0.8 leaves, with confidence.

served = MaskedTunedThresholdClassifierCV(
    FrozenEstimator(calibrated),
    scoring="recall_at_precision",
    target=0.8,
    target_prevalence=truth[audit],
).fit(texts[audit], truth[audit])
print(served.report_)

# %%
# What they keep on new texts:

print(masked_classification_report(truth[new], served.predict(texts[new])))
plt.show()
