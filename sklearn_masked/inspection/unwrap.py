"""From pipelines, searches, calibrators and tuners to the classifier inside."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._typing import MatrixLike
from ..labels.select import label_positions
from ._additive import AdditiveModel

# Where wrappers keep what they fitted: searches, tuners, frozen estimators.
_INNER = "best_estimator_", "estimator_", "estimator"


class Unwrapped:
    """A classifier whose logits are sums, and what stands around it."""

    def __init__(self, model: Any, feature_names: ArrayLike | None = None) -> None:
        self._lines = []
        self.heads: Any = []  # the steps before it, outermost first
        self.tuner: Any = None  # the outermost one around it
        self.classifier: Any = self._descend(model)
        self._feature_names = feature_names
        n_labels, names = self.classifier.n_labels_, self.classifier.label_names_
        if self.classifier._one_dimensional:
            self.names: Any = [self.classifier.classes_[1]]
        else:
            self.names = list(range(n_labels) if names is None else names)

    def _descend(self, model):
        """Return the classifier in a model, and keep what is met on the way."""
        check_is_fitted(model)
        if isinstance(model, Pipeline):
            if len(model) > 1:
                self.heads.append(model[:-1])
            return self._descend(model[-1])
        if hasattr(model, "calibrated_classifiers_"):
            estimator, *line = _calibration_line(model)
            self._lines.append(line)
            return self._descend(estimator)
        if hasattr(model, "_additive"):
            return model
        if hasattr(model, "thresholds_") and self.tuner is None:
            self.tuner = model
        for name in _INNER:
            inner = getattr(model, name, None)
            if hasattr(inner, "estimators"):  # of folds
                raise ValueError(
                    "`model` accepts one classifier; got those of several folds. Pass "
                    "refit=True to the tuner."
                )
            if inner is not None:
                return self._descend(inner)
        raise TypeError(
            "`model` accepts a fitted MaskedMultiLabelClassifier or "
            "MaskedMultiOutputClassifier, or a pipeline, search, calibrator or tuner "
            f"of one; got {type(model).__name__}."
        )

    @property
    def is_mapped(self) -> bool:
        """Whether a calibrator stands around the classifier."""
        return bool(self._lines)

    def positions(self, labels: Any) -> np.ndarray:
        """Return the positions of labels by name or position; None takes all."""
        if labels is None:
            return np.arange(len(self.names))
        names = self.classifier.label_names_
        positions = label_positions(labels, names, len(self.names))
        if not len(positions):
            raise ValueError("`labels` accepts names or positions of labels; got none.")
        return positions

    def read(self, X: MatrixLike, labels: Any) -> Any:
        """Return X as the classifier takes it, and the weights of some labels."""
        if X is not None:
            for head in self.heads:
                X = head.transform(X)
        X, parts = self.classifier._additive(X, labels)
        model = AdditiveModel(**parts)
        for slope, intercept in reversed(self._lines):
            model = model.with_line(slope[labels], intercept[labels])
        return X, model

    def feature_names(self, n_features: int) -> np.ndarray:
        """Return the names of the features, as an object array of str."""
        names = self._feature_names
        if names is None:
            names = self._found_names(n_features)
        names = np.array([str(name) for name in names], dtype=object)
        if len(names) != n_features:
            raise ValueError(
                f"`feature_names` accepts a name per feature of the classifier, "
                f"{n_features}; got {len(names)}."
            )
        return names

    def _found_names(self, n_features):
        """Return the names that the steps or the classifier have, or "x0" and so on."""
        classifier = self.classifier
        for name in ("feature_names_in_", "_feature_columns"):
            if getattr(classifier, name, None) is not None:
                return getattr(classifier, name)
        if self.heads and hasattr(self.heads[-1], "get_feature_names_out"):
            try:
                return self.heads[-1].get_feature_names_out()
            except (AttributeError, ValueError):
                # A step, such as a FunctionTransformer, has none to give.
                pass
        return [f"x{i}" for i in range(n_features)]


def _calibration_line(model):
    """Return the estimator in a calibrator, and the line of its logits per label."""
    pairs = model.calibrated_classifiers_
    if len(pairs) > 1:
        raise ValueError(
            "`model` accepts a calibrator of one estimator, whose logits are sums; got "
            f"the mean of {len(pairs)} estimators. Fit it with ensemble=False."
        )
    maps = pairs[0].calibrators
    lines = [each.line() if hasattr(each, "line") else None for each in maps]
    if None in lines:
        raise ValueError(
            "`model` accepts a calibrator whose maps are linear in logits, "
            "method='sigmoid' or 'temperature' of decision values; got "
            f"{type(maps[lines.index(None)]).__name__}."
        )
    slope, intercept = np.array(lines, dtype=float).T
    return pairs[0].estimator, slope, intercept + model.prior_shift_
