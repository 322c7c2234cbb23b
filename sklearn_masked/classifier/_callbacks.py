"""skorch's epoch scoring, of the labeled cells of the epoch's rows."""

import functools
import inspect

from sklearn.metrics import check_scoring
from skorch.callbacks import Callback, EpochScoring

from ..labels import MaskedLabels


class CellEpochScoring(EpochScoring):
    """:class:`skorch.callbacks.EpochScoring` of the labeled cells of the epoch's rows.

    A scorer, a scorer's name and None judge the estimator as it is after the epoch,
    any other function is called with the net, whose `predict`, `predict_proba` and
    `decision_function` are the estimator's. Both get rows of X and their labels,
    `MaskedLabels` or for a 1-D y the values of its labeled rows. Without rows that
    were set aside there is nothing to score, unless `on_train` is set.
    """

    # Predictions are the estimator's own: nothing is gathered batch by batch.
    on_batch_end = Callback.on_batch_end

    def initialize(self):
        """Start without a score, and without predictions that are kept."""
        self.use_caching = False
        return super().initialize()

    def _get_name(self):
        scoring = self.scoring_
        if isinstance(scoring, functools.partial):
            scoring = scoring.func
        score_func = getattr(scoring, "_score_func", scoring)
        named = self.name is None and hasattr(score_func, "__name__")
        return score_func.__name__ if named else super()._get_name()

    def get_test_data(self, dataset_train, dataset_valid, use_caching):
        """Return the dataset to score; its rows and cells are taken from it later."""
        return (dataset_train if self.on_train else dataset_valid), None, []

    def _scoring(self, net, X_test, y_test):
        estimator = net.owner
        X, y = _rows_and_labels(X_test, estimator)
        if inspect.isroutine(self.scoring_):
            return self.scoring_(_Predicting(net), X, y)
        return check_scoring(estimator, self.scoring_)(estimator, X, y)


class _Predicting:
    """The net, as a scoring function sees it: it predicts as its estimator does."""

    def __init__(self, net):
        self._net = net

    def __getattr__(self, name):
        predicts = name in ("decision_function", "predict", "predict_proba")
        return getattr(self._net.owner if predicts else self._net, name)


def _rows_and_labels(dataset, estimator):
    """Return the rows of a dataset and their labels, as a scorer takes them."""
    rows, targets = dataset.rows, dataset.targets.labeled
    labels = MaskedLabels(
        targets.indptr,
        targets.indices,
        targets.values,
        (len(targets), targets.n_labels),
        fill=targets.fill,
        weights=targets.weights,
        soft=targets.soft,
        label_names=estimator.label_names_,
    )[rows]
    if estimator._one_dimensional:
        labels = estimator.classes_[labels.cells().values]
    return dataset.X[rows], labels
