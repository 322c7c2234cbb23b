"""Parameters and behavior: seeds, early stopping, callbacks, weights, routing."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import skorch.callbacks
import torch
from builders import Linear
from sklearn import config_context
from sklearn import model_selection as ms
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.classifier import _net
from sklearn_masked.exceptions import InterruptedFitWarning
from sklearn_masked.metrics import masked_roc_auc_score, masked_roc_auc_scorer


def make_data(n=90, m=6, n_labels=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, m)).astype(np.float32)
    y = (X[:, :n_labels] + 0.3 * rng.normal(size=(n, n_labels)) > 0).astype(float)
    y[rng.random(y.shape) < 0.4] = np.nan
    y[::9] = np.nan
    return X, y


X, Y = make_data()


def classifier(**params):
    settings = {"max_epochs": 3, "batch_size": 16, "random_state": 0, "device": "cpu"}
    return MaskedMultiLabelClassifier(**{**settings, **params})


def own_module(**params):
    settings = {"module": Linear, "optimizer": torch.optim.SGD, "lr": 0.1}
    return classifier(**{**settings, **params})


MAKERS = pytest.mark.parametrize("make", [classifier, own_module])


# It learns


def test_separable_labels_are_learnt_with_the_default_parameters():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 10)).astype(np.float32)
    truth = (rows[:, :4] > 0).astype(float)
    y = np.where(rng.random(truth.shape) < 0.5, np.nan, truth)
    for kind in (rows, sp.csr_matrix(rows)):
        model = MaskedMultiLabelClassifier(random_state=0, device="cpu")
        model.fit(kind[:300], y[:300])
        found = masked_roc_auc_score(truth[300:], model.decision_function(kind[300:]))
        assert found > 0.95


# Seeds


@MAKERS
def test_equal_seeds_give_equal_bits_and_others_do_not(make):
    first, again = (make().fit(X, Y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = make(random_state=1).fit(X, Y).predict_proba(X)
    assert not np.array_equal(first, other)


def test_random_state_object_is_consumed():
    generator = np.random.RandomState(3)
    first = classifier(random_state=generator).fit(X, Y).predict_proba(X)
    second = classifier(random_state=generator).fit(X, Y).predict_proba(X)
    assert not np.array_equal(first, second)
    fresh = classifier(random_state=np.random.RandomState(3)).fit(X, Y)
    np.testing.assert_array_equal(fresh.predict_proba(X), first)


@MAKERS
@pytest.mark.parametrize("random_state", [0, np.random.RandomState(0)])
def test_global_generators_stay_where_they_were(make, random_state):
    torch.manual_seed(11)
    np.random.seed(11)
    want = torch.rand(3), np.random.rand(3)
    torch.manual_seed(11)
    np.random.seed(11)
    model = make(random_state=random_state, early_stopping=True)
    model.fit(X, Y).predict_proba(X)
    got = torch.rand(3), np.random.rand(3)
    assert torch.equal(got[0], want[0])
    np.testing.assert_array_equal(got[1], want[1])


def test_partial_fit_leaves_the_global_generators_alone():
    model = classifier().fit(X, Y)
    torch.manual_seed(11)
    want = torch.rand(3)
    torch.manual_seed(11)
    model.partial_fit(X, Y)
    assert torch.equal(torch.rand(3), want)


def test_fit_without_a_seed_does_not_set_torchs():
    torch.manual_seed(11)
    want = torch.rand(3)
    torch.manual_seed(11)
    classifier(random_state=None).fit(X, Y)
    assert torch.equal(torch.rand(3), want)


# Early stopping


@MAKERS
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_early_stopping_records_a_validation_loss_and_stops(make, kind):
    if make is own_module and kind is sp.csr_matrix:
        make, kind = own_module, np.asarray
    model = make(
        early_stopping=True,
        validation_fraction=0.3,
        max_epochs=200,
        n_iter_no_change=3,
        tol=0.01,
    ).fit(kind(X), Y)
    losses = [row["valid_loss"] for row in model.history_]
    assert 3 < len(losses) < 200
    assert np.isfinite(losses).all()


class Recorder(skorch.callbacks.Callback):
    """Keep a copy of the module after each epoch, in a list outside."""

    kept = []

    def on_train_begin(self, net, X=None, y=None):
        Recorder.kept = []

    def on_epoch_end(self, net, **kwargs):
        Recorder.kept.append(copy.deepcopy(net.module_.state_dict()))


def test_early_stopping_keeps_the_epoch_of_the_least_validation_loss():
    # So large a step that the loss goes up and down.
    model = own_module(
        early_stopping=True,
        validation_fraction=0.3,
        max_epochs=40,
        n_iter_no_change=8,
        tol=0,
        lr=20,
        callbacks=[Recorder()],
    ).fit(X, Y)
    losses = [row["valid_loss"] for row in model.history_]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1  # else there is nothing to see
    for name, tensor in model.net_.module_.state_dict().items():
        torch.testing.assert_close(tensor, Recorder.kept[best][name], rtol=0, atol=0)


def test_early_stopping_of_the_default_model_keeps_the_best_epoch():
    plain = classifier(
        early_stopping=True, max_epochs=30, n_iter_no_change=5, calibrate=False
    )
    model = plain.set_params(callbacks=[Recorder()]).fit(X, Y)
    losses = [row["valid_loss"] for row in model.history_]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    for name, tensor in model.net_.module_.state_dict().items():
        torch.testing.assert_close(tensor, Recorder.kept[best][name], rtol=0, atol=0)


@MAKERS
@pytest.mark.parametrize("further", ["partial_fit", "warm_start"])
def test_early_stopped_model_goes_on(make, further):
    model = make(early_stopping=True, warm_start=True).fit(X, Y)
    epochs = len(model.history_)
    getattr(model, "fit" if further == "warm_start" else further)(X, Y)
    assert len(model.history_) > epochs
    assert np.isfinite(model.predict_proba(X)).all()


# Warm start and partial_fit


@MAKERS
def test_warm_start_goes_on_and_a_cold_start_does_not(make):
    warm = make(warm_start=True, max_epochs=2).fit(X, Y)
    first = warm.predict_proba(X)
    warm.fit(X, Y)
    assert len(warm.history_) == 4
    assert not np.array_equal(warm.predict_proba(X), first)
    cold = make(max_epochs=2).fit(X, Y).fit(X, Y)
    assert len(cold.history_) == 2
    np.testing.assert_array_equal(cold.predict_proba(X), first)


def test_warm_start_comes_nearer_to_the_labels():
    model = own_module(warm_start=True, max_epochs=5).fit(X, Y)
    losses = [model.history_[-1]["train_loss"]]
    for _ in range(4):
        losses.append(model.fit(X, Y).history_[-1]["train_loss"])
    assert (np.diff(losses) < 0).all()


@MAKERS
def test_partial_fit_takes_one_epoch_and_any_batch(make):
    model = make()
    model.partial_fit(X, Y)
    assert len(model.history_) == 1
    model.partial_fit(X[:4], np.full((4, 3), np.nan))
    model.partial_fit(X[:4], np.ones((4, 3)))
    assert np.isfinite(model.predict_proba(X)).all()


def test_partial_fit_alone_learns():
    model = classifier(max_epochs=1)
    for start in range(0, 90, 30):
        model.partial_fit(X[start : start + 30], Y[start : start + 30])
    for _ in range(3):
        model.partial_fit(X, Y)
    assert model.score(X, Y) > 0.85


@pytest.mark.parametrize("further", ["partial_fit", "fit"])
def test_new_learning_rate_and_batch_size_rule_the_next_step(further):
    model = own_module(warm_start=True).fit(X, Y)
    before = model.predict_proba(X)
    model.set_params(lr=1e-12)
    getattr(model, further)(X, Y)
    # A rate of almost nothing moves almost nothing.
    np.testing.assert_allclose(model.predict_proba(X), before, atol=1e-6)
    model.set_params(batch_size=-1)
    getattr(model, further)(X, Y)
    assert model.history_[-1]["train_batch_count"] == 1


class Breaks(torch.nn.Module):
    """A criterion that can be told to fail."""

    broken = False

    def forward(self, logits, targets):
        if Breaks.broken:
            raise RuntimeError("told to fail")
        known = ~targets.isnan()
        return (logits[known] - targets[known]).square().mean()


@pytest.mark.parametrize("further", ["partial_fit", "fit"])
def test_learning_rate_of_a_step_that_failed_rules_the_next_one(further, monkeypatch):
    model = own_module(criterion=Breaks, warm_start=True).fit(X, Y)
    before = model.predict_proba(X)
    model.set_params(lr=1e-12)
    with monkeypatch.context() as patch:
        patch.setattr(Breaks, "broken", True)
        with pytest.raises(RuntimeError, match="^told to fail$"):
            getattr(model, further)(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    getattr(model, further)(X, Y)
    np.testing.assert_allclose(model.predict_proba(X), before, atol=1e-6)


# Callbacks


class Counter(skorch.callbacks.Callback):
    """Count epochs and batches, on itself and in a list outside."""

    seen = []

    def __init__(self):
        self.epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.epochs += 1
        Counter.seen.append(id(self))

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        Counter.seen.append("batch")


@pytest.mark.parametrize("named", [False, True])
@MAKERS
def test_callbacks_are_copied_and_called(make, named):
    Counter.seen = []
    callback = Counter()
    model = make(callbacks=[("counter", callback) if named else callback]).fit(X, Y)
    assert callback.epochs == 0
    assert vars(callback) == {"epochs": 0}
    epochs = [seen for seen in Counter.seen if seen != "batch"]
    assert len(epochs) == 3 and id(callback) not in epochs
    n_rows = int((~np.isnan(Y)).any(axis=1).sum())
    assert Counter.seen.count("batch") == 3 * -(-n_rows // 16)
    inside = dict(model.net_.callbacks_)["counter" if named else "Counter"]
    assert inside.epochs == 3


def test_learning_rate_schedule_changes_the_rate():
    schedule = skorch.callbacks.LRScheduler(
        torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5
    )
    model = own_module(callbacks=[schedule], lr=0.4).fit(X, Y)
    rate = model.net_.optimizer_.param_groups[0]["lr"]
    assert rate == pytest.approx(0.4 * 0.5**3)
    assert [row["event_lr"] for row in model.history_] == pytest.approx([0.4, 0.2, 0.1])
    plain = own_module(lr=0.4).fit(X, Y)
    assert not np.array_equal(plain.predict_proba(X), model.predict_proba(X))


def test_gradient_clipping_reaches_the_steps():
    clip = skorch.callbacks.GradientNormClipping(1e-9)
    model = own_module(callbacks=[clip]).fit(X, Y)
    losses = [row["train_loss"] for row in model.history_]
    np.testing.assert_allclose(losses, losses[0], rtol=0.05)
    plain = [row["train_loss"] for row in own_module().fit(X, Y).history_]
    assert plain[-1] < losses[-1] - 0.05


def test_early_stopping_callback_of_the_users_own_ends_training_in_silence():
    stop = skorch.callbacks.EarlyStopping(
        monitor="train_loss", patience=2, threshold=10, threshold_mode="abs"
    )
    stop.set_params(sink=lambda text: None)
    model = own_module(callbacks=[stop], max_epochs=50).fit(X, Y)
    assert len(model.history_) < 10


def test_callbacks_disabled_train_the_same_model():
    disabled = own_module(callbacks="disable").fit(X, Y)
    np.testing.assert_array_equal(
        disabled.predict_proba(X), own_module().fit(X, Y).predict_proba(X)
    )


def test_callback_parameters_go_through_net_params():
    model = own_module(
        callbacks=[("clip", skorch.callbacks.GradientNormClipping(1.0))],
        net_params={"callbacks__clip__gradient_clip_value": 1e-9},
    ).fit(X, Y)
    clip = dict(model.net_.callbacks_)["clip"]
    assert clip.gradient_clip_value == 1e-9


# Output


@MAKERS
def test_verbose_prints_a_row_an_epoch_and_zero_prints_nothing(make, capsys):
    make(verbose=0).fit(X, Y).predict(X)
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
    make(verbose=1).fit(X, Y)
    lines = capsys.readouterr().out.strip().splitlines()
    assert "train_loss" in lines[0]
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3"]


# Ctrl-C


class Interrupts(skorch.callbacks.Callback):
    """Press Ctrl-C in an epoch."""

    def __init__(self, epoch, hook):
        self.epoch, self.hook = epoch, hook

    def on_epoch_begin(self, net, **kwargs):
        self.press(net, "on_epoch_begin")

    def on_batch_begin(self, net, **kwargs):
        self.press(net, "on_batch_begin")

    def on_batch_end(self, net, **kwargs):
        self.press(net, "on_batch_end")

    def press(self, net, hook):
        # skorch opens an epoch's row of the history before it calls anyone.
        if hook == self.hook and len(net.history) == self.epoch:
            raise KeyboardInterrupt


HOOKS = pytest.mark.parametrize(
    "hook", ["on_epoch_begin", "on_batch_begin", "on_batch_end"]
)


@HOOKS
@MAKERS
def test_interrupt_keeps_the_finished_epochs_and_says_how_many(make, hook):
    model = make(callbacks=[Interrupts(3, hook)], max_epochs=7)
    with pytest.warns(InterruptedFitWarning) as caught:
        model.fit(X, Y)
    assert [str(w.message) for w in caught] == [
        "The training was interrupted after 2 finished epochs; they are kept."
    ]
    assert len(model.history_) == 2
    assert np.isfinite(model.predict_proba(X)).all()
    if hook == "on_epoch_begin":
        two = make(max_epochs=2, callbacks=[Interrupts(99, hook)]).fit(X, Y)
        if make is own_module:
            np.testing.assert_array_equal(model.predict_proba(X), two.predict_proba(X))
    model.set_params(callbacks=None).fit(X, Y)
    assert len(model.history_) == 7


@MAKERS
def test_a_call_without_labeled_rows_after_an_interruption_is_not_interrupted(make):
    model = make(callbacks=[Interrupts(3, "on_batch_end")], max_epochs=10)
    with pytest.warns(InterruptedFitWarning):
        model.fit(X, Y)
    before = model.predict_proba(X)
    model.partial_fit(X[:2], np.full((2, Y.shape[1]), np.nan))
    np.testing.assert_allclose(model.predict_proba(X), before, atol=1e-6)


@HOOKS
@MAKERS
def test_interrupt_in_the_first_epoch_raises_and_leaves_what_was(make, hook):
    model = make(callbacks=[Interrupts(1, hook)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert set(vars(model)) == set(model.get_params(deep=False))
    model.set_params(callbacks=None).fit(X, Y)
    before = model.predict_proba(X)
    model.set_params(callbacks=[Interrupts(1, hook)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert len(model.history_) == 3


def test_interrupt_of_a_warm_start_counts_its_own_epochs():
    model = own_module(
        warm_start=True, max_epochs=4, callbacks=[Interrupts(7, "on_batch_end")]
    ).fit(X, Y)
    with pytest.warns(InterruptedFitWarning, match=r"after 2 finished epochs;"):
        model.fit(X, Y)
    assert len(model.history_) == 6


def test_interrupt_before_a_warm_start_has_an_epoch_leaves_what_was():
    model = own_module(
        warm_start=True, max_epochs=4, callbacks=[Interrupts(5, "on_batch_end")]
    ).fit(X, Y)
    before = model.predict_proba(X)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert len(model.history_) == 4


# Weights


FULL = {"batch_size": -1, "net_params": {"iterator_train__shuffle": False}}


@MAKERS
def test_weight_zero_equals_removing_the_row(make):
    weight = np.ones(len(X))
    weight[::4] = 0
    kept = weight > 0
    # The unsupervised start may read rows without labels: here all are the same.
    model = make(**FULL).fit(X, Y, sample_weight=weight)
    unlabeled = np.where(kept[:, None], Y, np.nan)
    np.testing.assert_allclose(
        model.predict_proba(X),
        make(**FULL).fit(X, unlabeled).predict_proba(X),
        atol=1e-6,
    )
    if make is own_module:
        removed = make(**FULL).fit(X[kept], Y[kept])
        np.testing.assert_allclose(
            model.predict_proba(X), removed.predict_proba(X), atol=1e-6
        )


def test_weight_zero_of_a_row_is_near_to_removing_it_in_the_default_model():
    weight = np.ones(len(X))
    weight[::4] = 0
    kept = weight > 0
    settings = {**FULL, "max_epochs": 60, "shared_weight": 0.0, "calibrate": False}
    model = classifier(**settings).fit(X, Y, sample_weight=weight)
    removed = classifier(**settings).fit(X[kept], Y[kept])
    np.testing.assert_allclose(
        model.predict_proba(X), removed.predict_proba(X), atol=0.1
    )


@MAKERS
def test_weight_zero_of_a_cell_equals_no_label(make):
    rng = np.random.default_rng(5)
    weight = (rng.random(Y.shape) > 0.3).astype(float)
    model = make(**FULL).fit(X, Y, sample_weight=weight)
    unlabeled = np.where(weight > 0, Y, np.nan)
    np.testing.assert_allclose(
        model.predict_proba(X),
        make(**FULL).fit(X, unlabeled).predict_proba(X),
        atol=1e-6,
    )
    in_y = MaskedLabels.from_dense(Y, weights=weight)
    np.testing.assert_allclose(
        model.predict_proba(X), make(**FULL).fit(X, in_y).predict_proba(X), atol=1e-6
    )


@MAKERS
def test_weights_of_rows_cells_and_y_say_the_same(make):
    rng = np.random.default_rng(5)
    rows = rng.uniform(0.5, 2, size=len(X))
    cells = np.repeat(rows[:, None], 3, axis=1)
    by_row = make(**FULL).fit(X, Y, sample_weight=rows).predict_proba(X)
    by_cell = make(**FULL).fit(X, Y, sample_weight=cells).predict_proba(X)
    in_y = make(**FULL).fit(X, MaskedLabels.from_dense(Y, weights=cells))
    np.testing.assert_allclose(by_cell, by_row, atol=1e-6)
    np.testing.assert_allclose(in_y.predict_proba(X), by_row, atol=1e-6)
    plain = make(**FULL).fit(X, Y).predict_proba(X)
    assert np.abs(plain - by_row).max() > 1e-3


def test_weight_two_equals_a_repeated_row_in_the_users_module():
    weight = np.ones(len(X))
    weight[:30] = 2
    twice = np.concatenate([np.arange(90), np.arange(30)])
    weighted = own_module(**FULL).fit(X, Y, sample_weight=weight)
    repeated = own_module(**FULL).fit(X[twice], Y[twice])
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6
    )


# What reaches the module


class Records(torch.nn.Module):
    """Note the first column of each row that it sees."""

    seen = []

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.layer = torch.nn.Linear(n_features, n_labels)

    def forward(self, X):
        Records.seen += X[:, 0].tolist()
        return self.layer(X)


@pytest.mark.parametrize("form", ["rows without cells", "weight 0", "negative fill"])
def test_rows_without_labels_reach_no_batch(form):
    rows = X.copy()
    rows[:, 0] = np.arange(len(X))
    y, weight = Y, None
    has_cells = ~np.isnan(y).all(axis=1)
    if form == "weight 0":
        weight = np.where(np.arange(len(y)) % 2, 1.0, 0.0)
        has_cells &= weight > 0
    if form == "negative fill":
        y = np.where(np.arange(len(y))[:, None] % 3 == 0, -1, np.nan_to_num(y))
        has_cells = np.arange(len(y)) % 3 > 0
        y = sp.csr_matrix(y)
    Records.seen = []
    classifier(module=Records, max_epochs=2).fit(rows, y, sample_weight=weight)
    want = np.flatnonzero(has_cells).tolist()
    assert 0 < len(want) < len(X)
    assert sorted(Records.seen) == sorted(want * 2)


def test_rows_of_the_validation_part_are_no_part_of_the_training():
    rows = X.copy()
    rows[:, 0] = np.arange(len(X))
    Records.seen = []
    classifier(module=Records, max_epochs=1, early_stopping=True).fit(rows, Y)
    # Once each: trained on, or validated on.
    labeled = np.flatnonzero(~np.isnan(Y).all(axis=1)).tolist()
    assert sorted(Records.seen) == labeled


def test_unlabeled_cells_whatever_their_form_train_the_same_model():
    forms = (np.where(np.isnan(Y), -1, Y), MaskedLabels.from_dense(Y))
    want = classifier().fit(X, Y).predict_proba(X)
    for form in forms:
        np.testing.assert_array_equal(classifier().fit(X, form).predict_proba(X), want)


# Sparse and dense


def test_sparse_and_dense_rows_predict_the_same_from_one_model():
    rows = np.where(np.abs(X) > 0.4, X, 0)
    for fitted_on in (rows, sp.csr_matrix(rows)):
        model = classifier().fit(fitted_on, Y)
        np.testing.assert_allclose(
            model.predict_proba(sp.csr_matrix(rows)),
            model.predict_proba(rows),
            atol=1e-5,
        )


def test_sparse_formats_train_the_same_bits():
    rows = np.where(np.abs(X) > 0.4, X, 0)
    want = classifier().fit(sp.csr_matrix(rows), Y).predict_proba(rows)
    for form in (sp.csc_matrix, sp.coo_matrix, sp.csr_array, sp.csc_array):
        model = classifier().fit(form(rows), Y)
        np.testing.assert_array_equal(model.predict_proba(rows), want)


def test_sparse_and_dense_rows_train_models_that_rank_alike():
    rng = np.random.default_rng(0)
    rows = rng.poisson(0.7, size=(300, 12)).astype(np.float32)
    truth = (rows[:, :3] > rows[:, 3:6]).astype(float)
    y = np.where(rng.random(truth.shape) < 0.4, np.nan, truth)
    scores = [
        masked_roc_auc_score(
            truth, classifier(max_epochs=20).fit(k, y).predict_proba(k)
        )
        for k in (rows, sp.csr_matrix(rows))
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)
    assert min(scores) > 0.85


def stored_otherwise(rows):
    """Return the same rows with halves, with zeros, and with columns in disorder."""
    once = sp.csr_matrix(rows)
    twice = np.repeat(once.data / 2, 2), np.repeat(once.indices, 2), 2 * once.indptr
    halves = sp.csr_matrix(twice, shape=rows.shape)
    zeros = sp.csr_matrix(np.where(rows == 0, 7, rows))
    zeros.data[zeros.data == 7] = 0
    disorder = sp.csr_matrix(rows)
    for i in range(len(rows)):
        part = slice(disorder.indptr[i], disorder.indptr[i + 1])
        disorder.indices[part] = disorder.indices[part][::-1].copy()
        disorder.data[part] = disorder.data[part][::-1].copy()
    disorder.has_sorted_indices = False
    assert halves.nnz == 2 * once.nnz and zeros.nnz == rows.size
    return {"halves": halves, "zeros": zeros, "disorder": disorder}


@pytest.mark.parametrize("form", ["halves", "zeros", "disorder"])
@pytest.mark.parametrize("optimizer", [None, torch.optim.SGD])
def test_how_the_entries_of_a_row_are_stored_does_not_matter(optimizer, form):
    rows = np.where(np.abs(X) > 0.4, X, 0).astype(np.float32)
    other = stored_otherwise(rows)[form]
    kept = other.copy()
    model = classifier(optimizer=optimizer)
    model.fit(sp.csr_matrix(rows), Y).partial_fit(sp.csr_matrix(rows), Y)
    want = model.predict_proba(rows)
    np.testing.assert_allclose(model.predict_proba(other), want, atol=1e-5)
    model.fit(other, Y).partial_fit(other, Y)
    np.testing.assert_array_equal(model.predict_proba(rows), want)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(other, name), getattr(kept, name))


def test_fit_and_predict_change_none_of_their_inputs():
    rows = sp.csr_matrix(np.where(np.abs(X) > 0.4, X, 0).astype(np.float64))
    y, weight = Y.copy(), np.ones(len(X))
    copies = rows.copy(), y.copy(), weight.copy()
    model = classifier(max_epochs=1).fit(rows, y, sample_weight=weight)
    model.partial_fit(rows, y, sample_weight=weight)
    model.predict_proba(rows)
    assert (rows != copies[0]).nnz == 0
    np.testing.assert_array_equal(y, copies[1])
    np.testing.assert_array_equal(weight, copies[2])


# Metadata routing


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def test_weights_are_routed_through_a_pipeline(routing):
    weight = np.random.default_rng(5).uniform(0.1, 3, size=len(X))
    model = classifier().set_fit_request(sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    pipeline = make_pipeline(scaler, model).fit(X, Y, sample_weight=weight)
    rows = StandardScaler().fit_transform(X)
    want = classifier().fit(rows, Y, sample_weight=weight).predict_proba(rows)
    np.testing.assert_array_equal(pipeline.predict_proba(X), want)


def test_weights_that_were_not_asked_for_raise(routing):
    with pytest.raises(Exception, match=r"sample_weight.* are passed but are not"):
        make_pipeline(classifier()).fit(X, Y, sample_weight=np.ones(len(X)))


def test_weights_are_routed_through_grid_search_to_fit_and_score(routing):
    weight = np.random.default_rng(5).uniform(0.1, 3, size=Y.shape)
    labels = MaskedLabels.from_dense(Y)
    model = (
        classifier()
        .set_fit_request(sample_weight=True)
        .set_score_request(sample_weight=True)
    )
    scorer = copy.deepcopy(masked_roc_auc_scorer).set_score_request(sample_weight=True)
    # Before 1.8 scikit-learn asks for a request that Pipeline.score cannot have.
    newer = parse_version(sklearn.__version__) >= parse_version("1.8")
    for scoring in (scorer, None) if newer else (scorer,):
        search = ms.GridSearchCV(
            make_pipeline(model),
            {"maskedmultilabelclassifier__max_epochs": [1, 3]},
            cv=ms.KFold(3),
            scoring=scoring,
            error_score="raise",
        ).fit(X, labels, sample_weight=weight)
        for i, epochs in enumerate([1, 3]):
            for k, (train, test) in enumerate(ms.KFold(3).split(X)):
                by_hand = classifier(max_epochs=epochs).fit(
                    X[train], labels[train], sample_weight=weight[train]
                )
                want = masked_roc_auc_score(
                    labels[test],
                    by_hand.decision_function(X[test]),
                    sample_weight=weight[test],
                )
                got = search.cv_results_[f"split{k}_test_score"][i]
                assert got == pytest.approx(want, rel=1e-12)


def test_weights_are_routed_to_partial_fit_by_name(routing):
    model = classifier().set_partial_fit_request(sample_weight="votes")
    request = model.get_metadata_routing().partial_fit.requests
    assert request["sample_weight"] == "votes"


# The score


def test_score_is_the_macro_auc_and_for_one_dimension_the_accuracy():
    model = classifier().fit(X, Y)
    want = masked_roc_auc_score(Y, model.decision_function(X))
    assert model.score(X, Y) == pytest.approx(want, rel=1e-12)
    binary = (X[:, 0] > 0).astype(int)
    weight = np.random.default_rng(0).uniform(size=len(X))
    model.fit(X, binary)
    right = model.predict(X) == binary
    assert model.score(X, binary) == pytest.approx(right.mean())
    assert model.score(X, binary, sample_weight=weight) == pytest.approx(
        np.average(right, weights=weight)
    )
    half = binary.astype(float)
    half[::2] = np.nan
    assert model.score(X, half) == pytest.approx(right[1::2].mean())


# Threads


def test_large_x_and_own_modules_use_the_threads_that_torch_has(monkeypatch):
    used = []

    class Noting(torch.nn.Linear):
        def __init__(self, n_features, n_labels):
            super().__init__(n_features, n_labels)

        def forward(self, X):
            used.append(torch.get_num_threads())
            return super().forward(X)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        own_module(module=Noting).fit(X, Y).predict(X)
        assert set(used) == {2}
        monkeypatch.setattr(_net, "_FEW", X.size - 1)
        with _net.threads_for(None, X):
            assert torch.get_num_threads() == 2
        monkeypatch.setattr(_net, "_FEW", X.size)
        with _net.threads_for(None, X):
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
