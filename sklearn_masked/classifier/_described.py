"""Words that describe the labels, passed through the vectorizer of the texts."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._base import MaskedClassifierMixin, estimator_has
from .._fitted import scratch_of, take_over
from .._rows import count_rows, take_rows
from .._targets import check_y_given, encode_target, is_binary
from .._typing import LabelsLike, MatrixLike, Weights
from ..labels.names import entry_names, is_table, table_columns
from ._label_prior import labels_without_cells


class DescribedLabelsClassifier(
    MaskedClassifierMixin, MetaEstimatorMixin, BaseEstimator
):
    """A pipeline of texts whose labels are described by words.

    The words pass through the steps before the classifier, as texts do, and become its
    `label_features`: the prior mean of the labels' weights. See
    :class:`~sklearn_masked.MaskedMultiLabelClassifier`.

    Parameters
    ----------
    estimator : Pipeline
        Of transformers that take the texts, such as
        :class:`~sklearn.feature_extraction.text.TfidfVectorizer`, a
        :class:`~sklearn.pipeline.FeatureUnion`, embeddings or a
        :class:`~sklearn.compose.ColumnTransformer` with a column of texts, and a last
        step with a parameter `label_features`, its own or that of a classifier in it.
    descriptions : mapping or sequence of str
        The words: by label name, or in the order of the labels. A label that a mapping
        leaves out, or whose words are blank, is described by nothing.
    text_column : str or int, default=None
        Where X is a table: the name of the column that words stand in. None takes its
        only column. What other columns give is that of no row.

    Attributes
    ----------
    estimator_ : Pipeline
        The fitted pipeline.
    classes_, n_labels_, label_names_
        As :class:`~sklearn_masked.MaskedMultiLabelClassifier` has them.

    See Also
    --------
    MaskedMultiLabelClassifier : Takes a matrix of features that describe the labels.

    Notes
    -----
    `fit` needs no labeled cell, nor y where the words have names. A label that is new
    joins where y has one more name and no cell of it. The probabilities of labels
    without a labeled cell are those at `base_rates` of the classifier.

    The transformers are fitted by `fit`, and by the first call of `partial_fit`. A
    :class:`~sklearn_masked.MaskedMultiOutputClassifier` cannot be the last step: it has
    no `label_features`, since each of its models sees one label.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_masked import DescribedLabelsClassifier, MaskedMultiLabelClassifier
    >>> texts = ["troops cross the border", "the striker scores twice",
    ...          "shelling near the border", "the keeper saves a penalty"]
    >>> words = {"war": "troops shelling", "sport": "striker keeper penalty"}
    >>> clf = DescribedLabelsClassifier(
    ...     make_pipeline(TfidfVectorizer(),
    ...                   MaskedMultiLabelClassifier(base_rates=0.5, random_state=0)),
    ...     words)
    >>> proba = clf.fit(texts, None).predict_proba(["troops at the border"])
    >>> bool(proba[0, 0] > proba[0, 1])
    True
    """

    def __init__(
        self,
        estimator: Any,
        descriptions: Mapping[str, str] | Sequence[Any],
        *,
        text_column: str | int | None = None,
    ) -> None:
        self.estimator = estimator
        self.descriptions = descriptions
        self.text_column = text_column

    def fit(self, X: MatrixLike, y: LabelsLike, sample_weight: Weights = None) -> Self:
        """Fit the transformers, and the classifier with the features of the words.

        Parameters
        ----------
        X : array-like, data frame or list of length n_samples
            What the first step takes.
        y : MaskedLabels, array-like or sparse matrix of shape (n_samples, n_labels)
            As the classifier takes it. None, or labels without a labeled cell, leave
            the words alone to tell the labels.
        sample_weight : array-like, default=None
            Passed to the classifier.

        Returns
        -------
        self : object
            If this call fails, it is what it was before.

        Raises
        ------
        ValueError
            If `estimator` has no transformer before a step with `label_features`, or
            `descriptions` or `text_column` do not fit the labels or X.
        """
        return self._fit(X, y, sample_weight, "fit", {})

    def partial_fit(
        self,
        X: MatrixLike,
        y: LabelsLike,
        classes: ArrayLike | None = None,
        sample_weight: Weights = None,
    ) -> Self:
        """Go once through these rows; the first call fits the transformers to them.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. New labels join by name, after those that are known; their
            words are those that `descriptions` has by then.
        classes : array-like, default=None
            For 1-D y, the two values; needed at the first call.

        Returns
        -------
        self : object
        """
        known = {} if classes is None else {"classes": classes}
        if not hasattr(self, "estimator_"):
            return self._fit(X, y, sample_weight, "partial_fit", known)
        check_y_given(self, y)
        head, (name, last) = self.estimator_[:-1], self.estimator_.steps[-1]
        last = scratch_of(last)  # to train on; fits replace what is fitted
        fit, rows = last.partial_fit, head.transform(X)
        words = self._joined_words(X, y)
        if words is not None:
            parameter, n_known = _check_steps(self.estimator), len(self._described)
            before = last.get_params()[parameter]
            more = self._features(head, X, rows, words)[n_known:]
            both = before, more
            are_sparse = sp.issparse(more)
            both = sp.vstack(both, format="csr") if are_sparse else np.vstack(both)
            last.set_params(**{parameter: both})
        fit(rows, y, **_weights(sample_weight), **known)
        return self._adopt(Pipeline([*head.steps, (name, last)]), words)

    def _fit(self, X, y, sample_weight, method, classes):
        name = _check_steps(self.estimator)
        if y is None and isinstance(self.descriptions, Mapping):
            names = list(self.descriptions)
            y = labels_without_cells(count_rows(X), len(names), names)
        check_y_given(self, y)
        words = self._words(X, y)
        head = clone(self.estimator[:-1])
        rows = head.fit_transform(X, y)
        features = self._features(head, X, rows, words)
        step, last = self.estimator.steps[-1]
        last = clone(last).set_params(**{name: features})
        getattr(last, method)(rows, y, **_weights(sample_weight), **classes)
        return self._adopt(Pipeline([*head.steps, (step, last)]), words)

    def _adopt(self, pipeline, words):
        fitted, last = scratch_of(self), pipeline[-1]
        if words is not None:
            fitted._described = words
        fitted.estimator_ = pipeline
        for name in ("classes_", "n_labels_", "label_names_", "_one_dimensional"):
            setattr(fitted, name, getattr(last, name))
        return take_over(self, vars(fitted))

    def _joined_words(self, X, y):
        """Return the words of all labels where y has new ones, else None."""
        if is_binary(y):
            return None
        labels = encode_target(y, count_rows(X), accept_soft=True).labels
        if labels.n_labels <= self.n_labels_ or labels.label_names is None:
            return None  # the classifier says what is wrong, if anything is
        words = self._words(X, y)
        for name, now, was in zip(
            labels.label_names, words, self._described, strict=False
        ):
            if now != was:
                raise ValueError(
                    f"`descriptions` must keep the words of label {name!r}, which the "
                    f"model was fitted with, {was!r}; got {now!r}. Only new labels "
                    "may get words; to change others call fit."
                )
        return words

    def _words(self, X, y):
        """Return the words of each label of y, in its order."""
        names, n_labels = None, 1
        if not is_binary(y):
            labels = encode_target(y, count_rows(X), accept_soft=True).labels
            names, n_labels = labels.label_names, labels.n_labels
        given = self.descriptions
        if entry_names(given) is not None:
            given = given.to_dict()
        if isinstance(given, Mapping):
            return _by_name(given, names)
        if isinstance(given, str) or len(given) != n_labels:
            got = repr(given) if isinstance(given, str) else f"{len(given)} entries"
            raise ValueError(
                "`descriptions` accepts a mapping from label names to words, or a "
                f"sequence of words for each of the {n_labels} labels; got {got}."
            )
        return _checked_words(dict(enumerate(given)))

    def _features(self, head, X, rows, words):
        """Return the features of the words, a row of zeros where there are none."""
        is_blank = np.array([not text.strip() for text in words])
        if not is_table(X):
            features = head.transform(words)
        else:
            table = _in_column(X, words, self.text_column)
            features = _only_varying(head.transform(table), rows)[: len(words)]
        if sp.issparse(features):
            return sp.csr_array(sp.diags((~is_blank).astype(features.dtype)) @ features)
        return np.where(is_blank[:, None], 0, np.asarray(features))

    @available_if(estimator_has("predict"))
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Return the decisions of the fitted pipeline.

        Parameters
        ----------
        X : array-like, data frame or list
            As in `fit`.
        """
        return self._predicted("predict", X)

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the probabilities of the fitted pipeline.

        Parameters
        ----------
        X : array-like, data frame or list
            As in `fit`.
        """
        return self._predicted("predict_proba", X)

    @available_if(estimator_has("decision_function"))
    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return the logits of the fitted pipeline.

        Parameters
        ----------
        X : array-like, data frame or list
            As in `fit`.
        """
        return self._predicted("decision_function", X)

    def _predicted(self, method, X):
        check_is_fitted(self)
        return getattr(self.estimator_, method)(X)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: those of the pipeline."""
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        tags.classifier_tags = inner.classifier_tags or tags.classifier_tags
        return tags


def _check_steps(estimator):
    """Return the name of the one parameter of the last step that features go to."""
    if isinstance(estimator, Pipeline) and len(estimator.steps) > 1:
        names = [
            name
            for name in estimator.steps[-1][1].get_params()
            if name.split("__")[-1] == "label_features"
        ]
        if len(names) == 1:
            return names[0]
    raise ValueError(
        "`estimator` accepts a Pipeline of transformers and a last step that has a "
        "parameter `label_features`, such as MaskedMultiLabelClassifier; got "
        f"{estimator!r}."
    )


def _weights(sample_weight):
    return {} if sample_weight is None else {"sample_weight": sample_weight}


def _by_name(words, names):
    """Return the words of each label, blank for those that a mapping leaves out."""
    if names is None:
        raise ValueError(
            "`descriptions` accepts a mapping where the labels of `y` have names; they "
            "have none. Pass a sequence of words in the order of the labels."
        )
    known = set(names)
    for name in words:
        if name not in known:
            raise ValueError(
                f"`descriptions` must name labels of `y`; {name!r} is none of them. "
                "A label without any labeled cell must have its name in `y` too."
            )
    return _checked_words({name: words.get(name, "") for name in names})


def _checked_words(words):
    for name, text in words.items():
        if not isinstance(text, str):
            raise TypeError(
                "`descriptions` accepts words as a str for each label; got "
                f"{type(text).__name__} for label {name!r}."
            )
    return list(words.values())


def _in_column(X, words, column):
    """Return a row of X repeated, with the words, and a blank, in a column."""
    columns = table_columns(X)
    if column is None and len(columns) == 1:
        column = columns[0]
    if column not in columns:
        raise ValueError(
            f"`text_column` accepts the name of a column of `X`, one of {columns}; got "
            f"{column!r}."
        )
    texts = [*words, ""]
    table = take_rows(X, np.zeros(len(texts), np.intp))
    if hasattr(table, "iloc"):
        table = table.reset_index(drop=True)
        table[column] = texts
        return table
    raise ValueError(
        "`X` accepts a pandas DataFrame where words stand in a column of it; got "
        f"{type(X).__name__}."
    )


def _only_varying(features, rows):
    """Return features, those without the mean of X where all of them are the same.

    Columns that do not come from the texts are: they must say nothing.
    """
    if sp.issparse(features):
        features = sp.csc_array(features)
        last = sp.csc_array(features[[-1]])
        differs = abs(features - sp.vstack([last] * features.shape[0])).sum(axis=0) > 0
        return sp.csr_array(features @ sp.diags(differs.astype(features.dtype)))
    features = np.asarray(features)
    same = (features == features[-1]).all(axis=0)
    return np.where(same, np.asarray(rows).mean(axis=0), features)
