"""Checks of y as a whole: its form, its classes, its coverage."""

import warnings
from typing import NamedTuple

import numpy as np

from .exceptions import (
    ImplicitNegativesWarning,
    OneSidedLabelsWarning,
    UnlabeledLabelWarning,
)
from .labels import MaskedLabels, check_binary_labels, check_labels
from .labels.names import check_same_columns, check_same_names


class EncodedTarget(NamedTuple):
    """A `y` as its labels, and how it came."""

    labels: MaskedLabels
    classes: np.ndarray | None  # the two values of a 1-D y; None for 2-D
    raw: bool  # whether y came as something other than MaskedLabels


def encode_target(y, n_samples, classes=None, *, accept_soft=False):
    """Return y, of any accepted form, as an `EncodedTarget` of `n_samples` rows.

    `classes` are the two values of a 1-D y that need not hold both.
    """
    if is_binary(y):
        labels, classes = _encode_binary(y, classes)
        target = EncodedTarget(labels, classes, True)
    else:
        labels = check_labels(y, accept_soft=accept_soft)
        target = EncodedTarget(labels, None, not isinstance(y, MaskedLabels))
    if len(target.labels) != n_samples:
        hint = ""
        if n_samples == 1:
            hint = (
                " If a text vectorizer made the row of a data frame, it has read the "
                "names of its columns: pass one column, as frame['text']."
            )
        raise ValueError(
            "`X` and `y` must have the same number of rows (inconsistent numbers of "
            f"samples); got {n_samples} and {len(target.labels)}.{hint}"
        )
    return target


def is_binary(y):
    """Return whether y is 1-D: a binary problem rather than a label matrix."""
    if isinstance(y, MaskedLabels):
        return False
    if len(getattr(y, "shape", ())) == 2:
        return False
    if not hasattr(y, "ndim"):
        y = np.asarray(y, dtype=object)
    if y.ndim != 1:
        return False
    # An object array of row views is a label matrix that went through numpy, and one
    # of lists a label matrix whose rows are not equally long.
    first = next(iter(y), None) if y.dtype == object else None
    return not (hasattr(first, "label_names") or isinstance(first, list | tuple))


def _encode_binary(y, classes):
    labels, found = check_binary_labels(y)
    if classes is None:
        return labels, found
    classes = np.unique(np.asarray(classes))
    if len(classes) != 2:
        raise ValueError(
            "`classes` accepts the two values of a 1-D `y`. Only binary "
            f"classification is supported. Got {len(classes)} classes."
        )
    other = [value for value in found if value not in classes]
    if other:
        value = other[0].item() if isinstance(other[0], np.generic) else other[0]
        raise ValueError(
            f"`y` accepts the two classes {classes.tolist()} that the model knows; got "
            f"{value!r}."
        )
    return recode(labels, found, classes), classes


def recode(labels, found, classes):
    """Return 1-column labels whose 1 means `classes[1]`, from those of `found`."""
    if len(found) == 2 or not len(found):
        return labels
    values = np.full(len(labels), np.nan)
    values[labels.cells().rows] = float(found[0] == classes[1])
    return check_labels(values[:, None])


def check_learnable(
    target, n_positive, n_negative, *, weak_negatives=False, stacklevel=4
):
    """Raise or warn for a y that cannot be learnt from as a whole.

    A raw y needs a 0 somewhere, unless unlabeled cells count as `weak_negatives`.
    """
    _warn_implicit_negatives(target, stacklevel + 1)
    positive, negative = n_positive.sum() > 0, n_negative.sum() > 0
    if not (positive or negative):
        raise ValueError(
            "`y` must have a labeled cell of a weight above zero; got none in "
            f"{target.labels.shape[0]} x {target.labels.shape[1]} cells."
        )
    if (positive and negative) or weak_negatives:
        return
    if target.classes is not None:
        raise ValueError(
            "`y` must hold two classes among its rows of a weight above zero; got "
            "one class."
        )
    if target.raw and not negative:
        raise ValueError(
            "`y` has no 0 anywhere: every labeled cell is positive, and -1 or NaN "
            "means unlabeled. If -1 is the negative, pass `(y == 1).astype(float)`; "
            "if there really is no negative yet, pass MaskedLabels.from_dense(y)."
        )
    warnings.warn(
        f"Every labeled cell of `y` is {'positive' if positive else 'negative'}: "
        "nothing tells one example from another.",
        OneSidedLabelsWarning,
        stacklevel=stacklevel,
    )


def _warn_implicit_negatives(target, stacklevel):
    labels = target.labels
    # Of the raw forms only sparse ones leave negatives unstored.
    if not target.raw or labels.fill != "negative" or (labels.values != 1).any():
        return
    share = (labels.indptr[1:] == labels.indptr[:-1]).mean()
    # Where all is decided most rows have a positive, however many labels there are.
    if share > 0.5:
        warnings.warn(
            f"`y` is sparse and stores positives alone, none in {share:.0%} of its "
            "rows: each cell that is not stored is read as negative. If it is "
            'unlabeled, pass MaskedLabels.from_sparse(y, implicit="unlabeled"); if it '
            'is negative, implicit="negative" says so.',
            ImplicitNegativesWarning,
            stacklevel=stacklevel,
        )


def warn_unlabeled_labels(has_cells, label_names, *, stacklevel=4):
    """Warn, once, of the labels that have no labeled cell, with at most ten names."""
    if has_cells.all():
        return
    warnings.warn(
        f"No cell is labeled of label {shown_labels(~has_cells, label_names)}: the "
        "pooled rate of positives is predicted there.",
        UnlabeledLabelWarning,
        stacklevel=stacklevel,
    )


def shown_labels(which, label_names):
    """Return the names of the labels where `which` is True, at most ten of them."""
    positions = np.flatnonzero(which)
    names = positions if label_names is None else np.asarray(label_names)[positions]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(str(name) for name in names[:10]) + more


def check_y_given(estimator, y):
    """Raise if y is None, in the words that scikit-learn's own checks look for."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but "
            "the target y is None."
        )


def check_same_labels(target, fitted, sample_weight=None):
    """Raise unless a target has the labels that an estimator was fitted with."""
    one_dimensional = target.classes is not None
    if one_dimensional != fitted._one_dimensional:
        got, known = (1, 2) if one_dimensional else (2, 1)
        raise ValueError(
            "`y` must have the same number of dimensions in every call; got "
            f"{got} and the model was fitted with {known}."
        )
    names = fitted.label_names_
    check_fitted_labels(target.labels, fitted.n_labels_, names)
    check_same_columns(sample_weight, names, "sample_weight", "the fitted model")


def check_fitted_labels(labels, n_labels, label_names):
    """Raise unless labels are the ones, by number and name, of a fitted model."""
    if labels.n_labels != n_labels:
        raise ValueError(
            f"`y` must have the {n_labels} labels that the model was fitted with; got "
            f"{labels.n_labels}."
        )
    check_same_names(labels.label_names, label_names, "y", "the fitted model")
