"""Saved, copied and loaded models: same bits, no data, no device of their own."""

import copy
import io
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from builders import Linear
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

import sklearn_masked
from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.exceptions import DeviceWarning, VersionWarning

SECRET = "qzxwvsecret"
# A number whose eight bytes, and whose four as float32, stand nowhere by chance.
PATTERN = np.float32(1.2345679e-21)


def make_data(kind="dense", n=80, m=6, n_labels=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, m)).astype(np.float32)
    y = (X[:, :n_labels] > 0).astype(float)
    y[rng.random(y.shape) < 0.4] = np.nan
    if kind == "sparse":
        X = sp.csr_matrix(np.where(np.abs(X) > 0.3, X, 0))
    return X, y


def classifier(**params):
    settings = {"max_epochs": 3, "batch_size": 16, "random_state": 0, "device": "cpu"}
    return MaskedMultiLabelClassifier(**{**settings, **params})


def own_module(**params):
    return classifier(module=Linear, optimizer=torch.optim.Adam, **params)


MODELS = {
    "default dense": (classifier, "dense"),
    "default sparse": (classifier, "sparse"),
    "early stopping": (lambda: classifier(early_stopping=True), "dense"),
    "classic": (lambda: classifier(module="embedding_bag"), "sparse"),
    "own module": (own_module, "dense"),
}


@pytest.fixture(params=MODELS)
def fitted(request):
    make, kind = MODELS[request.param]
    X, y = make_data(kind)
    return make().fit(X, y), X, y


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


WAYS = pytest.mark.parametrize(
    "copied", [through_pickle, through_joblib, copy.deepcopy]
)


@WAYS
def test_copy_predicts_the_same_bits_and_goes_on_alike(fitted, copied):
    model, X, y = fitted
    other = copied(model)
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    before = model.predict_proba(X)
    other.partial_fit(X, y)
    # The copy shares nothing with its origin...
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert not np.array_equal(other.predict_proba(X), before)
    # ...and holds all that the next step needs, the optimizer's state too.
    model.partial_fit(X, y)
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert len(other.history_) == len(model.history_)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle_works(protocol):
    X, y = make_data()
    model = classifier().fit(X, y)
    other = pickle.loads(pickle.dumps(model, protocol=protocol))
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))


IN_A_FRESH_PROCESS = """
import pickle, sys
import numpy as np
folder = sys.argv[1]
if sys.argv[2] == "joblib":
    import joblib
    model = joblib.load(folder + "/model")
else:
    with open(folder + "/model", "rb") as file:
        model = pickle.load(file)
data = np.load(folder + "/data.npz")
texts = data["texts"].tolist()
same = np.array_equal(model.predict_proba(texts), data["proba"])
estimator = model[-1]
estimator.partial_fit(model[:-1].transform(texts), data["y"])
moved = not np.array_equal(model.predict_proba(texts), data["proba"])
np.save(folder + "/after.npy", model.predict_proba(texts))
print(same, moved)
"""


@pytest.mark.parametrize("way", ["pickle", "joblib"])
def test_fresh_process_predicts_the_same_bits_and_goes_on(way, tmp_path):
    texts = [f"word{i % 7} word{i % 5} only{i}" for i in range(60)]
    y = np.array([[i % 7 < 3, i % 5 < 2] for i in range(60)], dtype=float)
    y[::3, 0] = y[1::4, 1] = np.nan
    model = make_pipeline(TfidfVectorizer(), classifier()).fit(texts, y)
    if way == "joblib":
        joblib.dump(model, tmp_path / "model")
    else:
        (tmp_path / "model").write_bytes(pickle.dumps(model))
    np.savez(tmp_path / "data.npz", texts=texts, y=y, proba=model.predict_proba(texts))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IN_A_FRESH_PROCESS, str(tmp_path), way],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["True", "True"]
    model[-1].partial_fit(model[:-1].transform(texts), y)
    after = np.load(tmp_path / "after.npy")
    np.testing.assert_allclose(after, model.predict_proba(texts), rtol=1e-5)


def bytes_of(model, way):
    if way == "pickle":
        return pickle.dumps(model)
    file = io.BytesIO()
    joblib.dump(model, file)
    return file.getvalue()


@pytest.mark.parametrize("way", ["pickle", "joblib"])
def test_file_names_no_cuda_storage(fitted, way):
    model, _, _ = fitted
    # skorch names an attribute of its own so, which is no tensor.
    data = bytes_of(model, way).replace(b"cuda_dependent_attributes_", b"")
    assert b"cuda" not in data


def holds(data, numbers):
    """Return whether the bytes hold these numbers side by side, in either width."""
    return any(np.asarray(numbers, kind).tobytes() in data for kind in ("<f4", "<f8"))


@pytest.mark.parametrize("way", ["pickle", "joblib"])
@pytest.mark.parametrize(
    "kind, module", [("dense", None), ("sparse", None), ("dense", Linear)]
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_file_holds_no_training_rows(way, kind, module, early_stopping):
    X, y = make_data("dense")
    # All but one: the mean of a column, which an array's scale needs, is none of them.
    X[:, 4], X[0, 4] = PATTERN, 5 * PATTERN
    X[:, 5] = 2 * X[:, 4]
    rows = sp.csr_matrix(X) if kind == "sparse" else X
    model = classifier(early_stopping=early_stopping, module=module)
    weight = np.full(len(y), 1.2345678901234e-5)
    assert holds(pickle.dumps(rows), [PATTERN])  # the search finds what is there
    model.fit(rows, y, sample_weight=weight)
    data = bytes_of(model, way)
    assert not holds(data, [PATTERN])
    assert not holds(data, [2 * PATTERN])
    assert not any(holds(data, row) for row in X)
    assert not holds(data, weight[:2])
    # Nor do they stay in memory, behind a private attribute.
    assert list(arrays_with({"rows": [rows]}, PATTERN))
    assert not list(arrays_with(model, PATTERN))


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_file_holds_no_rows_of_partial_fit(kind):
    X, y = make_data("dense")
    model = classifier().fit(X if kind == "dense" else sp.csr_matrix(X), y)
    X[:, 4] = PATTERN
    model.partial_fit(X if kind == "dense" else sp.csr_matrix(X), y)
    assert not holds(pickle.dumps(model), [PATTERN])
    assert not list(arrays_with(model, PATTERN))


def arrays_with(value, number, seen=None):
    """Yield every array or tensor reachable from a value that holds the number."""
    seen = {} if seen is None else seen
    if id(value) in seen or isinstance(value, type):
        return
    seen[id(value)] = value
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy() if not value.is_sparse else value.values()
    if sp.issparse(value):
        value = value.data
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        if (value == number).any():
            yield value
        return
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, list | tuple | set):
        parts = list(value)
    else:
        parts = list(getattr(value, "__dict__", {}).values())
    for part in parts:
        yield from arrays_with(part, number, seen)


def test_file_of_a_classifier_of_texts_holds_no_text():
    texts = [f"word{i % 7} only{i}" for i in range(40)]
    y = np.array([[i % 7 < 3, i % 5 < 2] for i in range(40)], dtype=float)
    texts[3] += " " + SECRET
    pipeline = make_pipeline(TfidfVectorizer(), classifier()).fit(texts, y)
    assert SECRET.encode() in pickle.dumps(pipeline)  # the vectorizer's vocabulary
    assert SECRET.encode() not in pickle.dumps(pipeline[-1])


@pytest.mark.parametrize("make", [classifier, own_module])
def test_size_of_the_file_does_not_follow_the_rows(make):
    params = {"embedding_dim": 4} if make is classifier else {}
    few = make(**params).fit(*make_data(n=100))
    sizes = [
        len(pickle.dumps(make(**params, batch_size=-1).fit(*make_data(n=n))))
        for n in (3000, 9000)
    ]
    assert sizes[1] < sizes[0] + 2000
    # What later calls need of the held-out cells is bounded.
    assert sizes[1] < len(pickle.dumps(few)) + 46_000


def test_clone_has_the_parameters_and_nothing_fitted():
    X, y = make_data()
    net_params = {"optimizer__betas": (0.8, 0.9)}
    callbacks = [("scheduler", torch.nn.Identity)]
    model = own_module(net_params=net_params, pos_weight=[1.0, 2.0, 3.0])
    fitted = clone(model).fit(X, y)
    other = clone(fitted)
    assert not hasattr(other, "net_")
    with pytest.raises(NotFittedError):
        other.predict(X)
    assert other.get_params() == model.get_params()
    assert other.net_params is not fitted.net_params
    np.testing.assert_array_equal(
        other.fit(X, y).predict_proba(X), fitted.predict_proba(X)
    )
    assert clone(classifier(callbacks=callbacks)).callbacks == callbacks


def test_deepcopy_and_pickle_of_an_unfitted_estimator():
    for copied in (copy.deepcopy, through_pickle, through_joblib):
        other = copied(classifier(lr=0.5))
        assert other.get_params() == classifier(lr=0.5).get_params()
        with pytest.raises(NotFittedError):
            other.predict(np.zeros((1, 2)))


def test_set_params_of_a_loaded_model_rules_the_next_fit():
    X, y = make_data()
    model = through_pickle(classifier().fit(X, y))
    model.set_params(max_epochs=5)
    assert len(model.fit(X, y).history_) == 5
    model.set_params(optimizer__weight_decay=0.1)
    assert model.net_params == {"optimizer__weight_decay": 0.1}
    model.set_params(optimizer=torch.optim.Adam, module=Linear).fit(X, y)
    assert model.net_.optimizer_.param_groups[0]["weight_decay"] == 0.1


def test_set_params_does_not_change_the_dictionary_it_was_given():
    given = {"optimizer__momentum": 0.9}
    model = classifier(net_params=given).set_params(module__depth=2)
    assert given == {"optimizer__momentum": 0.9}
    assert model.net_params == {"optimizer__momentum": 0.9, "module__depth": 2}
    assert model.get_params()["module__depth"] == 2


def with_state(model, **changes):
    """Return the bytes of a model whose state has these changes."""
    other = copy.deepcopy(model)
    state = {**other.__getstate__(), **changes}
    return pickle.dumps((type(other).__new__, type(other), state))


def load(data):
    new, kind, state = pickle.loads(data)
    model = new(kind)
    model.__setstate__(state)
    return model


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
@pytest.mark.parametrize("make", [classifier, own_module])
def test_model_of_cuda_loads_on_the_cpu_with_one_warning(device, make, no_cuda):
    X, y = make_data()
    model = make().fit(X, y)
    data = with_state(model, device=device)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load(data)
        proba = loaded.predict_proba(X)
    assert [w.category for w in caught] == [DeviceWarning]
    assert str(caught[0].message) == (
        f"The model was fitted with device='{device}', and torch finds no such device "
        "on this machine; it was loaded on the CPU."
    )
    np.testing.assert_array_equal(proba, model.predict_proba(X))
    assert loaded.device == device
    for tensor in loaded.net_.module_.state_dict().values():
        assert tensor.device.type == "cpu"


def test_model_of_cuda_goes_on_learning_on_the_cpu(no_cuda):
    X, y = make_data()
    model = classifier().fit(X, y)
    data = with_state(model, device="cuda")
    with pytest.warns(DeviceWarning):
        loaded = load(data)
    loaded.set_params(device="cpu")
    loaded.partial_fit(X, y)
    np.testing.assert_array_equal(
        loaded.predict_proba(X), model.partial_fit(X, y).predict_proba(X)
    )


def test_model_of_cuda_says_what_to_do_if_it_is_to_learn_on_the_cpu(no_cuda):
    X, y = make_data()
    data = with_state(classifier().fit(X, y), device="cuda")
    with pytest.warns(DeviceWarning):
        loaded = load(data)
    before = loaded.predict_proba(X)
    with pytest.raises(ValueError, match=r"torch finds no such device .*\"auto\"\."):
        loaded.partial_fit(X, y)
    np.testing.assert_array_equal(loaded.predict_proba(X), before)


def test_model_of_auto_loads_on_the_cpu_in_silence(no_cuda):
    X, y = make_data()
    model = classifier(device="auto").fit(X, y)
    loaded = through_pickle(model)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("make", [classifier, own_module])
def test_model_of_a_gpu_really_loads_without_one(make, monkeypatch):
    X, y = make_data()
    model = make(device="cuda").fit(X, y)
    data = pickle.dumps(model)
    storages = data.replace(b"cuda_dependent_attributes_", b"")
    assert b"cuda:0" not in storages
    assert storages.count(b"cuda") <= 1  # the parameter itself
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.warns(DeviceWarning) as caught:
        loaded = pickle.loads(data)
    assert len(caught) == 1
    np.testing.assert_allclose(
        loaded.predict_proba(X), model.predict_proba(X), rtol=1e-4
    )


def test_versions_are_written_and_a_difference_gives_one_warning():
    X, y = make_data()
    model = classifier().fit(X, y)
    versions = model.__getstate__()["_versions"]
    assert set(versions) == {"sklearn_masked", "torch", "skorch", "scikit-learn"}
    assert versions["sklearn_masked"] == sklearn_masked.__version__
    data = with_state(model, _versions={**versions, "skorch": "0.1", "torch": "1.0"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load(data)
    assert [w.category for w in caught] == [VersionWarning]
    assert str(caught[0].message) == (
        f"The model was saved with torch 1.0 (here {versions['torch']}), skorch 0.1 "
        f"(here {versions['skorch']}). It may predict otherwise or fail; fit it again "
        "with the versions that are here."
    )
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_equal_versions_load_in_silence():
    X, y = make_data()
    model = classifier().fit(X, y)
    data = with_state(model)
    loaded = load(data)  # warnings are errors here
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


PLAIN = {bool, int, float, str, type(None), dict, list, tuple}


def unlike_plain(value, path="history"):
    """Yield where a value holds anything but Python's own numbers and containers."""
    if isinstance(value, dict):
        for key, part in value.items():
            assert type(key) is str
            yield from unlike_plain(part, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from unlike_plain(part, f"{path}[{i}]")
    elif type(value) not in PLAIN:
        yield f"{path}: {type(value)}"


def test_history_holds_only_python_numbers(fitted):
    model, X, y = fitted
    model.partial_fit(X, y)
    assert len(model.history_) >= 2
    assert list(unlike_plain(list(model.history_))) == []
    assert all(np.isfinite(row["train_loss"]) for row in model.history_)


def test_no_tensor_stands_outside_the_net(fitted):
    model, _, _ = fitted
    for name, value in vars(model).items():
        if name != "net_":
            assert not isinstance(value, torch.Tensor), name
            assert not isinstance(value, torch.nn.Module), name


def test_optimizer_of_a_loaded_model_moves_the_loaded_parameters():
    X, y = make_data()
    loaded = through_pickle(own_module().fit(X, y))
    net = loaded.net_
    held = [p for group in net.optimizer_.param_groups for p in group["params"]]
    assert [id(p) for p in held] == [id(p) for p in net.module_.parameters()]


def test_labels_names_and_classes_come_back():
    X, y = make_data()
    names = ["a", "b", "c"]
    labels = MaskedLabels.from_dense(y, label_names=names)
    loaded = through_pickle(classifier().fit(X, labels))
    assert list(loaded.label_names_) == names
    assert loaded.n_labels_ == 3 and loaded.classes_.tolist() == [0, 1, 2]
    binary = np.where(X[:, 0] > 0, "yes", "no")
    loaded = through_pickle(classifier().fit(X, binary))
    assert loaded.classes_.tolist() == ["no", "yes"]
    assert set(loaded.predict(X)) == {"no", "yes"}
