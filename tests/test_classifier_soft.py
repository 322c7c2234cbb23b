"""The default model and the masked loss on soft labels."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from test_soft_refused import REFUSED

from sklearn_masked import (
    DescribedLabelsClassifier,
    MaskedLabels,
    MaskedMultiLabelClassifier,
)
from sklearn_masked.classifier import _net
from sklearn_masked.classifier._data import make_targets
from sklearn_masked.nn import MaskedBCEWithLogitsLoss
from sklearn_masked.nn.sdca import SDCASolver

NAN = np.nan
N, M, L = 60, 12, 3


def data(seed=0, known=0.6):
    rng = np.random.RandomState(seed)
    X = rng.rand(N, M) * (rng.rand(N, M) < 0.5)
    y = (X @ rng.randn(M, L) + 0.3 * rng.randn(N, L) > 0).astype(float)
    y[rng.rand(N, L) > known] = NAN
    return sp.csr_array(X.astype(np.float32)), y, rng


def softened(y, rng):
    return np.where(np.isnan(y), NAN, np.where(y == 1, 0.6, 0.0) + 0.4 * rng.rand(N, L))


def soft_labels(values, **kwargs):
    return MaskedLabels.from_dense(values, soft=True, **kwargs)


FIXED = {
    "C": 1.0,
    "shared_weight": 0.3,
    "label_correlation": 0.0,
    "interactions": 0,
    "random_state": 0,
}
OPTIMIZED = {"optimizer": torch.optim.Adam, "max_epochs": 3, "random_state": 0}
WAYS = {
    "dual": FIXED,
    "dual, smoothed": {**FIXED, "label_smoothing": 0.1},
    "dual, correlated": {**FIXED, "label_correlation": 0.4},
    "dual, all auto": {"random_state": 0},
    "dual, weak negatives": {**FIXED, "unlabeled_weight": 0.05},
    "dual, positives weighted": {**FIXED, "pos_weight": [2.0, 1.0, 0.5]},
    "dual, balanced": {**FIXED, "pos_weight": "balanced"},
    "dual, by label": {**FIXED, "reduction": "label"},
    "dual, described": {**FIXED, "label_features": np.eye(L, M)},
    "dual, early": {**FIXED, "early_stopping": True},
    "optimizer": OPTIMIZED,
    "optimizer, weak negatives": {**OPTIMIZED, "unlabeled_weight": 0.05},
}


def fit(X, y, *, sample_weight=None, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = MaskedMultiLabelClassifier(**params)
        return model.fit(X, y, sample_weight=sample_weight)


@pytest.mark.parametrize("params", WAYS.values(), ids=WAYS.keys())
def test_soft_values_of_0_and_1_train_as_hard_ones(params):
    X, y, _ = data()
    hard = fit(X, MaskedLabels.from_dense(y), **params)
    soft = fit(X, soft_labels(y), **params)
    np.testing.assert_array_equal(hard.predict_proba(X), soft.predict_proba(X))


@pytest.mark.parametrize("params", WAYS.values(), ids=WAYS.keys())
def test_what_stands_in_rows_without_a_cell_changes_nothing(params):
    X, y, rng = data()
    y[::4] = NAN
    values = softened(y, rng)
    first = fit(X, soft_labels(values, weights=np.where(np.isnan(y), 7, 1.5)), **params)
    again = fit(X, soft_labels(values, weights=np.where(np.isnan(y), 0, 1.5)), **params)
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    assert first.predict_proba(X).std() > 0.01


# A cell of 0.5 and weight 2, and two cells of weight 1.


@given(
    st.sampled_from(["cell", "label", "sample"]),
    st.sampled_from([None, 3.0]),
    st.sampled_from([0.0, 0.2]),
    st.integers(0, 50),
)
@settings(max_examples=40, deadline=None)
def test_loss_of_a_soft_cell_is_that_of_two_hard_ones(
    reduction, pos_weight, smoothing, seed
):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(4, 3)))
    values = torch.from_numpy(rng.random((4, 3)).round(1))
    values[rng.random((4, 3)) < 0.3] = NAN
    weight = torch.from_numpy(rng.choice([0.0, 1.0, 2.5], (4, 3)))
    params = dict(reduction=reduction, pos_weight=pos_weight, label_smoothing=smoothing)
    soft = MaskedBCEWithLogitsLoss(soft_targets=True, **params)
    hard = MaskedBCEWithLogitsLoss(**params)
    # A reduction by groups keeps its groups where the two stand in one row and label.
    cells = (~values.isnan() & (weight > 0)).nonzero(as_tuple=True)
    given_cells = [cells[0], cells[1], values[cells], weight[cells]]
    rows, cols = (part.repeat(2) for part in cells)
    v, w = values[cells], weight[cells]
    halves = torch.cat([torch.ones_like(v), torch.zeros_like(v)])
    expected = hard.cell_loss(
        logits[rows, cols], rows, cols, halves, torch.cat([w * v, w * (1 - v)]), (4, 3)
    )
    one = soft.cell_loss(logits[cells], *given_cells, (4, 3))
    torch.testing.assert_close(one, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        soft(logits, values, weight), expected, atol=1e-12, rtol=0
    )


def test_loss_of_one_half_of_weight_2_is_one_positive_and_one_negative():
    loss = MaskedBCEWithLogitsLoss(soft_targets=True)
    logits = torch.tensor([[0.7]])
    half = loss(logits, torch.tensor([[0.5]]), torch.tensor([[2.0]]))
    hard = loss(logits.repeat(2, 1), torch.tensor([[1.0], [0.0]]))
    torch.testing.assert_close(half, hard)


def test_the_loss_refuses_soft_targets_that_nobody_asked_for():
    logits, targets = torch.zeros(1, 2), torch.tensor([[0.7, NAN]])
    with pytest.raises(ValueError, match=r"accepts 1, 0, and NaN or -1 in unlabeled"):
        MaskedBCEWithLogitsLoss()(logits, targets)
    with pytest.raises(ValueError) as caught:
        MaskedBCEWithLogitsLoss(soft_targets=True)(logits, targets + 1)
    assert str(caught.value) == (
        "`targets` accepts 0 to 1, and NaN or -1 in unlabeled cells; got "
        "1.7000000476837158 at row 0, label 0."
    )


def halved(X, values, weights=None):
    """Return rows twice, with the positive and the negative halves of soft cells."""
    weights = np.ones(values.shape) if weights is None else weights
    unlabeled = np.isnan(values)
    twice = np.concatenate([np.where(unlabeled, NAN, one) for one in (1.0, 0.0)])
    shares = np.concatenate([weights * values, weights * (1 - values)])
    y = MaskedLabels.from_dense(twice, weights=np.nan_to_num(shares, nan=1))
    return sp.vstack([X, X], format="csr"), y


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"label_correlation": 0.4},
        {"pos_weight": [2.0, 1.0, 0.5]},
        {"label_smoothing": 0.1},
        {"pos_weight": 2.0, "label_smoothing": 0.1},
        {"reduction": "label"},
    ],
    ids=str,
)
def test_the_optimum_is_that_of_two_weighted_cells(params, monkeypatch):
    monkeypatch.setattr(SDCASolver, "has_converged", False)
    X, y, rng = data()
    values, weights = softened(y, rng), rng.choice([1.0, 2.0], y.shape)
    params = {
        **FIXED,
        "shared_weight": 0.0,
        "idf_power": 0.0,
        "calibrate": False,
        "max_epochs": 40,
        **params,
    }
    ours = fit(X, soft_labels(values, weights=weights), **params)
    expected = fit(*halved(X, values, weights), **params)
    # Biases are held to a start that counts cells in units of the mean weight, which
    # is not the same where cells are split.
    np.testing.assert_allclose(
        ours.decision_function(X), expected.decision_function(X), atol=0.05
    )
    assert np.ptp(ours.decision_function(X)) > 0.5


def test_targets_of_soft_cells_under_pos_weight():
    _, y, rng = data()
    values = softened(y, rng)
    targets = make_targets(soft_labels(values), None)
    model = MaskedMultiLabelClassifier(pos_weight=[3.0, 1.0, 0.0])
    model.n_labels_, model.label_names_, model._unlabeled_weight = L, None, 0.0
    weight, target = _net.cell_terms(model, targets)
    factor = np.array([3.0, 1.0, 0.0])[targets.indices]
    v = targets.values
    np.testing.assert_allclose(weight, factor * v + 1 - v)
    np.testing.assert_allclose(weight * target, factor * v, atol=1e-15)
    positive, negative = targets.totals()
    np.testing.assert_allclose(positive, np.nansum(values, 0))
    np.testing.assert_allclose(positive + negative, (~np.isnan(values)).sum(0))


@pytest.mark.parametrize("params", [FIXED, OPTIMIZED], ids=["dual", "optimizer"])
def test_training_goes_on_with_soft_and_hard_cells(params):
    X, y, rng = data()
    soft, hard = soft_labels(softened(y, rng)), MaskedLabels.from_dense(y)
    model = MaskedMultiLabelClassifier(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for labels in (hard, soft, hard):
            model.partial_fit(X, labels)
        again = pickle.loads(pickle.dumps(model))
        again.set_params(warm_start=True).fit(X, soft)
    known = ~np.isnan(y)
    for one in (model, again):
        right = (one.predict_proba(X) > 0.5) == (y == 1)
        assert right[known].mean() > 0.7


def test_validation_rows_may_be_soft_and_scores_refuse_them():
    X, y, rng = data()
    soft = soft_labels(softened(y, rng))
    split = predefined_split(Dataset(X, soft))
    model = fit(X, soft, **FIXED, net_params={"train_split": split})
    assert model.history_[-1]["valid_loss"] > 0
    with pytest.raises(ValueError) as caught:
        model.score(X, soft)
    assert str(caught.value) == REFUSED


def test_described_labels_train_on_soft_cells():
    X, y, rng = data()
    texts = [" ".join(f"word{col}" for col in row.indices) for row in X]
    words = ["word0", "word1", "word2"]
    pipeline = make_pipeline(TfidfVectorizer(), MaskedMultiLabelClassifier(**FIXED))
    model = DescribedLabelsClassifier(pipeline, words)
    model.fit(texts, soft_labels(softened(y, rng))).partial_fit(texts, soft_labels(y))
    right = (model.predict_proba(texts) > 0.5) == (y == 1)
    assert right[~np.isnan(y)].mean() > 0.7


def test_soft_targets_reach_a_loss_of_the_users_own():
    X, y, rng = data()
    seen = []

    class Loss(torch.nn.Module):
        def forward(self, logits, targets):
            seen.append(targets)
            known = ~targets.isnan()
            return (torch.sigmoid(logits[known]) - targets[known]).square().mean()

    values = softened(y, rng)
    model = MaskedMultiLabelClassifier(
        criterion=Loss, max_epochs=1, batch_size=-1, random_state=0
    )
    model.fit(X, soft_labels(values))
    got = np.sort(seen[0].numpy(), axis=None)
    rows = ~np.isnan(values).all(1)
    np.testing.assert_allclose(got, np.sort(values[rows], axis=None), atol=1e-7)


def test_a_subclass_of_the_loss_without_soft_targets_still_trains_on_hard_ones():
    class Old(MaskedBCEWithLogitsLoss):
        def __init__(
            self, reduction, weight, pos_weight, unlabeled_weight, label_smoothing
        ):
            super().__init__(
                reduction, weight, pos_weight, unlabeled_weight, label_smoothing
            )

    X, y, _ = data()
    got, want = (
        MaskedMultiLabelClassifier(criterion=loss, max_epochs=1, random_state=0)
        .fit(X, y)
        .predict_proba(X)
        for loss in (Old, MaskedBCEWithLogitsLoss)
    )
    np.testing.assert_array_equal(got, want)


def test_probabilities_are_calibrated_to_soft_values():
    rng = np.random.RandomState(0)
    X = sp.csr_array(np.eye(4, dtype=np.float32)[rng.randint(4, size=600)])
    # Half of the votes on each positive cell: what is learned is the share.
    values = np.where(X.toarray()[:, :1] + X.toarray()[:, 1:2] > 0, 0.7, 0.1)
    model = fit(X, soft_labels(values), random_state=0)
    np.testing.assert_allclose(model.predict_proba(X), values, atol=0.05)
