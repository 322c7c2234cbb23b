"""The predictor: a model read from its file, with numpy and scipy alone."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np

from .._rows import count_rows, take_rows
from .._typing import MatrixLike
from ..exceptions import ServedFileError
from ._blocks import row_blocks
from ._file import unpack
from ._meta import MAPS, Calibrated, Pipeline, Tuned
from ._models import DirectShared, EmbeddingBag, Linear
from ._rows import read_numbers, read_texts
from ._text import CountVectorizer, HashingVectorizer
from ._transformers import FeatureUnion, Scaler
from ._weighting import Normalizer, TfidfTransformer

_SINGLE = {
    "CountVectorizer": CountVectorizer,
    "TfidfVectorizer": CountVectorizer,
    "HashingVectorizer": HashingVectorizer,
    "TfidfTransformer": TfidfTransformer,
    "Normalizer": Normalizer,
    "Scaler": Scaler,
    "DirectShared": DirectShared,
    "EmbeddingBag": EmbeddingBag,
    "Linear": Linear,
}
_OF_PARTS = {
    "Pipeline": Pipeline,
    "FeatureUnion": FeatureUnion,
    "Calibrated": Calibrated,
    "Tuned": Tuned,
}
METHODS = "decision_function", "predict_proba", "predict_log_proba"


def load(path: str | Path) -> Predictor:
    """Load a predictor from a file that :func:`export` wrote.

    It needs numpy and scipy alone: neither scikit-learn nor torch is imported, and
    nothing in the file can run code. A checksum tells a file that was damaged; it is no
    signature, so that who can write the file decides what is predicted.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    Predictor
        With the methods of the exported model that predict.

    Raises
    ------
    ServedFileError
        If the file is truncated, was changed, has a newer format, or is no such file.
    OSError
        If it cannot be opened.

    See Also
    --------
    export : Write the file.

    Examples
    --------
    >>> import numpy as np, tempfile, os
    >>> from sklearn_masked import MaskedMultiLabelClassifier, serving
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> y = np.array([[1, np.nan, 0], [0, 1, np.nan], [np.nan, 0, 1]])  # NaN: unlabeled
    >>> clf = MaskedMultiLabelClassifier(random_state=0).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> serving.export(clf, path)
    >>> predictor = serving.load(path)
    >>> np.allclose(predictor.predict_proba(X), clf.predict_proba(X), atol=1e-6)
    True
    """
    with open(path, "rb") as file:
        data = np.empty(os.fstat(file.fileno()).st_size, np.uint8)
        n_read = file.readinto(data)  # type: ignore[arg-type]
    try:
        return read(data[:n_read])
    except ServedFileError as error:
        raise ServedFileError(f"{path} cannot be loaded: {error}.") from error


def read(data):
    """Return the predictor of the bytes of a file."""
    data.flags.writeable = False
    try:
        part, library_version = unpack(data)
        predictor = Predictor(part, library_version)
        with np.errstate(all="ignore"):
            predictor._try()
    except ServedFileError:
        raise
    except Exception as error:
        # The checksum is right, and still the file does not hold together: somebody
        # made it. What fails first depends on what they wrote.
        raise ServedFileError(
            f"it does not hold a whole model ({type(error).__name__}: {error})"
        ) from error
    return predictor


class _IfModelHas:
    """A method that is there if the exported model had it."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self.method = method
        functools.update_wrapper(self, method)  # type: ignore[arg-type]

    def __get__(self, predictor: Any, owner: Any = None) -> Any:
        if predictor is None:
            return self.method
        name = self.method.__name__
        if name not in predictor._methods:
            raise AttributeError(f"the exported model has no method {name}")
        return MethodType(self.method, predictor)


class Predictor:
    """A model to predict with, loaded from a file: see :func:`load`.

    Its methods return what those of the exported model do, of the same type and shape;
    those that the model does not have are not there. Threads may share it.

    Attributes
    ----------
    classes_ : ndarray
        Positions of the labels, dtype object; for a model of a 1-D `y`, its two values.
    n_labels_ : int
        Number of labels.
    label_names_ : ndarray of shape (n_labels,) or None
        Names of the labels, where the model knows them.
    n_features_in_ : int
        Number of features, where `X` is a table of numbers.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where the model knows them; a table with other names, or
        another order, raises.
    library_version : str
        The version of sklearn_masked that wrote the file.
    """

    def __init__(self, part: Any, library_version: str) -> None:
        self.library_version = library_version
        if part.kind != "Predictor" or len(part.parts) != 1:
            part.refuse("it is not a model")
        self._model = _make(part.parts[0])
        self._methods = frozenset(part.lists["methods"])
        self._one_dimensional = part.setting("one_dimensional", bool)
        self.n_labels_: int = self._model.n_labels
        n_classes = 2 if self._one_dimensional else self.n_labels_
        self.classes_: np.ndarray = _values(part, "classes", n_classes)
        self.label_names_: np.ndarray | None = _values(
            part, "label_names", self.n_labels_
        )
        if self._model.n_in is not None:
            self.n_features_in_: int = self._model.n_in
            names = _values(part, "feature_names", self.n_features_in_)
            if names is not None:
                self.feature_names_in_: np.ndarray = names

    @_IfModelHas
    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return a score of each label, above 0 where it is predicted positive.

        Parameters
        ----------
        X : list of str, array-like or sparse matrix
            Rows, as the exported model takes them: texts, or a table of shape
            (n_samples, n_features).

        Returns
        -------
        ndarray of shape (n_samples, n_labels), or (n_samples,) for a 1-D y
            The scores; of MaskedMultiLabelClassifier, the logits.
        """
        scores = self._by_blocks(X, self._model.decision)
        return scores[:, 0] if self._one_dimensional else scores

    @_IfModelHas
    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the probability that each label is positive.

        Parameters
        ----------
        X : list of str, array-like or sparse matrix
            Rows, as the exported model takes them.

        Returns
        -------
        float64 array of shape (n_samples, n_labels), or (n_samples, 2) for a 1-D y
            The probabilities; for a 1-D y those of its two values.
        """
        model = self._model
        of_rows = model.both if self._one_dimensional else model.proba
        return self._by_blocks(X, of_rows)

    @_IfModelHas
    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the logarithms of what `predict_proba` returns.

        Parameters
        ----------
        X : list of str, array-like or sparse matrix
            Rows, as the exported model takes them.

        Returns
        -------
        float64 array of shape (n_samples, n_labels), or (n_samples, 2) for a 1-D y
            In nats; -inf where a probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: MatrixLike) -> np.ndarray:
        """Return which labels are positive.

        Parameters
        ----------
        X : list of str, array-like or sparse matrix
            Rows, as the exported model takes them.

        Returns
        -------
        int64 array of shape (n_samples, n_labels), or (n_samples,) for a 1-D y
            1 and 0; for a 1-D y its values.
        """
        positive = self._by_blocks(X, self._model.positive).astype(np.int64)
        return self.classes_[positive[:, 0]] if self._one_dimensional else positive

    def __repr__(self) -> str:
        names = "" if self.label_names_ is None else ", with names"
        return f"<Predictor of {self.n_labels_} labels{names}>"

    def _by_blocks(self, X, of_rows):
        """Return a function of rows, computed block by block of them."""
        X = self._rows(X)
        result = None
        for rows in row_blocks(count_rows(X), self.n_labels_):
            part = of_rows(take_rows(X, rows))
            if result is None:
                result = np.empty((count_rows(X), part.shape[1]), part.dtype)
            result[rows] = part
        return of_rows(X) if result is None else result

    def _rows(self, X):
        if self._model.takes == "texts":
            return read_texts(X)
        if hasattr(X, "columns") or hasattr(X, "column_names"):
            from ..labels.names import check_same_columns  # nothing else asks for it

            names = getattr(self, "feature_names_in_", None)
            check_same_columns(X, names, "X", "the exported model", "feature")
        return read_numbers(X, self.n_features_in_)

    def _try(self):
        """Predict a row of nothing, by which files that do not fit together show."""
        if not self.n_labels_:
            raise ServedFileError("it has no labels")
        row = [""]
        if self._model.takes == "numbers":
            row = np.zeros((1, self.n_features_in_))
        for name in (*self._methods, "predict"):
            getattr(self, name)(row)


def _make(part):
    """Return the model or transformer of a part."""
    if part.kind in _SINGLE:
        return _SINGLE[part.kind](part)
    if part.kind not in _OF_PARTS:
        part.refuse("this version does not know it")
    inner = [_make(one) for one in part.parts if one.kind not in MAPS]
    return _OF_PARTS[part.kind](part, inner)


def _values(part, name, n):
    """Return a list of a part as an array of n values, or None."""
    if name not in part.lists:
        return None
    values = part.lists[name]
    dtype = np.dtype(part.setting(f"{name}_dtype", str))
    plain = all(type(value) in (str, int, float, bool) for value in values)
    if dtype.kind not in "OUifub" or not plain or len(values) != n:
        part.refuse(f"`{name}` is not a list of {n} names or numbers")
    return np.array(values, dtype=dtype)
