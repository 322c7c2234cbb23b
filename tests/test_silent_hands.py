"""Threads, files, interruptions and extremes: each failed in silence, or lost a fit."""

import io
import pickle
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, SGDClassifier

import sklearn_masked
from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier, check_labels
from sklearn_masked.calibration import MaskedCalibratedClassifierCV
from sklearn_masked.exceptions import InterruptedFitWarning
from sklearn_masked.multioutput import MaskedMultiOutputClassifier
from sklearn_masked.nn.model import _module
from sklearn_masked.nn.sgd._net import MaskedNet
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV

CHEAP = {
    "shared_weight": 0.3,
    "label_correlation": 0.0,
    "interactions": 0.0,
    "idf_power": 0.5,
    "std_power": 1.0,
    "C": 5.0,
    "max_epochs": 2,
    "random_state": 0,
    "device": "cpu",
}
# What a test puts in the way of the predictions of `Hooked` and `HookedModule`.
hooks = []


def run_hook():
    if hooks:
        hooks.pop()()


class Hooked(LogisticRegression):
    """A classifier that lets a test act in the middle of a prediction."""

    def decision_function(self, X):
        run_hook()
        return super().decision_function(X)

    def predict_proba(self, X):
        run_hook()
        return super().predict_proba(X)


class HookedModule(torch.nn.Module):
    """A module that lets a test act in the middle of a forward pass."""

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.layer = torch.nn.Linear(n_features, n_labels)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, X):
        run_hook()
        return self.layer(self.dropout(X))


def hooked_classifier():
    return MaskedMultiLabelClassifier(
        module=HookedModule,
        optimizer=torch.optim.SGD,
        max_epochs=1,
        random_state=0,
        device="cpu",
    )


FOUR = {
    "label": hooked_classifier,
    "output": lambda: MaskedMultiOutputClassifier(Hooked()),
    "calibrated": lambda: MaskedCalibratedClassifierCV(
        MaskedMultiOutputClassifier(Hooked()), cv=2, min_positive=1, min_negative=1
    ),
    "tuned": lambda: MaskedTunedThresholdClassifierCV(
        MaskedMultiOutputClassifier(Hooked()), cv=2, min_positive=1, min_negative=1
    ),
}


def make_data(n_labels=3, n=80, m=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, m)).astype(np.float32)
    y = (X[:, :n_labels] + rng.normal(size=(n, n_labels)) > 0).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    return X, y


def in_thread(call):
    """Run a call in another thread until it has ended, and pass on what it raises."""
    failed = []

    def run():
        try:
            call()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


# Threads


@pytest.mark.parametrize("make", FOUR.values(), ids=FOUR)
def test_no_moment_of_a_fit_lacks_fitted_state(make):
    X, y = make_data()
    kind = type(make())
    seen = []

    def look(self):
        if self is model and hasattr(self, "classes_"):
            seen.append(kind.predict(self, X))

    # Another thread may predict after each change of an attribute.
    class Watched(kind):
        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            look(self)

        def __delattr__(self, name):
            super().__delattr__(name)
            look(self)

    model = make().fit(X, y)
    before = model.predict(X)
    model.__class__ = Watched
    model.fit(X, make_data(n_labels=5)[1])
    fits = before, kind.predict(model, X)
    look(model)
    assert all(any(np.array_equal(one, fit) for fit in fits) for one in seen)


# The other two read what is fitted once.
@pytest.mark.parametrize(
    "kind, method",
    [
        *((kind, "predict") for kind in FOUR),
        ("label", "predict_proba"),
        ("calibrated", "predict_proba"),
    ],
)
def test_prediction_is_of_one_fit_whatever_another_thread_fits(kind, method):
    X, y = make_data()
    model = FOUR[kind]().fit(X, y)
    before = getattr(model, method)(X)
    hooks.append(lambda: in_thread(lambda: model.fit(X, y[:, 0] * 2 + 5)))
    np.testing.assert_array_equal(getattr(model, method)(X), before)
    assert not hooks
    assert model.classes_.tolist() == [5, 7]


def test_prediction_during_partial_fit_is_that_of_the_model_before():
    X, y = make_data()
    model = hooked_classifier().fit(X, y)
    before, during = model.predict_proba(X), []
    hooks.append(lambda: during.append(model.predict_proba(X)))
    model.partial_fit(X, y)
    np.testing.assert_array_equal(during, [before])
    # At the first batch nothing has moved yet: look after some of them, too.
    model.set_params(batch_size=10)
    before, during = model.predict_proba(X), []
    hooks.append(lambda: hooks.append(lambda: during.append(model.predict_proba(X))))
    model.partial_fit(X, y)
    np.testing.assert_array_equal(during, [before])
    assert not np.array_equal(model.predict_proba(X), before)


def test_fits_in_two_threads_are_those_of_one(monkeypatch):
    X, y = make_data(n=200, m=1100)
    fits = [MaskedMultiLabelClassifier(**{**CHEAP, "random_state": k}) for k in (0, 1)]
    alone = [fit.fit(X, y).decision_function(X) for fit in fits]
    global_state = torch.get_rng_state()
    both, decompose = threading.Barrier(2), _module.singular_directions

    def meet(*args, **kwargs):
        assert torch.equal(torch.get_rng_state(), global_state)
        both.wait(60)
        return decompose(*args, **kwargs)

    monkeypatch.setattr(_module, "singular_directions", meet)
    threads = [threading.Thread(target=fit.fit, args=(X, y)) for fit in fits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fit, expected in zip(fits, alone, strict=True):
        np.testing.assert_array_equal(fit.decision_function(X), expected)
    assert torch.equal(torch.get_rng_state(), global_state)


def test_fits_of_a_module_that_draws_are_those_of_one_thread(monkeypatch):
    from sklearn_masked.classifier import _fit

    X, y = make_data()
    first, second = hooked_classifier(), hooked_classifier().set_params(random_state=1)
    alone = [fit.fit(X, y).decision_function(X) for fit in (first, second)]
    global_state = torch.get_rng_state()
    waits, first_is_done = threading.Event(), threading.Event()
    lock = getattr(_fit, "_GLOBAL_GENERATORS", None)

    class Lock:
        """The lock, which tells when the second fit comes to it."""

        def __enter__(self):
            if threading.current_thread() is thread:
                waits.set()
            lock.acquire()

        def __exit__(self, *args):
            lock.release()

    monkeypatch.setattr(_fit, "_GLOBAL_GENERATORS", Lock(), raising=False)

    def in_the_second():  # only a fit that does not wait for the first comes here
        waits.set()
        first_is_done.wait(60)

    def in_the_first():
        hooks.append(in_the_second)
        thread.start()
        assert waits.wait(60)
        hooks.clear()

    thread = threading.Thread(target=second.fit, args=(X, y))
    hooks.append(in_the_first)
    first.fit(X, y)
    first_is_done.set()
    thread.join()
    for fit, expected in zip((first, second), alone, strict=True):
        np.testing.assert_array_equal(fit.decision_function(X), expected)
    assert torch.equal(torch.get_rng_state(), global_state)


# One label that fails


class FailsAtSecond(SGDClassifier):
    """A classifier whose second batch fails for targets that are all 1."""

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        if hasattr(self, "coef_") and y.all():
            raise RuntimeError("no")
        return super().partial_fit(X, y, classes, sample_weight)


def test_partial_fit_that_fails_at_one_label_leaves_all_as_they_were():
    X, y = make_data()
    model = MaskedMultiOutputClassifier(FailsAtSecond(random_state=0))
    model.partial_fit(X, y)
    before, counts = model.decision_function(X), model._n_positive.copy()
    many = np.where(np.arange(3) == 2, 1.0, y)
    with pytest.raises(Exception, match="no"):
        model.partial_fit(X, many)
    np.testing.assert_array_equal(model.decision_function(X), before)
    np.testing.assert_array_equal(model._n_positive, counts)


# Files

SETTINGS = {
    "dense": {},
    "sparse": {},
    "weights": {"pos_weight": [1.0, 2.0, 3.0], "label_weight": [1.0, 2.0, 1.0]},
    "early stopping": {"early_stopping": True},
    "optimizer": {"optimizer": torch.optim.Adam, "lr": 0.1, "C": "auto"},
    "quadratic": {"interactions": 0.5, "label_correlation": 0.4},
}


def fitted_default(name):
    X, y = make_data()
    if name == "sparse":
        X = sp.csr_matrix(np.where(np.abs(X) > 0.3, X, 0))
    settings = {**CHEAP, **SETTINGS[name]}
    if name == "optimizer":  # reads neither
        for unread in ("shared_weight", "label_correlation", "interactions"):
            del settings[unread]
    return MaskedMultiLabelClassifier(**settings).fit(X, y), X, y


class Trusting(pickle.Unpickler):
    """Loads what it trusts, as skops does: the estimator, its net, and arrays."""

    TRUSTED = {"MaskedMultiLabelClassifier", "MaskedNet", "SDCANet"}

    def find_class(self, module, name):
        value, package = super().find_class(module, name), module.split(".")[0]
        ours = package == "sklearn_masked" and name in self.TRUSTED
        # A parameter that the user set.
        is_optimizer = isinstance(value, type) and module.startswith("torch.optim.")
        if ours or is_optimizer or package == "numpy":
            return value
        raise pickle.UnpicklingError(f"{module}.{name} is not trusted")


@pytest.mark.parametrize("name", SETTINGS)
def test_file_of_the_default_model_makes_data_alone(name, monkeypatch):
    model, X, y = fitted_default(name)
    data = pickle.dumps(model)
    # Not even a file of tensors, which is a pickle of its own kind, is in it.
    monkeypatch.setattr(torch, "load", None)
    loaded = Trusting(io.BytesIO(data)).load()
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    loaded.partial_fit(X, y)
    model.partial_fit(X, y)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("module", "os.system"),
        ("module", "Trusting"),
        ("optimizer", "torch.optim.lr_scheduler"),
        ("optimizer", "torch.optim.nothing"),
        ("callbacks_", [["print_log", "eval", {}]]),
    ],
)
def test_file_names_only_classes_that_are_known(name, value):
    model = fitted_default("dense")[0]
    state = model.net_.__getstate__()
    assert not [name for name, value in state.items() if isinstance(value, bytes)]
    net = object.__new__(type(model.net_))
    with pytest.raises(ValueError, match="A saved net has a class that is not known"):
        net.__setstate__({**state, name: value})


def test_file_names_the_module_of_a_user_where_a_reader_sees_it():
    X, y = make_data()
    model = hooked_classifier().fit(X, y)
    with pytest.raises(pickle.UnpicklingError, match="HookedModule is not trusted"):
        Trusting(io.BytesIO(pickle.dumps(model.net_))).load()
    state = model.net_.__getstate__()
    assert isinstance(state["module_"], HookedModule)
    assert not [name for name, value in state.items() if isinstance(value, bytes)]


# Ctrl-C

PACKAGE = str(Path(sklearn_masked.__file__).parent)


class Pressed:
    """Press Ctrl-C at a call of a function of the package, of all calls of a fit."""

    def __init__(self, at=None):
        self.at, self.n_calls, self.where = at, 0, None
        self.trained_at = np.inf  # the call at which an epoch was finished

    def __call__(self, frame, event, arg):
        code = frame.f_code
        if event == "return" and code.co_name == "notify":
            if frame.f_locals["method_name"] == "on_epoch_end":
                self.trained_at = min(self.trained_at, self.n_calls)
        if event != "call" or not code.co_filename.startswith(PACKAGE):
            return
        self.n_calls += 1
        if self.n_calls == self.at:
            self.where = Path(code.co_filename).stem
            self.was_trained = self.trained_at < self.at
            raise KeyboardInterrupt

    def fit(self, model, X, y):
        sys.setprofile(self)
        try:
            return model.fit(X, y)
        finally:
            sys.setprofile(None)


AROUND = {"_estimator", "_fitted", "_fit", "_solvers", "_select_representation"}
INTERRUPTED = {
    "dense": (CHEAP, 80, 9),
    "sparse": ({**CHEAP, "label_correlation": 0.4, "interactions": 0.5}, 80, 6),
    "auto": ({"random_state": 0, "device": "cpu", "max_epochs": 2}, 260, 2),
}


@pytest.mark.parametrize("kind", INTERRUPTED)
def test_interrupted_fit_keeps_what_is_finished_wherever_it_is(kind):
    params, n, n_times = INTERRUPTED[kind]
    X, y = make_data(n=n)
    if kind == "sparse":
        X = sp.csr_matrix(np.where(np.abs(X) > 0.3, X, 0))
    model = MaskedMultiLabelClassifier(**params)
    calls = Pressed()
    calls.fit(model, X, y)
    before, auc = model.decision_function(X), model.score(X, y)
    kept = 0
    before_it = np.linspace(1, calls.trained_at - 1, 3)
    after_it = np.linspace(calls.trained_at + 1, calls.n_calls - 1, n_times + 2)[:-1]
    for at in np.append(before_it, after_it).astype(int):
        press = Pressed(at)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                press.fit(model, X, y)
            except KeyboardInterrupt:
                # Around the training there are moments in which nothing is lost.
                around = press.where in AROUND
                assert not press.was_trained or around, press.where
                np.testing.assert_array_equal(model.decision_function(X), before)
                continue
        assert press.was_trained
        assert InterruptedFitWarning in [one.category for one in caught], press.where
        assert np.isfinite(model.decision_function(X)).all()
        assert model.score(X, y) > auc - 0.1
        before = model.decision_function(X)
        kept += 1
    assert kept


# Extremes

EXTREMES = {
    "weights of 1e-46": {"sample_weight": 1e-46},
    "weights of 1e-300": {"sample_weight": 1e-300},
    "weights of 1e38": {"sample_weight": 1e38},
    "one weight of 1e38": {"one_weight": 1e38},
    "one weight of 1e-46": {"one_weight": 1e-46},
    "label_weight 0": {"label_weight": [0, 0, 0]},
    "label_weight 0 of one label": {"label_weight": [0, 1, 1]},
    "label_weight 1e-46": {"label_weight": [1e-46] * 3},
    "label_weight 1e300": {"label_weight": [1e300] * 3},
    "pos_weight 0": {"pos_weight": 0.0},
    "pos_weight 1e-46": {"pos_weight": 1e-46},
    "pos_weight 1e38": {"pos_weight": 1e38},
    "C 1e-45": {"C": 1e-45},
    "C 1e38": {"C": 1e38},
    "X of 3e38": {"X": 3e38},
    "X of 1e-38": {"X": 1e-38},
    "rows of 3e38 to predict": {"X_new": 3e38},
}
ADAM = {"optimizer": torch.optim.Adam, "max_epochs": 2, "random_state": 0}
MODELS = {
    "default": {"random_state": 0, "device": "cpu"},
    "dual": CHEAP,
    "pairs": {**CHEAP, "label_correlation": 0.4, "interactions": 0.5},
    "Adam": {**ADAM, "device": "cpu"},
    "module": {**ADAM, "device": "cpu", "module": HookedModule},
}


def fitted_and_predicted(model, extreme, kind):
    """Return the probabilities that a model gives when it meets an extreme."""
    X, y = make_data()
    weight = np.ones(len(X))
    weight *= extreme.get("sample_weight", 1.0)
    weight[0] *= extreme.get("one_weight", 1.0)
    X_new = X[:5].copy()
    if kind == "sparse":
        X = np.where(np.abs(X) > 0.3, X, 0)
    if "X" in extreme:
        X = np.sign(X) * np.float32(extreme["X"])
    if "X_new" in extreme:
        X_new = np.sign(X_new) * np.float32(extreme["X_new"])
    if kind == "sparse":
        X, X_new = sp.csr_matrix(X), sp.csr_matrix(X_new)
    settings = {k: v for k, v in extreme.items() if k in model.get_params()}
    model.set_params(**settings).fit(X, y, sample_weight=weight)
    cells = model.predict_proba_cells(X_new, np.arange(3), np.arange(3))
    return np.append(model.predict_proba(X_new).ravel(), cells)


# scikit-learn's look for infinities adds numbers up first.
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered in reduce")
@pytest.mark.parametrize(
    "name, kind",
    [(name, kind) for name in MODELS for kind in ("dense", "sparse")][:-1],
)
def test_extreme_is_refused_or_predicts_numbers(name, kind):
    refused = {}
    for what, extreme in EXTREMES.items():
        params = MODELS[name]
        if "C" in extreme and "C" not in params:
            continue
        model = MaskedMultiLabelClassifier(**params)
        try:
            proba = fitted_and_predicted(model, extreme, kind)
        except ValueError as error:
            refused[what] = str(error)
        else:
            assert not np.isnan(proba).any(), what
    for what, message in refused.items():
        assert "`lr`" not in message or name in ("Adam", "module"), what
        about_x = what in ("X of 3e38", "rows of 3e38 to predict")
        assert ("cale X" in message) is about_x, (what, message)
    assert {"weights of 1e-46", "label_weight 0"} <= set(refused)


# Sentences that pointed wrong


def test_criterion_that_meets_nan_is_named():
    X, y = make_data()
    criterion = torch.nn.BCEWithLogitsLoss
    model = MaskedMultiLabelClassifier(criterion=criterion, optimizer=torch.optim.Adam)
    with pytest.raises(ValueError, match="`criterion` must leave out unlabeled") as got:
        model.fit(X, y)
    assert "`lr`" not in str(got.value)


@pytest.mark.parametrize(
    "stray", [[[0, 1], [1, 2]], [[0.0, np.nan], [1.0, 2.0]], [[-1, 0], [1, 2]]]
)
def test_stray_2_is_not_blamed_on_cross_val_predict(stray):
    with pytest.raises(ValueError, match="got 2.* at sample 1, label 1.") as got:
        check_labels(np.array(stray))
    assert "cross_val_predict" not in str(got.value)


def test_label_whose_classifier_fails_is_named():
    X, y = make_data()
    y[3:, 1] = 0
    y[:3, 1] = 1
    labels = MaskedLabels.from_dense(y, label_names=["war", "rare", "sport"])
    inner = CalibratedClassifierCV(LogisticRegression(), cv=5)
    with pytest.raises(ValueError, match="than 5 examples.* label 'rare', of 3 po"):
        MaskedMultiOutputClassifier(inner).fit(X, labels)
    model = MaskedMultiOutputClassifier(FailsAtSecond(random_state=0))
    model.partial_fit(X, y)
    with pytest.raises(RuntimeError) as caught:
        model.partial_fit(X, np.where(np.arange(3) == 2, 1.0, y))
    assert "label 2, of 80 positive" in caught.value.__notes__[0]


# Processor time


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def threads_used(monkeypatch, model, X, y):
    """Return the threads of torch in a fit, in a prediction, and beside the fit."""
    used, beside, linear = [], [], torch.sigmoid

    def noted(*args):
        used.append(torch.get_num_threads())
        in_thread(lambda: beside.append(torch.get_num_threads()))
        return linear(*args)

    monkeypatch.setattr(torch, "sigmoid", noted)
    model.fit(X, y)
    monkeypatch.undo()
    product = MaskedNet._logits

    def noted_logits(*args):
        used.append(torch.get_num_threads())
        return product(*args)

    monkeypatch.setattr(MaskedNet, "_logits", noted_logits)
    model.predict(X)
    monkeypatch.undo()
    return set(used), set(beside)


def test_small_steps_run_on_one_thread_and_others_keep_theirs(monkeypatch, two_threads):
    X, y = make_data()
    model = MaskedMultiLabelClassifier(**CHEAP)
    assert threads_used(monkeypatch, model, X, y) == ({1}, {2})
    assert torch.get_num_threads() == 2
    with pytest.raises(ValueError, match="label_weight"):
        model.set_params(label_weight=[0, 0, 0]).fit(X, y)
    assert torch.get_num_threads() == 2
