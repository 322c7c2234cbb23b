"""`TextEncoder`: any encoder of texts, in a pipeline, with a cache by content."""

import copy
import hashlib
import pickle
import sqlite3

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils import estimator_checks

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.feature_extraction import TextEncoder
from sklearn_masked.metrics import masked_roc_auc_scorer

TEXTS = ["war at the border", "a late goal", "", "a late goal", "Straße 🙂", "x" * 900]
DIM = 6


def vector(text, seed=0, dim=DIM):
    """Return numbers that follow from the text alone."""
    digest = hashlib.sha256(f"{seed} {text}".encode()).digest()
    return np.frombuffer(digest[:dim], np.uint8) / 50.0 + 1


class Encoder:
    """Counts what it is asked for; picklable, like those that people have."""

    def __init__(self, seed=0, dim=DIM):
        self.seed, self.dim, self.batches = seed, dim, []

    def encode(self, texts, scale=1.0):
        assert type(texts) is list and all(type(text) is str for text in texts)
        self.batches.append(texts)
        return np.array([scale * vector(text, self.seed, self.dim) for text in texts])

    @property
    def asked(self):
        return [text for batch in self.batches for text in batch]

    def __deepcopy__(self, memo):
        raise AssertionError("an encoder may be gigabytes: nobody copies it")


def plain(texts, **params):
    return np.array([vector(text) for text in texts], np.float32)


def message_of(call, *args, **kwargs):
    with pytest.raises(ValueError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


# Vectors


class Embeds:
    def embed(self, texts, norm=False):
        return plain(texts)


class Tensors:
    def encode(self, texts):
        return torch.tensor(plain(texts), dtype=torch.bfloat16, requires_grad=True)


class Generates:  # as fastembed does
    def embed(self, texts):
        yield from plain(texts)


ENCODERS = {
    "encode": (Encoder(), 1e-6),
    "embed": (Embeds(), 1e-6),
    "a callable": (plain, 1e-6),
    "lists": (lambda texts: plain(texts).tolist(), 1e-6),
    "a tensor": (Tensors(), 0.05),
    "tensors": (lambda texts: list(torch.tensor(plain(texts))), 1e-6),
    "a generator": (Generates(), 1e-6),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_rows_are_those_of_the_encoder_in_the_order_of_x(name):
    encoder, rtol = ENCODERS[name]
    vectors = TextEncoder(encoder, normalize=None).fit_transform(TEXTS)
    assert vectors.dtype == np.float32 and vectors.flags.writeable
    np.testing.assert_allclose(vectors, plain(TEXTS), rtol=rtol)


@pytest.mark.parametrize("form", [list, tuple, np.array, pd.Series, iter])
def test_texts_come_in_any_sequence(form):
    encoder = TextEncoder(Encoder(), normalize=None)
    np.testing.assert_allclose(encoder.fit_transform(form(TEXTS)), plain(TEXTS))


def test_equal_texts_are_encoded_once_in_batches():
    encoder = Encoder()
    transformer = TextEncoder(encoder, batch_size=2)
    transformer.fit_transform(TEXTS)
    unique = list(dict.fromkeys(TEXTS))
    assert encoder.batches == [unique[:2], unique[2:4], unique[4:]]
    transformer.transform(TEXTS[:2])
    assert encoder.batches[3:] == [TEXTS[:2]]


def test_rows_are_centered_on_the_training_rows_and_scaled():
    train, test = TEXTS, ["another", "a late goal"]
    raw, raw_test = plain(train).astype(float), plain(test).astype(float)
    mean = raw.mean(axis=0)  # each row counts, equal ones too
    for normalize, shift in (("center", mean), ("unit", 0.0)):
        transformer = TextEncoder(Encoder(), normalize=normalize)
        got = transformer.fit_transform(train)
        want = (raw - shift) / np.linalg.norm(raw - shift, axis=1, keepdims=True)
        np.testing.assert_allclose(got, want, atol=1e-5)
        np.testing.assert_array_equal(transformer.fit(train).transform(train), got)
        want = (raw_test - shift) / np.linalg.norm(
            raw_test - shift, axis=1, keepdims=True
        )
        np.testing.assert_allclose(transformer.transform(test), want, atol=1e-5)
    assert not hasattr(transformer, "mean_")
    one = TextEncoder(Encoder()).fit_transform(["the only text"])
    np.testing.assert_array_equal(one, np.zeros((1, DIM)))


def test_params_reach_the_encoder():
    transformer = TextEncoder(
        Encoder(), normalize=None, encode_params={"scale": 3.0}
    ).fit(TEXTS)
    np.testing.assert_allclose(
        transformer.transform(["a"]), 3 * plain(["a"]), rtol=1e-6
    )


def test_no_text_has_no_row():
    transformer = TextEncoder(Encoder()).fit(TEXTS)
    empty = transformer.transform([])
    assert empty.shape == (0, DIM) and empty.dtype == np.float32


def test_progress_is_told_on_request(capsys):
    texts = [f"text {i}" for i in range(100)]
    TextEncoder(Encoder(), batch_size=1).fit(texts)
    assert capsys.readouterr().out == ""
    TextEncoder(Encoder(), batch_size=1, verbose=1).fit(texts)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert lines[0] == "[TextEncoder] 5 of 100 texts are encoded"
    assert lines[-1] == "[TextEncoder] 100 of 100 texts are encoded"


# scikit-learn


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learns_checks_pass(check):
    # check_estimator tests nothing that takes texts: these need no X.
    check("TextEncoder", TextEncoder(plain))


def test_clones_share_the_encoder_and_keep_the_rest():
    encoder = Encoder()
    transformer = TextEncoder(
        encoder, encode_params={"scale": 2.0}, cache="folder", verbose=0
    ).set_output(transform="pandas")
    for other in (clone(transformer), clone(make_pipeline(transformer))[0]):
        assert other.encoder is encoder
        assert other.get_params() == transformer.get_params()
        assert other.encode_params is not transformer.encode_params
        assert other._sklearn_output_config == {"transform": "pandas"}
        with pytest.raises(NotFittedError):
            other.transform(TEXTS)


def test_feature_names_and_frames():
    transformer = TextEncoder(Encoder()).set_output(transform="pandas")
    frame = transformer.fit_transform(TEXTS)
    names = [f"textencoder{i}" for i in range(DIM)]
    assert frame.columns.tolist() == names
    assert transformer.get_feature_names_out().tolist() == names


def test_a_pipeline_of_it_is_searched_saved_and_joined():
    rng = np.random.default_rng(0)
    texts = [f"text {i}" for i in range(60)]
    signal = plain(texts)[:, :2]
    Y = (signal > np.median(signal, axis=0)).astype(float)
    Y[rng.random(Y.shape) < 0.3] = np.nan
    model = make_pipeline(
        TextEncoder(Encoder()),
        MaskedMultiLabelClassifier(
            label_correlation=0, interactions=0, random_state=0, device="cpu"
        ),
    )
    search = GridSearchCV(
        model,
        {"textencoder__normalize": ["center", None]},
        scoring=masked_roc_auc_scorer,
        cv=2,
        error_score="raise",
    ).fit(texts, MaskedLabels.from_dense(Y))
    assert search.best_score_ > 0.8
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(
        again.predict_proba(texts), search.predict_proba(texts)
    )
    union = FeatureUnion([("one", TextEncoder(plain)), ("two", TextEncoder(plain))])
    assert union.fit_transform(texts).shape == (60, 2 * DIM)


# The cache


def test_texts_in_the_cache_are_not_encoded_again(tmp_path):
    first, second = Encoder(), Encoder()
    settings = {"cache": tmp_path / "vectors", "encoder_id": "fake 1"}
    one = TextEncoder(first, **settings)
    want = one.fit_transform(TEXTS)
    two = TextEncoder(second, batch_size=3, **settings)
    np.testing.assert_array_equal(two.fit_transform(TEXTS), want)
    assert second.batches == []
    two.transform(["new", TEXTS[0], "new"])
    assert second.asked == ["new"]
    np.testing.assert_array_equal(
        one.transform(["new"]), TextEncoder(Encoder()).fit(TEXTS).transform(["new"])
    )
    assert first.asked == list(dict.fromkeys(TEXTS))
    assert copy.copy(one).cache == settings["cache"]


def test_the_identity_of_an_encoder_is_found_by_what_it_gives(tmp_path):
    def asked(encoder, **params):
        got = TextEncoder(encoder, normalize=None, cache=tmp_path, **params)
        vectors = got.fit_transform(TEXTS)
        scale = (params.get("encode_params") or {}).get("scale", 1.0)
        want = [scale * vector(text, encoder.seed, encoder.dim) for text in TEXTS]
        np.testing.assert_allclose(vectors, want, rtol=1e-6)
        return set(encoder.asked) & set(TEXTS)

    assert asked(Encoder()) == set(TEXTS)
    assert asked(Encoder()) == set()
    assert asked(Encoder(seed=1)) == set(TEXTS)  # other weights
    assert asked(Encoder(dim=3)) == set(TEXTS)
    assert asked(Encoder(), encode_params={"scale": 2.0}) == set(TEXTS)
    assert asked(Encoder(), encode_params={"scale": 2.0}) == set()
    assert asked(Encoder(), encoder_id="mine") == set(TEXTS)
    scaled = {"encoder_id": "mine", "encode_params": {"scale": 2.0}}
    assert asked(Encoder(), **scaled) == set(TEXTS)
    assert asked(Encoder(), **scaled) == set()
    # Trained further after fit: the next call asks the encoder again.
    encoder = Encoder()
    transformer = TextEncoder(encoder, cache=tmp_path, normalize=None).fit(TEXTS)
    encoder.seed = 1
    got = transformer.transform(TEXTS[:1])
    np.testing.assert_allclose(got, [vector(TEXTS[0], seed=1)], rtol=1e-6)


def test_an_encoder_that_only_cuts_later_is_another(tmp_path):
    def cutting(length):
        return lambda texts: plain([text[:length] for text in texts])

    for length in (2000, 20_000):
        transformer = TextEncoder(cutting(length), normalize=None, cache=tmp_path)
        text = ["y" * 30_000]
        np.testing.assert_array_equal(
            transformer.fit_transform(text), cutting(length)(text)
        )
    assert len(list(tmp_path.iterdir())) == 2


def test_what_was_encoded_before_an_error_stays(tmp_path):
    class Fails(Encoder):
        def encode(self, texts):
            if "fails" in texts:
                raise RuntimeError("out of memory")
            return super().encode(texts)

    settings = {"cache": tmp_path, "encoder_id": "fake", "batch_size": 1}
    with pytest.raises(RuntimeError, match="out of memory"):
        TextEncoder(Fails(), **settings).fit(["a", "b", "fails", "c"])
    encoder = Encoder()
    TextEncoder(encoder, **settings).fit(["a", "b", "fails", "c"])
    assert encoder.asked == ["fails", "c"]


def test_many_texts_and_odd_ones_come_back(tmp_path):
    texts = [f"text {i}" for i in range(1200)] + ["lone \ud800", "nul \0"]
    encoder = lambda texts: np.array([[len(t), hash(t) % 97] for t in texts])  # noqa: E731
    first = TextEncoder(encoder, cache=tmp_path, encoder_id="n").fit_transform(texts)
    again = TextEncoder(None, cache=tmp_path, encoder_id="n")
    again.encoder = lambda texts: pytest.fail("all of them are known")
    np.testing.assert_array_equal(again.fit_transform(texts), first)


def test_a_damaged_file_and_vectors_of_another_length_are_refused(tmp_path):
    settings = {"cache": tmp_path, "encoder_id": "fake"}
    TextEncoder(Encoder(), **settings).fit(["a"])
    assert message_of(TextEncoder(Encoder(dim=3), **settings).fit, ["a", "b"]) == (
        "`encoder` must give vectors of one length; got 3 numbers for the text 'b' and "
        "6 for another. The cache may hold those of another encoder: give this one "
        "another `encoder_id`, here 'fake'."
    )
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"no database" * 500)
    assert message_of(TextEncoder(Encoder(), **settings).fit, ["a"]) == (
        "`cache` holds a file that is damaged or not its own: file is not a database, "
        f"of {file}; delete that file, and the texts are encoded again."
    )
    file.unlink()
    file.mkdir()
    with pytest.raises(OSError, match="^`cache` could not be used: unable to open"):
        TextEncoder(Encoder(), **settings).fit(["a"])


def test_an_interrupted_write_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    settings = {"cache": tmp_path, "encoder_id": "fake"}
    TextEncoder(Encoder(), **settings).fit(["a"])
    (file,) = tmp_path.iterdir()
    before = sqlite3.connect(file).execute("SELECT * FROM vectors").fetchall()
    monkeypatch.setattr(
        "sklearn_masked.feature_extraction._cache._digest",
        lambda text, real=hashlib.sha256: (
            real(text.encode()).digest() if text != "stop" else 1 / 0
        ),
    )
    from sklearn_masked.feature_extraction._cache import VectorCache

    cache = VectorCache(tmp_path, "fake")
    with pytest.raises(ZeroDivisionError):
        cache.write(["b", "stop"], np.ones((2, DIM), np.float32))
    assert sqlite3.connect(file).execute("SELECT * FROM vectors").fetchall() == before


# Errors


class Nothing:
    pass


ACCEPTED = (
    "`encoder` accepts an object with a method `encode` or `embed`, or a callable"
)


@pytest.mark.parametrize(
    ("encoder", "end"),
    [
        (
            "all-MiniLM-L6-v2",
            "; got the string 'all-MiniLM-L6-v2': load the model by its own library, "
            "since nothing is downloaded here.",
        ),
        (Encoder, "; got the class Encoder: pass an instance."),
        (None, "; got None."),
        (7, "; got 7."),
    ],
)
def test_what_is_no_encoder_is_refused(encoder, end):
    assert message_of(TextEncoder(encoder).fit, TEXTS) == ACCEPTED + end


@pytest.mark.parametrize(
    ("returned", "end"),
    [
        (np.ones(6), "; got shape (6,)."),
        (np.ones((4, 2)), "; got shape (4, 2)."),
        (np.ones((5, 2, 2)), "; got shape (5, 2, 2)."),
        ([[1, 2], [3]], "; got list."),
        (None, "; got NoneType."),
        ("five!", "; got str."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_row_per_text_is_refused(returned, end):
    start = "`encoder` must give an array of shape (5, n_dimensions) for 5 texts"
    assert message_of(TextEncoder(lambda _: returned).fit, TEXTS) == start + end


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite_are_refused_and_not_kept(bad, tmp_path):
    def encoder(texts):
        return [[bad if "goal" in text else 1.0, 2.0] for text in texts]

    transformer = TextEncoder(encoder, cache=tmp_path, encoder_id="bad")
    assert message_of(transformer.fit, TEXTS) == (
        "`encoder` must give finite numbers; got NaN or infinity for the text "
        "'a late goal'."
    )
    with sqlite3.connect(next(tmp_path.iterdir())) as database:
        assert not database.execute("SELECT * FROM vectors").fetchall()
    assert not hasattr(transformer, "mean_")


@pytest.mark.parametrize(
    ("X", "end"),
    [
        ("a single one", " accepts an iterable of texts; got a single string."),
        (["a", None], " accepts texts; got None at position 1: leave it out, or put"),
        ([b"a"], " accepts texts; got b'a' at position 0: leave it out, or put"),
        (["a", np.nan], " accepts texts; got nan at position 1: leave it out, or put"),
        (np.array([["a"]]), " accepts texts in one dimension; got shape (1, 1)."),
        (5, " accepts texts in one dimension; got 5."),
        ([], " must hold a text to fit on; got none."),
    ],
)
def test_what_is_no_text_is_refused(X, end):
    message = message_of(TextEncoder(Encoder()).fit, X)
    assert message.startswith(f"`X`{end}")
    if len(X) if isinstance(X, list) else True:
        fitted = TextEncoder(Encoder()).fit(TEXTS)
        assert message_of(fitted.transform, X) == message


def test_vectors_of_another_length_than_in_fit_are_refused():
    encoder = Encoder()
    transformer = TextEncoder(encoder).fit(TEXTS)
    encoder.dim = 4
    assert message_of(transformer.transform, ["new"]) == (
        "`encoder` must give vectors of 6 numbers, as in fit; got 4."
    )
    with pytest.raises(NotFittedError):
        TextEncoder(encoder, normalize=None).fit(TEXTS).set_params(
            normalize="center"
        ).transform(TEXTS)


@pytest.mark.parametrize(
    "params",
    [
        {"normalize": True},
        {"batch_size": 0},
        {"cache": 3},
        {"encoder_id": 3},
        {"encode_params": [1]},
        {"verbose": "yes"},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters_of_another_kind_are_refused(params):
    message = message_of(TextEncoder(Encoder(), **params).fit, TEXTS)
    assert message.startswith(f"The '{next(iter(params))}' parameter of TextEncoder")
