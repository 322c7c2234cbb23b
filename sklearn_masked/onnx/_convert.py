"""The functions that register converters and make graphs of models."""

from typing import Any

from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.validation import check_is_fitted

from ..classifier import MaskedMultiLabelClassifier
from ..inspection.unwrap import Unwrapped
from ..multioutput import MaskedMultiOutputClassifier

_PLAIN = MaskedMultiLabelClassifier, MaskedMultiOutputClassifier


def register_converters() -> None:
    """Let skl2onnx convert the classifiers of this package, wherever they stand.

    After it ``skl2onnx.to_onnx`` and ``skl2onnx.convert_sklearn`` take
    :class:`~sklearn_masked.MaskedMultiLabelClassifier`, with the default module or the
    embedding bag, and :class:`~sklearn_masked.MaskedMultiOutputClassifier` of linear
    classifiers. The outputs are `label` and `probabilities`, of shape
    (n_samples, n_labels) each; for a 1-D y the class, and the probabilities of both.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    to_onnx : Converts whole pipelines, of texts too.
    """
    for kind in _PLAIN:
        _register(kind)


def _register(kind):
    """Register the converter for a class of classifiers."""
    skl2onnx = _skl2onnx()
    from . import _classifier

    skl2onnx.update_registered_converter(
        kind,
        _classifier.alias(kind),
        _classifier.calculate_shapes,
        _classifier.convert,
        parser=_classifier.parse,
        # Probabilities are an array whatever it says: labels are not classes.
        options={"zipmap": [True, False, "columns"]},
    )


def to_onnx(
    model: Any,
    initial_types: list[Any] | None = None,
    *,
    target_opset: int | None = None,
) -> Any:
    """Return a fitted model as an ONNX graph, which onnxruntime runs.

    Parameters
    ----------
    model : fitted classifier or pipeline
        That ends in one of the classifiers that :func:`register_converters` names,
        after steps that skl2onnx converts or a vectorizer of words. Around it may
        stand a :class:`~sklearn_masked.DescribedLabelsClassifier`, a search, a tuner,
        whose thresholds decide, or a calibrator with ``ensemble=False`` that is linear
        in logits ("sigmoid", "temperature").
    initial_types : list of (str, skl2onnx type), default=None
        Names and types of the inputs, as skl2onnx takes them. None is one input, "X":
        texts, shape (n_samples,), where the first step is a vectorizer of words, else
        float32 of shape (n_samples, n_features).
    target_opset : int, default=None
        Version of ONNX's operators, 18 or more; None takes the newest that skl2onnx
        was tested with.

    Returns
    -------
    onnx.ModelProto
        ``model.SerializeToString()`` are the bytes of a file.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    ValueError
        If a vectorizer is of characters, has a tokenizer or a preprocessor of one's
        own, strips accents, has a pattern of tokens that is not known or stop words
        beside n-grams.
    TypeError
        If the logits of the classifier are not sums over features, or its probabilities
        are not their logistic function.

    Notes
    -----
    Rows are dense in the graph: a text of 30,000 words in the vocabulary takes 120 KB
    while it is computed, so pass some hundreds at a time.

    Vectorizers of words are converted here and not by skl2onnx: to tokens of any
    alphabet, and to the sublinear counts of scikit-learn. Lower case is that of the
    locale "C.UTF-8", which must be there: Linux has it. Two letters differ from
    Python's: "İ", and a final "Σ".

    Examples
    --------
    >>> from sklearn_masked.onnx import to_onnx
    >>> to_onnx(clf).SerializeToString()  # doctest: +SKIP
    """
    skl2onnx = _skl2onnx()
    from . import _text

    check_is_fitted(model)
    if initial_types is None:
        initial_types = [("X", _input_type(model))]
    register_converters()
    if not _is_plain(model):
        from ._fold import FoldedClassifier, fold

        model = fold(model)
        _register(FoldedClassifier)
    vectorizers = (CountVectorizer, TfidfVectorizer)
    return skl2onnx.convert_sklearn(
        model,
        name="sklearn_masked",
        initial_types=initial_types,
        target_opset=target_opset,
        custom_conversion_functions=dict.fromkeys(vectorizers, _text.convert),
        custom_shape_calculators=dict.fromkeys(vectorizers, _text.calculate_shapes),
    )


def _is_plain(model):
    """Return whether a model is a classifier that is registered, or ends in one."""
    while isinstance(model, Pipeline):
        model = model[-1]
    return isinstance(model, _PLAIN)


def _input_type(model):
    """Return the type of the one input: texts, or numbers."""
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    heads = Unwrapped(model).heads
    first = heads[0] if heads else model
    while isinstance(first, Pipeline | FeatureUnion):
        is_union = isinstance(first, FeatureUnion)
        first = first.transformer_list[0][1] if is_union else first[0]
    if isinstance(first, CountVectorizer):
        return StringTensorType([None])
    if not hasattr(model, "n_features_in_"):
        raise ValueError(
            "`initial_types` must be given for a model that does not know its number "
            "of features; got None."
        )
    return FloatTensorType([None, model.n_features_in_])


def _skl2onnx():
    try:
        import skl2onnx
    except ImportError as error:
        raise ImportError(
            "ONNX graphs are made by skl2onnx: `pip install sklearn-masked[onnx]`."
        ) from error
    return skl2onnx
