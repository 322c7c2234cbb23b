"""Texts as the vectors of a pretrained encoder, in a scikit-learn pipeline."""

import copy
import hashlib
import os
from collections.abc import Iterable
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.preprocessing import normalize as unit_rows
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._version import DOC_LINK
from ._cache import VectorCache

# What tells one encoder from another: short and long texts, of several scripts, since
# two may differ in case, in accents, or only in where they cut a text off.
_PROBES = (
    "a",
    "The quick brown fox jumps over the lazy dog.",
    "THE QUICK BROWN FOX\njumps  over\tthe lazy dog!",
    "Fußgänger überqueren die Straße; año nuevo, élève, Ελλάδα, Москва, 東京, नमस्ते 🙂",
    " ".join(f"word{i} {i * 7919 % 1000}" for i in range(4000)),
)
_METHODS = "encode", "embed"
# Lines that `verbose` prints at most.
_LINES = 20


class TextEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turn texts into the vectors of a pretrained text encoder.

    Parameters
    ----------
    encoder : object or callable
        With a method `encode` (as of sentence-transformers and model2vec) or `embed`
        (wordllama), or a callable: each takes a list of texts and returns an array of
        shape (n_texts, n_dimensions), or anything that becomes one, tensors too. It is
        used as it is: never trained, copied by :func:`~sklearn.base.clone`, or
        downloaded.
    normalize : {"center", "unit"} or None, default="center"
        "center" subtracts the mean of the training rows, then scales rows to length 1:
        averages of static word vectors need both. "unit" scales alone; None leaves the
        vectors as they are.
    batch_size : int, default=256
        Texts that the encoder gets at a time.
    cache : str or path, default=None
        A folder that keeps the vectors by the content of the text, for all encoders;
        each batch is kept as soon as it is encoded. None keeps nothing.
    encoder_id : str, default=None
        Identity of the encoder in the cache, for example the name and the version of
        its weights; `encode_params` count beside it. None takes the digest of the bits
        that the encoder gives for five fixed texts, asked at each call: another model,
        or the same one after training, has another.
    encode_params : dict, default=None
        Further arguments of the method or the callable, such as
        ``{"show_progress_bar": False}``.
    verbose : int, default=0
        Above 0, up to 20 lines a call that tell how many texts are encoded.

    Attributes
    ----------
    mean_ : float32 array of shape (n_dimensions,)
        Mean of the training rows, with ``normalize="center"``.

    See Also
    --------
    sklearn.feature_extraction.text.TfidfVectorizer : Features that need no encoder;
        :class:`sklearn.pipeline.FeatureUnion` joins both.

    Notes
    -----
    Equal texts are encoded once a call, in the order in which they come first; rows are
    those of X, in its order. A pickle holds the encoder, and not the cache.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_masked import MaskedMultiLabelClassifier
    >>> from sklearn_masked.feature_extraction import TextEncoder
    >>> def letters(texts):  # in earnest: SentenceTransformer("..."), loaded by you
    ...     return np.array([[text.count(c) for c in "aeiou"] for text in texts])
    >>> texts = ["troops at the border", "a late goal", "shelling", "a penalty saved"]
    >>> y = np.array([[1, np.nan], [np.nan, 1], [1, 0], [0, np.nan]])
    >>> TextEncoder(letters).fit_transform(texts).shape
    (4, 5)
    >>> model = make_pipeline(TextEncoder(letters), MaskedMultiLabelClassifier())
    >>> model.fit(texts, y).predict_proba(["a goal"]).shape
    (1, 2)
    """

    _doc_link_module = "sklearn_masked"
    _doc_link_template = DOC_LINK
    _parameter_constraints = {
        "encoder": [object],
        "normalize": [None, StrOptions({"center", "unit"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "cache": [None, str, os.PathLike],
        "encoder_id": [None, str],
        "encode_params": [None, dict],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        encoder: Any,
        *,
        normalize: str | None = "center",
        batch_size: int = 256,
        cache: str | os.PathLike[str] | None = None,
        encoder_id: str | None = None,
        encode_params: dict[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.normalize = normalize
        self.batch_size = batch_size
        self.cache = cache
        self.encoder_id = encoder_id
        self.encode_params = encode_params
        self.verbose = verbose

    def fit(self, X: Iterable[str], y: ArrayLike | None = None) -> "TextEncoder":
        """Learn the mean of the training rows, with ``normalize="center"``.

        Parameters
        ----------
        X : iterable of str
            Texts.
        y : ignored
            For pipelines.

        Returns
        -------
        self : object
            The fitted encoder.

        Raises
        ------
        ValueError
            If there is no text, an entry of X is none, or the encoder is none or
            returns something else than a finite vector per text.
        """
        self.fit_transform(X)
        return self

    def fit_transform(
        self, X: Iterable[str], y: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Fit, and return the vectors of the training texts; each is encoded once.

        Parameters
        ----------
        X : iterable of str
            Texts.
        y : ignored
            For pipelines.

        Returns
        -------
        float32 array of shape (n_texts, n_dimensions)
            A row per text, in the order of X.
        """
        self._validate_params()
        texts = _checked_texts(X)
        if not texts:
            raise ValueError("`X` must hold a text to fit on; got none.")
        vectors = self._encoded(texts)
        vars(self).pop("mean_", None)
        self._n_features_out = vectors.shape[1]
        if self.normalize == "center":
            self.mean_: np.ndarray = vectors.mean(axis=0, dtype=np.float64).astype(
                np.float32
            )
        return self._normalized(vectors)

    def transform(self, X: Iterable[str]) -> NDArray[np.float32]:
        """Return the vectors of texts.

        Parameters
        ----------
        X : iterable of str
            Texts.

        Returns
        -------
        float32 array of shape (n_texts, n_dimensions)
            A row per text, in the order of X.

        Raises
        ------
        ValueError
            As in `fit`, or if the encoder returns vectors of another length than then.
        """
        check_is_fitted(self)
        texts = _checked_texts(X)
        if not texts:
            return np.empty((0, self._n_features_out), np.float32)
        vectors = self._encoded(texts)
        if vectors.shape[1] != self._n_features_out:
            raise ValueError(
                f"`encoder` must give vectors of {self._n_features_out} numbers, as in "
                f"fit; got {vectors.shape[1]}."
            )
        return self._normalized(vectors)

    def _normalized(self, vectors):
        if self.normalize == "center":
            check_is_fitted(self, "mean_")
            vectors -= self.mean_
        return vectors if self.normalize is None else unit_rows(vectors, copy=False)

    def _encoded(self, texts):
        """Return the encoder's vectors of all texts; equal ones are encoded once."""
        encode = _encode_method(self.encoder)
        position = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        cache, known = None, {}
        if self.cache is not None:
            cache = VectorCache(self.cache, self._identity(encode))
            known = cache.read(position)
        todo = [text for text in position if text not in known]
        starts = range(0, len(todo), self.batch_size)
        for number, start in enumerate(starts):
            batch = todo[start : start + self.batch_size]
            vectors = self._vectors(encode, batch)
            if cache is not None:
                cache.write(batch, vectors)
            known.update(zip(batch, vectors, strict=True))
            self._report(number, len(starts), start + len(batch), len(todo))
        rows = [known[text] for text in position]
        for text, row in zip(position, rows, strict=True):
            if len(row) != len(rows[0]):
                self._refuse_lengths(text, len(row), len(rows[0]), cache)
        return np.stack(rows)[[position[text] for text in texts]]

    def _vectors(self, encode, texts):
        """Return what the encoder gives for a batch, after a look at it."""
        given = encode(list(texts), **(self.encode_params or {}))
        vectors = _as_array(given)
        expected = f"`encoder` must give an array of shape ({len(texts)}, n_dimensions)"
        if vectors is None or vectors.ndim != 2 or len(vectors) != len(texts):
            is_array = vectors is not None and vectors.ndim
            got = f"shape {vectors.shape}" if is_array else type(given).__name__
            raise ValueError(f"{expected} for {len(texts)} texts; got {got}.")
        if not vectors.shape[1]:
            raise ValueError(f"{expected}, and one number at least; got none.")
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        for i in bad[:1]:
            raise ValueError(
                f"`encoder` must give finite numbers; got NaN or infinity for the text "
                f"{_shown(texts[i])}."
            )
        return vectors

    def _identity(self, encode):
        """Return what stands for the encoder and its arguments in the cache."""
        if self.encoder_id is not None:
            params = sorted((self.encode_params or {}).items())
            return f"id {self.encoder_id} {params!r}" if params else self.encoder_id
        given = self._vectors(encode, _PROBES)
        kind = f"{type(self.encoder).__module__}.{type(self.encoder).__qualname__}"
        return f"{kind} {hashlib.sha256(given.astype('<f4').tobytes()).hexdigest()}"

    def _report(self, number, n_batches, done, total):
        """Print how far it is, at every twentieth of the batches."""
        step = -(-n_batches // _LINES)
        if self.verbose and ((number + 1) % step == 0 or done == total):
            print(f"[TextEncoder] {done:,} of {total:,} texts are encoded", flush=True)

    def _refuse_lengths(self, text, length, other, cache):
        remedy = ""
        if cache is not None and self.encoder_id is not None:
            remedy = (
                f" The cache may hold those of another encoder: give this one another "
                f"`encoder_id`, here {self.encoder_id!r}."
            )
        raise ValueError(
            f"`encoder` must give vectors of one length; got {length} numbers for the "
            f"text {_shown(text)} and {other} for another.{remedy}"
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_n_features_out")

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted encoder that shares `encoder`, which may be gigabytes."""
        params = self.get_params(deep=False)
        params["encode_params"] = copy.deepcopy(params["encode_params"])
        other = type(self)(**params)
        for name in ("_sklearn_output_config", "_metadata_request"):
            if name in vars(self):  # what set_output and metadata requests keep
                setattr(other, name, copy.deepcopy(vars(self)[name]))
        return other

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _encode_method(encoder):
    """Return what turns a list of texts into vectors, or raise."""
    accepted = (
        "`encoder` accepts an object with a method `encode` or `embed`, or a callable"
    )
    if isinstance(encoder, str):
        raise ValueError(
            f"{accepted}; got the string {encoder!r}: load the model by its own "
            "library, since nothing is downloaded here."
        )
    if isinstance(encoder, type):
        raise ValueError(
            f"{accepted}; got the class {encoder.__name__}: pass an instance."
        )
    for name in _METHODS:
        if callable(getattr(encoder, name, None)):
            return getattr(encoder, name)
    if not callable(encoder):
        raise ValueError(f"{accepted}; got {encoder!r}.")
    return encoder


def _checked_texts(X):
    """Return the texts as a list of str, or raise."""
    if isinstance(X, str):
        raise ValueError("`X` accepts an iterable of texts; got a single string.")
    columns = getattr(X, "shape", ())
    if len(columns) > 1 or not isinstance(X, Iterable):
        got = f"shape {tuple(columns)}" if len(columns) > 1 else repr(X)
        raise ValueError(f"`X` accepts texts in one dimension; got {got}.")
    texts = list(X)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                f"`X` accepts texts; got {text!r} at position {i}: leave it out, or "
                'put "" there.'
            )
    return list(map(str, texts))  # numpy's strings are str of a kind of their own


def _as_array(given):
    """Return what an encoder gave as float32, or None if it is no array of numbers."""
    if hasattr(given, "detach"):  # a tensor, on any device; numpy has no bfloat16
        given = given.detach().cpu().float().numpy()
    elif isinstance(given, Iterable) and not hasattr(given, "__array__"):
        given = [_as_array(row) if hasattr(row, "detach") else row for row in given]
    try:
        with np.errstate(over="ignore"):  # infinite numbers have a sentence
            return np.array(given, dtype=np.float32)
    except (TypeError, ValueError):
        return None


def _shown(text):
    return repr(text if len(text) <= 40 else text[:37] + "...")
