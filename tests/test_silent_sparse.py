"""A sparse y of positives alone, most rows empty, is said to be read as all decided."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from sklearn_masked import (
    MaskedCalibratedClassifierCV,
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    MaskedTunedThresholdClassifierCV,
)
from sklearn_masked.exceptions import ImplicitNegativesWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
DENSE = np.zeros((120, 2))
DENSE[:50] = RNG.random((50, 2)) < 0.5
DENSE[0] = 1
Y = sp.csr_array(DENSE)
BASE = MaskedMultiOutputClassifier(LogisticRegression())
MODELS = {
    "one model": MaskedMultiLabelClassifier(random_state=0),
    "any": BASE,
    "calibrated": MaskedCalibratedClassifierCV(BASE, cv=2),
    "tuned": MaskedTunedThresholdClassifierCV(BASE, cv=2),
}


def warned(model, y):
    """Return what a fit says about negatives that are not stored."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    return [w for w in caught if w.category is ImplicitNegativesWarning]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_fit_says_once_what_an_empty_cell_is_read_as(model):
    (said,) = warned(model, Y)
    share = (DENSE.sum(1) == 0).mean()
    assert f"none in {share:.0%} of its rows: each cell" in str(said.message)
    assert said.filename == __file__


def marked(value):
    y = sp.lil_array(DENSE)
    y[100, 1] = value
    return y.tocsr()


MEANT = {
    "negative": MaskedLabels.from_sparse(Y, implicit="negative"),
    "marked NaN": marked(np.nan),
    "marked -1": marked(-1),
    "dense": DENSE,
    "a positive a row": sp.csr_array(np.c_[DENSE[:, 0], 1 - DENSE[:, 0]]),
}


@pytest.mark.parametrize("y", MEANT.values(), ids=MEANT)
def test_who_means_it_hears_nothing(y):
    assert not warned(BASE, y)
