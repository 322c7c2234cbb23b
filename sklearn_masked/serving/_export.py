"""Write a fitted model as the file of a predictor."""

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from .._files import write_atomically
from ._file import Part, pack
from ._parts import part_of, refuse, unwrapped
from ._predictor import METHODS, read
from ._reduce import reduced
from ._sample import sample_rows

# Probabilities that differ by more are not those of the model. Float32 sums in another
# order differ by less than a tenth of it.
_TOLERANCE = 1e-5
# Of decisions, a share may differ: those of scores that lie at their threshold.
_FEW = 1e-3


def export(
    model: Any,
    path: str | Path,
    *,
    dtype: Literal["float32", "float16"] | None = None,
    prune: float = 0.0,
    X: ArrayLike | None = None,
) -> None:
    """Write a fitted model to a file that predicts with numpy and scipy alone.

    Before it is written, the predictor that will be read from the file is compared with
    the model on some rows that are made up from what the model knows: its words, or the
    mean and spread of its columns.

    Parameters
    ----------
    model : fitted classifier or Pipeline
        :class:`~sklearn_masked.MaskedMultiLabelClassifier` with its default `module` or
        "embedding_bag"; :class:`~sklearn_masked.MaskedMultiOutputClassifier` of linear
        models, which may have scalers before them; a calibrator or a tuner of
        thresholds around one of these; a pipeline of
        :class:`~sklearn.feature_extraction.text.CountVectorizer`, `TfidfVectorizer`,
        `HashingVectorizer`, `TfidfTransformer`, `StandardScaler`, `MinMaxScaler`,
        `MaxAbsScaler`, `Normalizer`, a :class:`~sklearn.pipeline.FeatureUnion` of
        these, and one of the classifiers; a
        :class:`~sklearn_masked.DescribedLabelsClassifier`, or a search of scikit-learn,
        of such a pipeline.
    path : str or path-like
        The file, which is replaced as a whole. It is in the layout of safetensors.
    dtype : {"float32", "float16"}, default=None
        Type in which weights are stored; None stores them as they are, which is float32
        except for scikit-learn's linear models. They are computed with in float32.
    prune : float, default=0.0
        From 0 to below 1, the share of the direct weights, and of the rows of the
        embedding, that are left out: those that are smallest. Of a
        MaskedMultiLabelClassifier with the default `module`, fitted on a sparse X.
    X : array-like, default=None
        Rows on which the predictor is compared with the model, besides those made up.

    Raises
    ------
    UnservableModelError
        If the model, or a transformer or parameter of it, is none of those above, such
        as a tokenizer of your own; or if the predictor differs from it by more than
        rounding.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    OSError
        If the file cannot be written; the old one is then as it was.

    See Also
    --------
    load : Read the file.

    Notes
    -----
    Probabilities are the same up to rounding of float32, about 1e-7, and so are
    decisions, except for a score that lies within rounding of its threshold. What
    `dtype` and `prune` cost is in ``docs/serving.md``.

    Examples
    --------
    >>> import numpy as np, os, tempfile
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_masked import MaskedMultiLabelClassifier, serving
    >>> texts = ["troops cross the border", "the striker scores twice",
    ...          "shelling near the border", "the keeper saves a penalty"]
    >>> y = np.array([[1, np.nan], [np.nan, 1], [1, 0], [0, np.nan]])  # NaN: unlabeled
    >>> clf = make_pipeline(TfidfVectorizer(),
    ...                     MaskedMultiLabelClassifier(random_state=0)).fit(texts, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> serving.export(clf, path)
    >>> serving.load(path).predict_proba(["shelling at the border"]).shape
    (1, 2)
    """
    from sklearn.utils.validation import check_is_fitted

    if dtype not in (None, "float32", "float16"):
        raise ValueError(
            f"`dtype` accepts 'float32', 'float16' or None; got {dtype!r}."
        )
    if not 0 <= prune < 1:
        raise ValueError(f"`prune` accepts a share from 0 to below 1; got {prune!r}.")
    check_is_fitted(model)
    part = _predictor_part(model)
    _compare(model, part, X)
    if dtype is not None or prune:
        part.parts[0], n_pruned = reduced(part.parts[0], dtype, prune)
        if prune and not n_pruned:
            refuse(
                "`prune` leaves out weights of a MaskedMultiLabelClassifier with the "
                "default module, fitted on a sparse X, and there is none; got "
                f"prune={prune}"
            )
        _read(part)
    header, arrays = pack(part)

    def write(file):
        for block in (header, *arrays):
            file.write(block)

    write_atomically(Path(path), write)


def _predictor_part(model):
    """Return the part of a whole predictor."""
    inner, labels = part_of(model), unwrapped(model)
    while hasattr(labels, "steps"):
        labels = unwrapped(labels.steps[-1][1])
    if not hasattr(labels, "classes_"):
        refuse(f"{type(labels).__name__} does not classify")
    methods = [name for name in METHODS if hasattr(model, name)]
    one_dimensional = getattr(labels, "_one_dimensional", True)
    # Names that are no strings scikit-learn leaves out.
    others = getattr(model, "_feature_columns", None)
    names = getattr(model, "feature_names_in_", others)
    part = Part("Predictor", {"one_dimensional": one_dimensional})
    part.lists["methods"] = methods
    _add_values(part, "classes", labels.classes_)
    _add_values(part, "label_names", getattr(labels, "label_names_", None))
    _add_values(part, "feature_names", names)
    part.parts = [inner]
    return part


def _add_values(part, name, values):
    """Put an array of names or numbers into a part, and the dtype that it has."""
    if values is None:
        return
    values = np.asarray(values, None if hasattr(values, "dtype") else object)
    plain = values.tolist()
    wrong = [one for one in plain if type(one) not in (str, int, float, bool)]
    if wrong:
        refuse(f"{name.replace('_', ' ')} are strings or numbers; got {wrong[0]!r}")
    part.lists[name] = plain
    part.settings[f"{name}_dtype"] = values.dtype.str


def _read(part):
    """Return the predictor that will be read from the file of a part."""
    header, arrays = pack(part)
    data = b"".join([header, *arrays])
    return read(np.frombuffer(data, np.uint8).copy())


def _compare(model, part, X):
    """Raise unless the predictor agrees with the model on made-up rows and X."""
    predictor = _read(part)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # that rows have no names, for one
        for rows in (sample_rows(part.parts[0]), X):
            if rows is not None:
                _compare_rows(model, predictor, rows)


def _compare_rows(model, predictor, rows):
    for method in ("predict", *METHODS):
        if hasattr(model, method):
            expected = np.asarray(getattr(model, method)(rows))
            found = getattr(predictor, method)(rows)
            if not _agree(expected, found, method):
                refuse(
                    f"`{method}` of the predictor would differ from that of the model, "
                    "which is a fault of this library, unless the model was changed "
                    "after its fit"
                )


def _agree(expected, found, method):
    if expected.shape != found.shape or expected.dtype.kind != found.dtype.kind:
        return False
    if method == "predict":
        return np.mean(expected != found) <= _FEW
    tolerance = _TOLERANCE
    if method != "predict_proba":
        tolerance *= np.maximum(np.abs(expected), 1)
    same = expected == found  # infinities too
    return bool((same | (np.abs(expected - found) <= tolerance)).all())
