"""skorch's callbacks and validation rows, as its users write them."""

import functools
import io
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import skorch
import torch
from sklearn.metrics import get_scorer, make_scorer, roc_auc_score
from skorch.callbacks import EpochScoring, TensorBoard
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.metrics import (
    masked_average_precision_scorer,
    masked_roc_auc_score,
    masked_roc_auc_scorer,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 6)).astype(np.float32)
Y = (X[:, :3] + 0.5 * RNG.normal(size=(80, 3)) > 0).astype(float)
Y[RNG.random(Y.shape) < 0.4] = np.nan
Y[::9] = np.nan
NEW, Y_NEW = X[:30] + 0.1, Y[:30]
VALID = predefined_split(Dataset(NEW, Y_NEW))


class Normed(torch.nn.Module):
    """Batch normalization before a linear layer."""

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(n_features)
        self.layer = torch.nn.Linear(n_features, n_labels)

    def forward(self, X):
        return self.layer(self.norm(X))


def classifier(**params):
    settings = {"max_epochs": 3, "random_state": 0, "device": "cpu"}
    return MaskedMultiLabelClassifier(**{**settings, **params})


SOLVERS = pytest.mark.parametrize(
    "solver", [{}, {"optimizer": torch.optim.Adam}, {"module": Normed}]
)


def by_hand(net, X, y):
    return masked_roc_auc_score(y, net.predict_proba(X))


def rate(net, X, y, factor=1):
    return factor * net.tol


# EpochScoring


@SOLVERS
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_epoch_scoring_takes_our_scorers_and_functions(solver, kind):
    if "module" in solver:
        kind = np.asarray
    scorings = {
        "masked_roc_auc_score": masked_roc_auc_scorer,
        "by_hand": by_hand,
        "ap": masked_average_precision_scorer,
        "score": None,
        "rate": functools.partial(rate, factor=2),
    }
    callbacks = [
        EpochScoring(
            scoring, lower_is_better=False, name="ap" if name == "ap" else None
        )
        for name, scoring in scorings.items()
    ]
    split = predefined_split(Dataset(kind(NEW), Y_NEW))
    model = classifier(callbacks=callbacks, net_params={"train_split": split}, **solver)
    model.fit(kind(X), Y)
    auc = [row["masked_roc_auc_score"] for row in model.history_]
    for name in ("by_hand", "score"):
        assert [row[name] for row in model.history_] == pytest.approx(auc)
    assert {row["rate"] for row in model.history_} == {2 * model.tol}
    assert "masked_roc_auc_score_best" in model.history_[0]
    if solver:  # dual steps scale the output afterwards, label by label
        wanted = masked_roc_auc_scorer(model, NEW, Y_NEW), auc[-1]
        assert wanted[0] == pytest.approx(wanted[1])
        ap = masked_average_precision_scorer(model, NEW, Y_NEW)
        assert model.history_[-1]["ap"] == pytest.approx(ap)
    callbacks[0].scoring = None  # what is the user's is not the model's
    assert pickle.loads(pickle.dumps(model)).history_ == model.history_


@SOLVERS
def test_epoch_scoring_of_the_training_rows(solver):
    scoring = EpochScoring(masked_roc_auc_scorer, on_train=True, name="auc")
    model = classifier(callbacks=[("auc", scoring)], **solver).fit(X, Y)
    found = [row["auc"] for row in model.history_]
    assert len(found) == len(model.history_) and found[-1] > 0.5
    if solver:
        assert found[-1] == pytest.approx(masked_roc_auc_scorer(model, X, Y))


def test_epoch_scoring_changes_no_bit():
    callback = EpochScoring(masked_roc_auc_scorer, on_train=True)
    seen = classifier(callbacks=[callback]).fit(X, Y)
    plain = classifier().fit(X, Y)
    np.testing.assert_array_equal(seen.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize(
    "scoring",
    ["accuracy", get_scorer("roc_auc"), lambda net, X, y: (net.predict(X) == y).mean()],
)
def test_epoch_scoring_of_a_binary_problem(scoring):
    y = np.where(X[:, 0] > 0, "yes", "no").astype(object)
    y[::5] = np.nan
    callback = EpochScoring(scoring, on_train=True, name="found")
    model = classifier(optimizer=torch.optim.Adam, lr=0.1, callbacks=[callback])
    model.fit(X, y)
    assert 0.6 < model.history_[-1]["found"] <= 1


def test_epoch_scoring_knows_names_of_features_and_labels():
    pd = pytest.importorskip("pandas")
    rows, y = pd.DataFrame(X).add_prefix("x"), pd.DataFrame(Y, columns=list("abc"))
    seen = []

    def look(net, X, y):
        seen.append(list(y.label_names))
        return 1.0

    callbacks = [EpochScoring(look, on_train=True), EpochScoring(by_hand)]
    split = predefined_split(Dataset(rows[:30], y[:30]))
    params = {"callbacks": callbacks, "net_params": {"train_split": split}}
    model = classifier(**params).fit(rows, y)
    assert seen == [["a", "b", "c"]] * len(model.history_)
    assert 0.5 < model.history_[-1]["by_hand"] <= 1


def test_epoch_scoring_of_labels_that_store_positives():
    y = MaskedLabels.from_sparse(sp.csr_matrix(Y == 1), implicit="negative")
    callback = EpochScoring(masked_roc_auc_scorer, on_train=True, name="auc")
    model = classifier(optimizer=torch.optim.Adam, callbacks=[callback]).fit(X, y)
    assert model.history_[-1]["auc"] == pytest.approx(
        masked_roc_auc_scorer(model, X, y)
    )


def test_a_scorer_that_gives_nan_without_validation_rows_is_not_asked():
    model = classifier(callbacks=[EpochScoring(by_hand)]).fit(X, Y)
    assert "by_hand" not in model.history_[-1]


def test_early_stopping_by_a_score():
    stop = skorch.callbacks.EarlyStopping("by_hand", patience=1, lower_is_better=False)
    stop.set_params(sink=lambda text: None)
    callbacks = [EpochScoring(by_hand, lower_is_better=False), ("stop", stop)]
    params = {"optimizer": torch.optim.SGD, "lr": 1e-9, "max_epochs": 30}
    model = classifier(
        callbacks=callbacks, net_params={"train_split": VALID}, **params
    ).fit(X, Y)
    assert model.n_iter_ < 30


# Callbacks that hold what cannot be copied


class Writer:
    """A writer of TensorBoard's kind, on an open file."""

    def __init__(self):
        self.file, self.tags = io.TextIOWrapper(io.BytesIO()), []

    def add_scalar(self, tag=None, scalar_value=None, global_step=None):
        self.tags.append(tag)

    def __deepcopy__(self, memo):
        raise TypeError("cannot pickle '_io.TextIOWrapper' object")


@SOLVERS
def test_tensor_board_writes_to_the_users_writer(solver):
    writer = Writer()
    model = classifier(
        callbacks=[TensorBoard(writer, close_after_train=False)], **solver
    )
    model.fit(X, Y)
    assert writer.tags.count("Loss/train_loss") == len(model.history_)
    model.partial_fit(X, Y)
    assert writer.tags.count("Loss/train_loss") == len(model.history_)


# Batches


def test_drop_last_leaves_out_the_rest_of_the_rows():
    seen = []

    class Sizes(skorch.callbacks.Callback):
        def on_batch_begin(self, net, batch, training, **kwargs):
            seen.append(len(batch[0]))

    n_rows = int((~np.isnan(Y)).any(axis=1).sum())
    params = {"module": Normed, "callbacks": [Sizes()], "batch_size": 16}
    drop = {"iterator_train__drop_last": True}
    model = classifier(net_params=drop, **params).fit(X, Y)
    assert n_rows % 16 and seen == [16] * (n_rows // 16) * 3
    assert np.isfinite(model.predict_proba(X)).all()


def test_drop_last_that_leaves_nothing_raises():
    params = {"iterator_train__drop_last": True}
    n_rows = int((~np.isnan(Y)).any(axis=1).sum())
    with pytest.raises(ValueError) as caught:
        classifier(module=Normed, batch_size=500, net_params=params).fit(X, Y)
    assert str(caught.value) == (
        f"`drop_last` leaves no batch of {n_rows} rows with a labeled cell: "
        f"`batch_size` accepts at most {n_rows} there; got 500."
    )


@pytest.mark.parametrize("fixed", [False, True])
def test_a_last_row_joins_the_batch_before_it_under_batch_normalization(fixed):
    n_rows = int((~np.isnan(Y)).any(axis=1).sum())
    params = {"batch_size": n_rows - 1, "net_params": {"iterator_train__fixed": fixed}}
    model = classifier(module=Normed, **params).fit(X, Y)
    assert [row["train_batch_count"] for row in model.history_] == [1, 1, 1]
    assert np.isfinite(model.predict_proba(X)).all()


# Validation rows of the user's own


def n_cells(model, kind):
    """Return how many cells the batches of the first epoch had."""
    batches = model.history_[0]["batches"]
    return sum(row.get(f"{kind}_batch_size", 0) for row in batches)


@SOLVERS
@pytest.mark.parametrize("stops", [False, True])
def test_a_validation_set_of_ones_own_is_what_is_validated_on(solver, stops):
    split = {"train_split": VALID}
    params = {"early_stopping": stops, "calibrate": False, **solver}
    if solver:
        del params["calibrate"]
    model = classifier(net_params=split, max_epochs=1, **params).fit(X, Y)
    # Not a row of X is set aside, and what is only watched changes nothing.
    plain = classifier(max_epochs=1, **solver).fit(X, Y)
    n_rows = int((~np.isnan(Y)).any(axis=1).sum())
    assert n_cells(model, "train") == (~np.isnan(Y)).sum() and n_rows < 80
    known = ~np.isnan(Y_NEW)
    logits = torch.from_numpy(model.decision_function(NEW)[known]).double()
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(Y_NEW[known])
    )
    if solver:
        assert model.history_[-1]["valid_loss"] == pytest.approx(
            float(wanted), rel=1e-4
        )
        np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert model.history_[-1]["valid_loss"] > 0


def test_watching_rows_changes_no_bit_of_the_default():
    plain = classifier(max_epochs=5).fit(X, Y)
    seen = classifier(max_epochs=5, net_params={"train_split": VALID}).fit(X, Y)
    assert seen.n_iter_ == plain.n_iter_
    np.testing.assert_array_equal(seen.predict_proba(X), plain.predict_proba(X))


def test_early_stopping_goes_by_the_rows_of_ones_own():
    params = {"early_stopping": True, "n_iter_no_change": 2, "tol": 0, "lr": 0.5}
    split = predefined_split(Dataset(NEW, 1 - Y_NEW))  # learning makes it worse
    model = classifier(
        module=Normed, max_epochs=20, net_params={"train_split": split}, **params
    ).fit(X, Y)
    assert model.n_iter_ < 6


@SOLVERS
def test_skorchs_split_sets_rows_of_x_aside(solver):
    split = ValidSplit([(np.arange(60), np.arange(60, 80))])
    model = classifier(net_params={"train_split": split}, **solver).fit(X, Y)
    assert n_cells(model, "train") == (~np.isnan(Y[:60])).sum()
    assert n_cells(model, "valid") == (~np.isnan(Y[60:])).sum()
    fold = classifier(net_params={"train_split": ValidSplit(5)}, **solver).fit(X, Y)
    assert "valid_loss" in fold.history_[-1]


def test_a_split_of_another_kind_raises():
    rows = torch.utils.data.TensorDataset(torch.from_numpy(NEW))
    with pytest.raises(ValueError) as caught:
        classifier(net_params={"train_split": predefined_split(rows)}).fit(X, Y)
    assert str(caught.value) == (
        "`train_split` accepts skorch.dataset.ValidSplit(...) and "
        "skorch.helper.predefined_split(skorch.dataset.Dataset(X_valid, y_valid)); got "
        "a TensorDataset to validate on."
    )


def test_a_validation_set_of_other_labels_raises():
    split = {"train_split": predefined_split(Dataset(NEW, Y_NEW[:, :2]))}
    with pytest.raises(ValueError, match=r"^`y` must have the 3 labels that the model"):
        classifier(net_params=split).fit(X, Y)


def test_a_score_of_scikit_learn_is_one_of_predictions():
    y = (X[:, 0] > 0).astype(int)
    scorer = make_scorer(roc_auc_score, response_method="predict_proba")
    callback = EpochScoring(scorer, on_train=True, name="auc")
    model = classifier(callbacks=[callback]).fit(X, y)
    assert model.history_[-1]["auc"] > 0.9
