"""The model of a loop: what fits it, how it is kept, how it is read again."""

import json
import warnings
from numbers import Integral

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.pipeline import make_pipeline

from ..._files import free_path, read_json, write_atomically
from ..._rows import take_rows
from ...exceptions import (
    AssumedBaseRateWarning,
    ModelNotSavedWarning,
    OneClassLabelWarning,
    OneSidedLabelsWarning,
    RareLabelWarning,
    UnlabeledLabelWarning,
    UnreadableModelWarning,
)
from ...model_selection import MaskedStratifiedKFold, cross_val_predict
from ...model_selection.fitting import explain_labels
from .._cold_start import query_directions
from .._selection_weights import weights_explained
from ._score import Thinned

# Of course most labels have too few cells at first: the report counts them.
_EXPECTED = (
    AssumedBaseRateWarning,
    OneClassLabelWarning,
    OneSidedLabelsWarning,
    RareLabelWarning,
    UndefinedMetricWarning,
    UnlabeledLabelWarning,
)


class Fitted:
    """A fitted model, and what predicts the pool with it at the least cost."""

    def __init__(self, model, predictor, rows):
        self.model, self.predictor, self.rows = model, predictor, rows


def default_or_clone(estimator, X, texts, labels, seeds, seed):
    """Return what to fit, and on which rows: the default model where none was given.

    Seeds, as `read_seeds` returns them, describe the labels to the default model.
    """
    if estimator is not None:
        return clone(estimator), X
    from ...classifier import MaskedMultiLabelClassifier

    features = None
    if seeds is not None:
        features = query_directions(seeds[1], labels, np.shape(seeds[0])[1])
    classifier = MaskedMultiLabelClassifier(label_features=features, random_state=seed)
    return classifier, X if texts is None else texts.read()[1]


def fit_model(estimator, X, texts, labels, seeds, seed):
    """Return a fitted model, which takes rows like those of X."""
    _check_labeled(labels, "fit()")
    to_fit, rows = default_or_clone(estimator, X, texts, labels, seeds, seed)
    with (
        warnings.catch_warnings(),
        weights_explained(labels),
        explain_labels(to_fit, labels),
    ):
        ignore_expected()
        to_fit.fit(rows, labels)
    if estimator is None and texts is not None:
        # The texts were read once for all fits.
        return Fitted(make_pipeline(texts.read()[0], to_fit), to_fit, rows)
    return Fitted(to_fit, to_fit, X)


def fit_decisions(estimator, X, texts, labels, seeds, cv, seed, params):
    """Return a model with thresholds tuned by label, which takes rows like X's."""
    from ...thresholds import MaskedTunedThresholdClassifierCV

    _check_labeled(labels, "fit_decisions()")
    to_fit, rows = default_or_clone(estimator, X, texts, labels, seeds, seed)
    tuned = MaskedTunedThresholdClassifierCV(
        to_fit, **{"scoring": "fbeta", "cv": cv, "random_state": seed, **params}
    )
    with warnings.catch_warnings(), weights_explained(labels):
        ignore_expected()
        tuned.fit(rows, labels)
    if estimator is None and texts is not None:
        return make_pipeline(texts.read()[0], tuned)
    return tuned


def held_out_proba(estimator, X, texts, labels, seeds, cv, seed, share=1.0):
    """Return a probability a labeled cell, by models that did not see its row.

    With a `share` below 1, they see as much of the cells of the other folds. Rows
    without a labeled cell take no part: they would cost time, and leave some training
    folds without a cell.
    """
    _check_labeled(labels, "Cross-validation")
    to_fit, X = default_or_clone(estimator, X, texts, labels, seeds, seed)
    rows = np.flatnonzero(np.diff(labels.indptr))
    labels = labels[rows]
    if isinstance(cv, Integral):
        cv = MaskedStratifiedKFold(int(cv), shuffle=True, random_state=seed)
    if share < 1:
        to_fit = Thinned(to_fit, share, seed)
    with warnings.catch_warnings(), weights_explained(labels):
        ignore_expected()
        proba = cross_val_predict(
            to_fit, take_rows(X, rows), labels, cv=cv, method="predict_proba"
        )
    cells = labels.cells()
    return np.asarray(proba)[cells.rows, cells.cols]


def _check_labeled(labels, what):
    if not labels.n_cells:
        raise ValueError(
            f"{what} needs one labeled cell or more; all are unlabeled so far."
        )


def ignore_expected():
    """Show no warnings about labels that have too few cells yet."""
    for expected in _EXPECTED:
        warnings.simplefilter("ignore", expected)


def save_model(folder, model, n_entries):
    """Write a model to a folder, and how many entries of the log it has seen."""
    text = json.dumps({"n_entries": n_entries}).encode()
    try:
        write_atomically(folder / "model.joblib", lambda file: joblib.dump(model, file))
        write_atomically(folder / "model.json", lambda file: file.write(text))
    except Exception as error:  # what cannot be pickled may raise anything
        warnings.warn(
            f"The model could not be saved in {folder} ({error}): it serves this "
            "process, and is gone with it. The answers are safe; fit() again saves "
            "the model once that is mended.",
            ModelNotSavedWarning,
            stacklevel=3,
        )


def fitted_at(folder):
    """Return how many entries of the log the model of a folder has seen, or None."""
    if not (folder / "model.joblib").exists():
        return None
    # A crash between the two files leaves a model that has seen nobody knows what.
    return (read_json(folder / "model.json") or {"n_entries": 0})["n_entries"]


def load_model(folder, X):
    """Return the model of a folder; None if there is none, or none that can be read."""
    path = folder / "model.joblib"
    if not path.exists():
        return None
    try:
        model = joblib.load(path)
    except Exception as error:  # a pickle may raise anything
        aside = path.rename(free_path(path.with_name("model.unreadable.joblib")))
        warnings.warn(
            f"The model in {folder} cannot be read ({error}), and is set aside as "
            f"{aside.name}; fit() makes another. The answers are whole.",
            UnreadableModelWarning,
            stacklevel=4,
        )
        return None
    return Fitted(model, model, X)
