"""
Molecules: assays with gaps, split by scaffold
==============================================

A molecule has been through some assays and not through others: the label matrix has
natural gaps, and an assay that was not run is no negative. Molecules of one scaffold
are alike, so a random split tests on near-duplicates of what was trained on; groups
keep a scaffold on one side.

The molecules are generated: bits as those of a fingerprint, of a scaffold and of side
groups. With RDKit, take `Chem.rdFingerprintGenerator` for X and the Murcko scaffold of
each molecule for `groups`.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from sklearn_masked import (
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
)
from sklearn_masked.metrics import masked_roc_auc_score
from sklearn_masked.model_selection import (
    MaskedStratifiedGroupKFold,
    MaskedStratifiedKFold,
    cross_val_predict,
)

ASSAYS = [f"assay {letter}" for letter in "ABCDEFGH"]

# %%
# 600 molecules of 60 scaffolds, 256 bits, 8 assays that tend to agree, a third of the
# cells measured.

rng = np.random.default_rng(0)
n_molecules, n_scaffolds, n_bits = 600, 60, 256
scaffold = rng.integers(n_scaffolds, size=n_molecules)
of_scaffold = rng.random((n_scaffolds, n_bits)) < 0.08
of_side_groups = rng.random((n_molecules, n_bits)) < 0.08
bits = of_scaffold[scaffold] | of_side_groups
common = rng.normal(size=(n_bits, 1))
weights = common + 0.5 * rng.normal(size=(n_bits, len(ASSAYS)))
own_to_scaffold = rng.normal(size=(n_scaffolds, len(ASSAYS)))
signal = bits @ weights / 4 + own_to_scaffold[scaffold]
toxic = signal > np.quantile(signal, 0.8, axis=0)
measured = rng.random(toxic.shape) < 1 / 3

X = sp.csr_matrix(bits.astype(np.float32))
y = MaskedLabels.from_dense(np.where(measured, toxic, np.nan), label_names=ASSAYS)
print(y)

# %%
# The same models, judged by random folds and by folds of whole scaffolds. Every cell is
# known here, measured or not, so that held-out predictions can be judged in full.

models = {
    "one shared model": MaskedMultiLabelClassifier(random_state=0),
    "separate models": MaskedMultiOutputClassifier(LogisticRegression()),
}
groups_apart = MaskedStratifiedGroupKFold(3, shuffle=True, random_state=0)
splits = {
    "random folds": (MaskedStratifiedKFold(3, shuffle=True, random_state=0), None),
    "scaffolds apart": (groups_apart, scaffold),
}
for split, (cv, groups) in splits.items():
    for name, model in models.items():
        scores = cross_val_predict(
            model, X, y, cv=cv, groups=groups, method="predict_proba"
        )
        auc = masked_roc_auc_score(toxic.astype(int), scores)
        print(f"{split:17s}{name:18s}macro AUC {auc:.3f}")

# %%
# The random folds flatter every model: new chemistry is what "scaffolds apart" shows.
# `label_correlation` is what the shared model found of assays that agree.

shared = models["one shared model"].fit(X, y)
print(
    {name: shared.auto_params_[name] for name in ("label_correlation", "interactions")}
)
