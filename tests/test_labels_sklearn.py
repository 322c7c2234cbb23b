"""MaskedLabels among scikit-learn's tools, in other processes, and at full size."""

import subprocess
import sys
import tracemalloc
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.utils import indexable, resample, shuffle
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_consistent_length

from sklearn_masked.labels import LabelRow, MaskedLabels, check_labels

NAN = np.nan
RECODED = (
    "scikit-learn tried to recode labels with unlabeled cells as if they were "
    "classes, which would read them as negatives. Use "
    "sklearn_masked.model_selection.cross_val_predict, which keeps them."
)


def make_labels(fill, n=24, seed=0):
    Y = np.random.default_rng(seed).choice([0, 1, NAN], size=(n, 3))
    if fill == "unlabeled":
        return MaskedLabels.from_dense(Y)
    return check_labels(sp.csr_array(np.where(np.isnan(Y), -1, Y)))


@pytest.fixture(params=["unlabeled", "negative"])
def labels(request):
    return make_labels(request.param)


class Share(ClassifierMixin, BaseEstimator):
    """Predict the share of positives of each label among its labeled cells."""

    def __init__(self, power=1):
        self.power = power

    def fit(self, X, y):
        labels = check_labels(y)
        self.share_ = (labels.n_positive / labels.n_labeled) ** self.power
        self.classes_ = np.arange(labels.n_labels).astype(object)
        return self

    def predict_proba(self, X):
        return np.tile(self.share_, (len(X), 1))

    def predict(self, X):
        return (self.predict_proba(X) > 0.5).astype(int)

    def score(self, X, y):
        cells = check_labels(y).cells()
        return -np.mean((self.share_[cells.cols] - cells.values) ** 2)


def score_by_hand(Y, train, test):
    share = np.nanmean(Y[train], axis=0)
    errors = (np.broadcast_to(share, Y[test].shape) - Y[test])[~np.isnan(Y[test])]
    return -np.mean(errors**2)


def test_array_is_one_dimensional_and_of_row_views(labels):
    rows = np.asarray(labels)
    assert rows.shape == (24,) and rows.dtype == object
    assert all(isinstance(row, LabelRow) for row in rows)
    assert np.array(list(labels), dtype=object).shape == (24,), "no sequence to unpack"
    assert check_labels(rows) == labels
    assert check_labels(rows[[5, 3]]) == labels[[5, 3]]
    again = check_labels(np.concatenate([np.asarray(labels[3:]), np.asarray(labels)]))
    assert again == labels[[*range(3, 24), *range(24)]] and again.fill == labels.fill


def test_rows_of_several_labels_join_with_weights_names_and_both_fills():
    one = make_labels("unlabeled").with_label_names(list("abc"))
    other = make_labels("negative", seed=1).with_label_names(list("abc"))
    joined = check_labels([one[3], other[2], one[0], other[-1]])
    dense = [one.to_dense()[[3]], other.to_dense()[[2]]]
    dense += [one.to_dense()[[0]], other.to_dense()[[-1]]]
    np.testing.assert_array_equal(joined.to_dense(), np.concatenate(dense))
    assert joined.label_names.tolist() == list("abc")
    weighted = MaskedLabels.from_dense([[1, NAN, 0]], weights=[[2, 1, 3]])
    cells = check_labels([make_labels("unlabeled")[0], weighted[0]]).cells()
    assert cells.weights[cells.rows == 1].tolist() == [2, 3]
    assert (cells.weights[cells.rows == 0] == 1).all()


@pytest.mark.parametrize("dtype", [float, int, bool, "float32"])
def test_no_array_of_numbers_comes_by_itself(labels, dtype):
    with pytest.raises(ValueError) as caught:
        np.asarray(labels, dtype=dtype)
    assert str(caught.value) == (
        "MaskedLabels do not become an array of numbers by themselves, since "
        "unlabeled cells would have to become some number; call to_dense() for NaN in "
        "unlabeled cells."
    )
    assert np.asarray(labels, dtype=object).shape == (24,)


def test_rows_have_no_hash(labels):
    for call in (hash, lambda row: {row}, lambda row: {row: 1}):
        with pytest.raises(ValueError) as caught:
            call(labels[0])
        assert str(caught.value) == RECODED
    with pytest.raises(ValueError, match="tried to recode labels"):
        pd.unique(pd.Series(np.asarray(labels)))


def test_scikit_learn_takes_labels_for_no_kind_of_numbers(labels):
    assert type_of_target(labels) == "unknown"
    check_consistent_length(np.zeros(24), labels)
    assert indexable(labels)[0] is labels


def test_splits_of_rows(labels):
    X = np.arange(24)
    X_train, X_test, train, test = train_test_split(X, labels, random_state=0)
    assert train == labels[X_train] and test == labels[X_test]
    assert train.fill == test.fill == labels.fill
    mixed, rows = shuffle(labels, X, random_state=0)
    assert mixed == labels[rows]
    assert resample(labels, random_state=0, n_samples=9).shape == (9, 3)


@pytest.mark.parametrize("name", ["roc_auc", "top_k_accuracy", "average_precision"])
def test_scorers_of_scikit_learn_name_ours(labels, name):
    scores = np.zeros(labels.shape)
    model = Share().fit(scores, labels)
    with pytest.raises((ValueError, TypeError), match="scoring=masked_roc_auc_scorer"):
        get_scorer(name)(model, scores, labels)


def test_stratifying_by_labels_stops(labels):
    with pytest.raises(ValueError, match="Rows of MaskedLabels are no classes") as no:
        train_test_split(np.arange(24), labels, stratify=labels)
    assert "nor its stratified splits" in str(no.value)
    with pytest.raises(TypeError, match="Rows of MaskedLabels are no classes"):
        sorted(labels)
    with pytest.raises(ValueError, match="Rows of MaskedLabels are no classes"):
        next(StratifiedKFold(2).split(np.zeros((24, 1)), labels))


@pytest.mark.parametrize("cv", [3, KFold(4, shuffle=True, random_state=1)])
def test_cross_validate_scores_the_right_rows(labels, cv):
    X, Y = np.zeros((24, 1)), labels.to_dense()
    splits = (KFold(3) if cv == 3 else cv).split(X)
    expected = [score_by_hand(Y, train, test) for train, test in splits]
    found = cross_validate(Share(), X, labels, cv=cv, error_score="raise")
    np.testing.assert_allclose(found["test_score"], expected, rtol=1e-12)


def test_searches_and_curves_run(labels):
    X = np.zeros((24, 1))
    search = GridSearchCV(Share(), {"power": [1, 2]}, cv=3, error_score="raise")
    assert search.fit(X, labels).best_params_["power"] in (1, 2)
    _, _, scores = learning_curve(
        Share(), X, labels, cv=ShuffleSplit(2, random_state=0), error_score="raise"
    )
    assert np.isfinite(scores).all()
    _, scores = validation_curve(
        Share(),
        X,
        labels,
        param_name="power",
        param_range=[1, 2],
        cv=3,
        error_score="raise",
    )
    assert np.isfinite(scores).all()


def test_scikit_learns_cross_val_predict_stops_before_it_recodes(labels):
    X = np.zeros((24, 1))
    assert cross_val_predict(Share(), X, labels, cv=3).shape == (24, 3)
    for y in (labels, np.asarray(labels)):
        with pytest.raises(ValueError) as caught:
            cross_val_predict(Share(), X, y, cv=3, method="predict_proba")
        assert str(caught.value) == RECODED


# Other processes, memory maps.


def touch(labels):
    """Read every part in a worker; a warning would be an error there."""
    warnings.simplefilter("error")
    mapped = isinstance(labels.values.base, np.memmap)
    cells = check_labels(labels)[::2].cells()
    return mapped, labels, int(cells.values.sum()), labels.n_positive.tolist()


def test_workers_get_read_only_memory_maps_without_a_copy():
    rng = np.random.default_rng(0)
    n = 400_000
    labels = MaskedLabels.from_cells(
        np.arange(n),
        rng.integers(0, 9, n),
        rng.integers(0, 2, n),
        shape=(n, 9),
        weights=rng.random(n) + 0.5,
    )
    expected = int(labels[::2].cells().values.sum()), labels.n_positive.tolist()
    results = Parallel(n_jobs=2, max_nbytes=1000)(delayed(touch)(labels) for _ in "ab")
    for mapped, back, *rest in results:
        assert mapped and back == labels and tuple(rest) == expected


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_cross_validate_in_workers(labels, n_jobs):
    found = cross_validate(
        Share(), np.zeros((24, 1)), labels, cv=3, n_jobs=n_jobs, error_score="raise"
    )
    assert np.isfinite(found["test_score"]).all()


def test_memory_mapped_arrays_are_read_as_they_are(tmp_path):
    Y = np.random.default_rng(0).choice([0, 1, -1], size=(50, 4)).astype(np.int8)
    labels = MaskedLabels.from_dense(Y, weights=np.ones(Y.shape))
    joblib.dump((Y, labels), tmp_path / "y.joblib")
    dense, back = joblib.load(tmp_path / "y.joblib", mmap_mode="r")
    assert isinstance(dense, np.memmap) and isinstance(back.values.base, np.memmap)
    assert np.shares_memory(back[3:9].values, back.values)
    assert check_labels(back) is back and back == labels
    assert check_labels(dense) == labels.without_weights()
    assert back[[4, 2]] == labels[[4, 2]]
    dense, back = None, None  # the file may be removed


def test_a_pickle_loads_where_nothing_else_was_imported(tmp_path):
    path = tmp_path / "labels.joblib"
    joblib.dump(make_labels("unlabeled").with_label_names(list("abc")), path)
    code = (
        f"import joblib, sys; labels = joblib.load({str(path)!r}); "
        "assert labels[:, 'b'].shape == (24, 1); "
        "assert not {'torch', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# At full size: cost follows what is stored.


def nbytes(labels):
    arrays = labels.indptr, labels.indices, labels.values, labels.weights
    return sum(array.nbytes for array in arrays if array is not None)


def peak(call):
    """Return the most bytes that a call holds at a time."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_million_rows_of_one_cell_are_a_few_tens_of_megabytes():
    n, n_labels = 1_000_000, 10_000
    rng = np.random.default_rng(0)
    cols, values = rng.integers(0, n_labels, n), rng.integers(0, 2, n)
    labels = MaskedLabels.from_cells(np.arange(n), cols, values, shape=(n, n_labels))
    assert nbytes(labels) == 8 * (n + 1) + 4 * n + n
    assert labels.n_cells == n
    np.testing.assert_array_equal(labels.n_labeled, np.bincount(cols))
    rows = rng.permutation(n)[:300_000]
    taken = labels[rows]
    np.testing.assert_array_equal(taken.cells().cols, cols[rows])
    np.testing.assert_array_equal(taken.values, values[rows])
    # Of a slice the parts are views, but for where its rows begin.
    assert peak(lambda: labels[rows]) < 4 * nbytes(taken)
    assert peak(lambda: labels[200_000:500_000]) < nbytes(taken)
    assert sum(len(cells.rows) for _, cells in labels.iter_cells(1 << 16)) == n


@pytest.mark.parametrize("raw", [True, False])
def test_an_indicator_matrix_costs_its_ones(raw):
    shape, n_ones = (56_588, 10_955), 241_525
    cells = np.random.default_rng(0).choice(shape[0] * shape[1], n_ones, replace=False)
    y = sp.csr_matrix(
        (np.ones(n_ones), np.divmod(cells, shape[1])), shape=shape, dtype=np.int64
    )
    labels = (
        check_labels(y) if raw else MaskedLabels.from_sparse(y, implicit="negative")
    )
    assert labels.fill == "negative"
    assert nbytes(labels) == 8 * (shape[0] + 1) + 5 * n_ones
    assert labels.n_cells == shape[0] * shape[1]
    assert labels.n_positive.sum() == n_ones
    assert labels == check_labels(y.tocsc())
    assert nbytes(labels[::2]) < 0.6 * nbytes(labels)
    rows, first = next(labels.iter_cells())
    assert len(first.rows) == rows.stop * shape[1] <= 1 << 22
