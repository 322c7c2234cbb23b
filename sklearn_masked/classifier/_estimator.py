"""The estimator: from X and a half-empty label matrix to probabilities."""

import os
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._base import MaskedClassifierMixin
from .._fitted import take_over
from .._rows import count_rows
from .._targets import (
    check_learnable,
    check_same_labels,
    check_y_given,
    encode_target,
    is_binary,
    warn_unlabeled_labels,
)
from .._typing import LabelsLike, MatrixLike, RandomState, Weights
from ..labels.names import check_same_rows, row_names
from ..nn._batches import in_form
from . import _data, _fit, _persistence
from ._label_prior import (
    labels_without_cells,
    make_prior,
    rated_labels,
    warn_assumed_rate,
)
from ._new_labels import admit_new_labels
from ._prediction import PredictionMixin
from ._solvers import is_net_param, refuse_instances


class MaskedMultiLabelClassifier(PredictionMixin, MaskedClassifierMixin, BaseEstimator):
    """A multi-label classifier that learns from the labeled cells alone.

    The default model is an embedding-bag network. A *direct* path has a weight for
    each (feature, label) pair that labeled cells touch; a *shared* path embeds the row,
    starting from the singular vectors of all rows of X, unlabeled ones too, and gives
    each label a vector there; where it helps, a *quadratic* path adds products of
    pairs of the embedding's dimensions. They are trained with the masked binary cross
    entropy and a squared penalty, by dual coordinate ascent: there is no learning rate,
    and a few epochs are enough.

    The parameters are, in their order:

    - of the default model: `embedding_dim`, `shared_weight`, `label_correlation`,
      `interactions`; of its features: `idf_power`, `std_power`, `feature_blocks`;
    - of its penalty and the scale of its output: `C`, `calibrate`;
    - what is known of labels without cells: `label_features`, `base_rates`;
    - another model or loss: `module`, `criterion`;
    - weights of cells in the loss: `reduction`, `pos_weight`, `label_weight`,
      `unlabeled_weight`, `label_smoothing`;
    - the training: `optimizer`, `lr`, `max_epochs`, `batch_size`; when it ends early:
      `early_stopping`, `validation_fraction`, `n_iter_no_change`, `tol`; and how it
      goes on: `warm_start`;
    - the run: `callbacks`, `device`, `random_state`, `verbose`, `net_params`.

    Parameters
    ----------
    embedding_dim : int, default=100
        Width of the shared path; where `interactions` are above 0, twice of it. Width
        of the embedding of the classic model.
    shared_weight : float or "auto", default="auto"
        Weight of the shared path beside the direct one; 0 leaves it out: with
        ``label_correlation=0`` and ``interactions=0``, separate models. A larger weight
        helps labels with few labeled cells; where single words tell a label, a smaller
        one. "auto": see `C`.
    label_correlation : float or "auto", default="auto"
        The share of the weights' variance that all labels have in common, from 0,
        which keeps labels apart, to 1; where it is above 0, the number of features
        of a row of a sparse X counts too. It helps where labels go together, as toxic
        effects of molecules do, and harms where they exclude each other, as topics do.
        "auto" is 0.4 as far as the cells show that labels' weights correlate by more
        than 0.1, and that left-out positives do not rank lower with it; 0 where that
        leaves less than 0.1. `partial_fit` takes 0, and so do more than 256 labels.
    interactions : float or "auto", default="auto"
        The share of a row's squared length, from 0 to below 1, that products of pairs
        of its embedding's dimensions have instead of its features: the logits become
        a polynomial of degree 2. It helps where features mean something only together,
        as in fingerprints of molecules, images and most arrays; texts rarely need it.
        "auto" is 0.5 for an array or a dense block of features, and for a sparse X, or
        block, whose stored values are all equal, as those of fingerprints are, with at
        most 2 ** 20 (feature, label)
        pairs and 1,000 labeled cells or more; else 0. It is 0 where the number of
        weights,
        ``n_labels * min(2 * embedding_dim, n_features) ** 2``, is above 2 ** 24.
    idf_power : float or "auto", default="auto"
        Power of its inverse document frequency by which each column of a sparse X is
        scaled on the direct path, beside what a vectorizer did. "auto": see `C`.
    std_power : float or None, default=1.0
        For X that is an array: its columns are centered, standardized for the shared
        path, and divided by this power of their standard deviation on the direct path;
        None takes them as they are. A sparse X is never centered.
    feature_blocks : mapping, "auto" or None, default="auto"
        Blocks of columns of X, taken as sparse, that are of different kinds, such as
        words beside sentence embeddings: ``{name: columns}``, a slice or an array
        of positions or booleans, each column once, as `output_indices_` of a
        :class:`~sklearn.compose.ColumnTransformer` has them. Each block has its own
        scales, dimensions of the embedding and, if it is dense or of bits,
        interactions. Its share of a row's squared length is at first such that inner
        products of two rows vary alike in each block; `fit` without a label correlation
        takes a mean over five multiples of it, weighted as the candidates of `C` are.
        "auto" takes columns of a sparse X that are stored in at least nine of ten rows
        and have values of both signs as one block, the others as another; None takes X
        as one.
    C : float or "auto", default="auto"
        Inverse strength of the penalty on the weights, as in
        :class:`sklearn.linear_model.LogisticRegression`; must be above 0. Rows are
        scaled to length 1 in the quadratic mean first. "auto" is relative to the mean
        weight of the labeled cells, so that a factor on all weights changes nothing,
        and, as `idf_power` and `shared_weight`, a mean over six candidates: of a sparse
        X without interactions (but for those of blocks) or a label correlation, by how
        their models rank left-out positives among negatives and rows whose label is
        unknown. Where fewer than three labels have five cells of each class, for other
        X, in `partial_fit` and with an optimizer, they are 5, 0.5 and 0.3.
    calibrate : bool, default=True
        Whether to turn logits into log-odds by a line per label (Platt scaling, pooled
        over labels where cells are few), fitted to the logits of held-out cells. It
        makes the scores of different labels comparable and does not change their order
        within a label.
    label_features : {array-like, sparse matrix} of shape (n_labels, n_features), \
default=None
        What each label means, as a row in the space of X: the words that describe it,
        passed through the vectorizer of the texts. They become the prior mean of the
        label's weights; how much they count is learned from held-out cells, so that
        wrong ones fade. A row of zeros says nothing. `fit` then needs no labeled cell.
        Rows of a DataFrame must have the names of the labels, in the order of y.
    base_rates : float or array-like of shape (n_labels,), default=None
        The share of rows that are positive for each label, between 0 and 1: the mean
        probability over the rows of X at which a label without any labeled cell is
        predicted. Labels with cells take theirs from the cells. None assumes, with a
        warning where the label is described, the pooled rate of positives, or
        ``1 / n_labels`` where no cell at all is labeled.
    module : "embedding_bag", type or torch.nn.Module, default=None
        "embedding_bag" is the classic model: the sum of the embeddings of a row's
        features, weighted by the values of X, then a linear layer, trained end to end
        by an optimizer (:class:`~sklearn_masked.nn.EmbeddingBagModule`;
        ``module__mode="mean"`` divides the sum by that of the absolute values).
        For a sparse X :class:`~sklearn_masked.nn.LazyAdam` is faster than Adam. Or a
        :class:`torch.nn.Module` class of your own, called with `n_features` and
        `n_labels` (those that its signature names) and the `module__*` parameters; or
        an instance, a pretrained one for example: each `fit` trains a copy of it.
        Its `forward` takes the batch of X as a float32 tensor, or, for sparse X,
        `indices`, `offsets` and `weights` as :func:`torch.nn.functional.embedding_bag`
        takes them, and returns raw logits of shape (batch, n_labels).
    criterion : type or torch.nn.Module, default=None
        A loss class, or an instance, of which each `fit` takes a copy;
        :class:`~sklearn_masked.nn.MaskedBCEWithLogitsLoss` if None.
        Called with logits and targets, NaN in unlabeled cells (and weights, where
        there are any).
    reduction : {"cell", "label", "sample"}, default="cell"
        Whether each labeled cell, each label or each row weighs the same.
    pos_weight : "balanced", float or array-like of shape (n_labels,), default=None
        Factor on the loss of positive cells; "balanced" lets the positives of a
        label weigh as much as its negatives, counted on labeled cells.
    label_weight : array-like of shape (n_labels,), default=None
        Weight of each label in the loss.
    unlabeled_weight : float or "auto", default=0.0
        Weight at which the unlabeled cells of rows that have a labeled cell count as
        negatives: for rare labels whose positives were sought, 0.01 to 0.1. Dual
        coordinate ascent sees a random sample of them, three for each labeled cell
        and at least 10,000, with the weight of all; an optimizer sees all. "auto" is
        0.03 where the labeled cells show that they were sought, by ranking far above
        unlabeled ones of the same label in models that have not seen them, else 0;
        `partial_fit` does not ask.
    label_smoothing : float, default=0.0
        From 0 to below 1; targets 1 and 0 become ``1 - label_smoothing / 2`` and
        ``label_smoothing / 2``.
    optimizer : type, default=None
        A :class:`torch.optim.Optimizer` class. None stands for dual coordinate ascent
        where `module` and `criterion` are None, else for :class:`torch.optim.Adam`:
        also, with a warning, where y stores the positives of a mostly negative matrix
        of more than 2 ** 22 labeled cells.
    lr : float or "auto", default="auto"
        Learning rate of an optimizer; "auto" is 0.03 for the classic model and 0.01
        elsewhere.
    max_epochs : int or "auto", default="auto"
        Passes over the rows that have a labeled cell, at most; "auto" is 100 for dual
        coordinate ascent, and for an optimizer 5, or the number that makes 100 steps.
        Dual coordinate ascent ends where it leaves a duality gap of about 0.001 nats
        per cell or less: after two epochs if a batch holds all rows, else after 8, or
        100 steps, or later, unless rows are set aside by `early_stopping`.
    batch_size : int or "auto", default="auto"
        Rows per step; -1 takes all at once. "auto" takes a twentieth of the rows for an
        optimizer, from 32 to 512 (all for L-BFGS). For dual coordinate ascent it takes
        all rows if no label has over 192 cells, their embedding fits in 256 MB and
        `early_stopping` sets none aside, else up to 1,024: some 32 cells of a label.
    early_stopping : bool, default=False
        Whether `fit` sets rows aside, stops when their loss no longer falls and goes
        back to the best epoch. `net_params` may name rows of your own instead.
    validation_fraction : float, default=0.1
        Share of the labeled rows that early stopping sets aside.
    n_iter_no_change : int, default=5
        Epochs without improvement after which early stopping ends the training.
    tol : float, default=1e-4
        What counts as improvement, in nats.
    warm_start : bool, default=False
        Whether `fit` goes on from the model as it is, drawn towards it rather than
        towards 0, instead of starting anew.
    checkpoint : str or path, default=None
        Folder where `fit` writes the state of dual coordinate ascent after each epoch,
        a file as large as the weights. After a kill the same call prepares the data
        again and goes on from there, to the same model; `random_state` must be an int.
        A finished fit deletes the file.
    callbacks : list of skorch callbacks, "disable" or None, default=None
        They are copied before use; what holds an open file writes to the same one.
        :class:`skorch.callbacks.EpochScoring` takes the scorers of
        :mod:`sklearn_masked.metrics`, or a function called with the net, rows of X and
        their labels.
    device : str, default="auto"
        A torch device; "auto" takes CUDA where there is one.
    random_state : int, RandomState instance or None, default=None
        Of the batches and the embedding. An int makes two fits on a CPU identical to
        the bit.
    verbose : int, default=0
        Above 0, a line an epoch.
    net_params : dict, default=None
        Further parameters of :class:`skorch.NeuralNet`. `set_params` also takes
        `optimizer__*`, `module__*`, `criterion__*`, `iterator_train__*` and
        `callbacks__*` by name and keeps them here. A `train_split` sets validation
        rows aside, or brings rows of your own:
        ``skorch.helper.predefined_split(skorch.dataset.Dataset(X_valid, y_valid))``.

    Attributes
    ----------
    classes_ : array
        For 2-D y the positions of the labels, as objects; for 1-D y its two values.
    n_labels_ : int
        Number of labels.
    label_names_ : array of shape (n_labels,) or None
        Names of the labels, where y had them.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Names of the features, where X had them.
    n_iter_ : int
        Number of epochs run, over all calls.
    auto_params_ : dict
        The value in use of each parameter that can be "auto" and that the solver
        reads, of the last call: `label_correlation`, `interactions`, `feature_blocks`,
        `C`, `lr`, `max_epochs`, `batch_size`, `device`.
        ``set_params(**auto_params_)`` fixes them.
    label_features_coef_ : array of shape (2,)
        With `label_features`: how many log-odds a standard deviation of each of the two
        scores of a label counts, that of the features and that of the embedding.
    feature_block_shares_ : dict
        The share of each block of features in a row's squared length; only where there
        are several blocks.
    C_ : float
        The inverse strength of the penalty, with dual coordinate ascent.
    net_ : skorch.NeuralNet
        The net; `net_.module_` is the torch module.
    history_ : list of dict
        An entry an epoch: losses in nats, times in seconds.

    See Also
    --------
    MaskedMultiOutputClassifier : One scikit-learn classifier per label, same interface.
    sklearn_masked.metrics.masked_roc_auc_scorer : For searches and cross-validation.

    Notes
    -----
    A value that is not the default and that the solver in use does not read raises:
    `C`, `label_correlation`, `interactions` and `calibrate` are read by dual coordinate
    ascent alone, `lr` and `optimizer__*` by an optimizer alone; of those that shape the
    default model, the classic model reads `embedding_dim`. A search over both is a
    list of grids: ``[{"C": [0.5, 5]}, {"optimizer": [Adam], "lr": [0.01, 0.1]}]``.

    `partial_fit` and `warm_start` draw the weights towards the model as it is; the
    embedding, `shared_weight`, `label_correlation`, `interactions`, the C of "auto",
    the blocks of features and their scaling stay those of the first call. A label's
    base rate moves by what is new against all cells that it has seen. The output lines
    of `calibrate` are fitted to the cells of a call before it learns from them; where
    most of them have been seen by earlier calls, they follow the growth of the logits
    instead.

    Predictions in other threads during a fit are those of the model before it. Fits in
    several threads at once are those of one thread; with a `module`, `criterion` or
    `optimizer` they run one after another, since such classes draw from torch's global
    generators, which are seeded for the time of the fit and then restored.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_masked import MaskedMultiLabelClassifier
    >>> texts = ["troops cross the border", "the striker scores twice",
    ...          "shelling near the border", "the keeper saves a penalty"]
    >>> war, sport, unknown = 0, 1, np.nan
    >>> y = np.array([[1, unknown], [unknown, 1], [1, 0], [0, unknown]])
    >>> clf = make_pipeline(TfidfVectorizer(),
    ...                     MaskedMultiLabelClassifier(random_state=0))
    >>> proba = clf.fit(texts, y).predict_proba(["shelling at the border"])
    >>> proba.shape, bool(proba[0, war] > proba[0, sport])
    ((1, 2), True)
    """

    _parameter_constraints = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "shared_weight": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "label_correlation": [
            Interval(Real, 0, 1, closed="both"),
            StrOptions({"auto"}),
        ],
        "interactions": [
            Interval(Real, 0, 1, closed="left"),
            StrOptions({"auto"}),
        ],
        "idf_power": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "std_power": [None, Interval(Real, 0, None, closed="left")],
        "feature_blocks": [None, StrOptions({"auto"}), Mapping],
        "C": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "calibrate": ["boolean"],
        "label_features": [None, "array-like", "sparse matrix"],
        "base_rates": [None, Interval(Real, 0, 1, closed="neither"), "array-like"],
        "module": [None, callable, StrOptions({"embedding_bag"})],
        "criterion": [None, callable],
        "reduction": [StrOptions({"cell", "label", "sample"})],
        "pos_weight": [None, StrOptions({"balanced"}), Real, "array-like"],
        "label_weight": [None, "array-like"],
        "unlabeled_weight": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [None, callable],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            Options(Integral, {-1}),
            StrOptions({"auto"}),
        ],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [None, str, os.PathLike],
        "callbacks": [None, list, StrOptions({"disable"})],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "net_params": [None, dict],
    }

    def __init__(
        self,
        embedding_dim: int = 100,
        *,
        shared_weight: float | Literal["auto"] = "auto",
        label_correlation: float | Literal["auto"] = "auto",
        interactions: float | Literal["auto"] = "auto",
        idf_power: float | Literal["auto"] = "auto",
        std_power: float | None = 1.0,
        feature_blocks: Literal["auto"] | Mapping[str, Any] | None = "auto",
        C: float | Literal["auto"] = "auto",
        calibrate: bool = True,
        label_features: MatrixLike = None,
        base_rates: float | ArrayLike | None = None,
        module: Literal["embedding_bag"] | type | torch.nn.Module | None = None,
        criterion: type | torch.nn.Module | None = None,
        reduction: Literal["cell", "label", "sample"] = "cell",
        pos_weight: Literal["balanced"] | float | ArrayLike | None = None,
        label_weight: ArrayLike | None = None,
        unlabeled_weight: float | Literal["auto"] = 0.0,
        label_smoothing: float = 0.0,
        optimizer: type | None = None,
        lr: float | Literal["auto"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        tol: float = 1e-4,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        callbacks: Any = None,
        device: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
        net_params: dict[str, Any] | None = None,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.shared_weight = shared_weight
        self.label_correlation = label_correlation
        self.interactions = interactions
        self.idf_power = idf_power
        self.std_power = std_power
        self.feature_blocks = feature_blocks
        self.C = C
        self.calibrate = calibrate
        self.label_features = label_features
        self.base_rates = base_rates
        self.module = module
        self.criterion = criterion
        self.reduction = reduction
        self.pos_weight = pos_weight
        self.label_weight = label_weight
        self.unlabeled_weight = unlabeled_weight
        self.label_smoothing = label_smoothing
        self.optimizer = optimizer
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; with `deep`, those in `net_params` by prefix too."""
        params = super().get_params(deep=deep)
        if deep:
            # Checked when fitting, as every parameter is: here it may be anything.
            stored = self.net_params if isinstance(self.net_params, dict) else {}
            params.update({k: v for k, v in stored.items() if is_net_param(k)})
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; `optimizer__*` and their like are kept in `net_params`."""
        ours = {k: v for k, v in params.items() if not is_net_param(k)}
        super().set_params(**ours)
        if len(ours) < len(params):
            theirs = {k: v for k, v in params.items() if k not in ours}
            self.net_params = {**(self.net_params or {}), **theirs}
        return self

    def fit(self, X: MatrixLike, y: LabelsLike, sample_weight: Weights = None) -> Self:
        """Train on the labeled cells of y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Taken as float32, sparse as CSR. With a `module` of your own also an
            array of shape (n_samples, ...).
        y : MaskedLabels, array-like or sparse matrix of shape (n_samples, n_labels)
            Any form that :func:`sklearn_masked.check_labels` takes; or 1-D, a binary
            problem. Rows without a labeled cell cost nothing. A cell of soft
            MaskedLabels, of value v and weight w, has the loss of a positive of weight
            w * v and a negative of weight w * (1 - v). With `label_features` y may be
            without any labeled cell, or None.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), \
default=None
            Weight of each row or cell, beside the weights that y carries.

        Returns
        -------
        self : object
            The fitted estimator. If this call fails, it is what it was before.

        Raises
        ------
        ValueError
            If X or y cannot be read, no cell is labeled, a raw y has no 0 anywhere,
            a parameter is set that the solver does not read, or the training diverges.

        Warns
        -----
        SolverFallbackWarning
            If the labels led to another solver than the parameters ask for.
        UnlabeledLabelWarning
            If a label has no labeled cell and nothing describes it; it predicts the
            pooled rate of positives.
        AssumedBaseRateWarning
            If a label that `label_features` describes has no labeled cell, and
            `base_rates` is None.
        InterruptedFitWarning
            If the fit was interrupted (Ctrl-C) after an epoch of training; what is
            finished is kept. Before that the KeyboardInterrupt is raised.
        sklearn.exceptions.ConvergenceWarning
            If dual coordinate ascent leaves a duality gap above 0.01 nats per cell.
        """
        refuse_instances(self)
        self._validate_params()
        warm = self.warm_start and hasattr(self, "net_")
        fitted = self._scratch(keep=warm)
        X, target, targets = fitted._validate(X, y, sample_weight, first=not warm)
        positive, negative = targets.totals()
        prior = fitted._label_prior
        # Where labels are described no cell is needed, but to know two classes.
        is_told = prior is not None and prior.describes and target.classes is None
        if positive.any() or negative.any() or not is_told:
            # With "auto" negatives must be labeled: they tell how cells were chosen.
            weak = self.unlabeled_weight not in (0, "auto")
            check_learnable(target, positive, negative, weak_negatives=weak)
        # Before the training: a warning that is made an error must leave all as it is.
        seen = fitted._n_positive + positive, fitted._n_negative + negative
        has_cells = np.add(*seen) > 0
        if prior is not None:
            warn_assumed_rate(prior, *seen, fitted.label_names_)
            has_cells = has_cells | rated_labels(prior, has_cells)
        warn_unlabeled_labels(has_cells, fitted.label_names_)
        _fit.fit(fitted, X, targets, first=not warm, whole=True)
        return self._adopt(fitted)

    def partial_fit(
        self,
        X: MatrixLike,
        y: LabelsLike,
        classes: ArrayLike | None = None,
        sample_weight: Weights = None,
    ) -> Self:
        """Go once through these rows, from the parameters as they are.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            More rows.
        y : as in `fit`
            Their labels. A batch may lack a class, or any labeled cell. The labels are
            those of the first call; new ones join if all have names, and the new names
            follow those that the model knows.
        classes : array-like, default=None
            For 1-D y, the two values; needed at the first call.
        sample_weight : array-like, default=None
            As in `fit`.

        Returns
        -------
        self : object
            The estimator. If this call fails, it is what it was before.
        """
        refuse_instances(self)
        self._validate_params()
        first = not hasattr(self, "net_")
        fitted = self._scratch(keep=not first)
        if first and classes is None and y is not None and is_binary(y):
            raise ValueError(
                "`classes` must name the two values of a 1-D `y` at the first call of "
                "partial_fit; got None."
            )
        X, _, targets = fitted._validate(
            X, y, sample_weight, first=first, classes=classes
        )
        _fit.fit(fitted, X, targets, first=first, whole=False)
        return self._adopt(fitted)

    def _scratch(self, keep):
        """Return an unfitted copy to work on; `keep` shares what was fitted."""
        scratch = type(self)(**self.get_params(deep=False))
        if keep:
            scratch.__dict__.update(_persistence.fitted_attributes(self))
        return scratch

    def _adopt(self, fitted):
        """Take over what was fitted, in the place of what was there."""
        old = _persistence.fitted_attributes(self)
        kept = {name: value for name, value in vars(self).items() if name not in old}
        return take_over(self, {**kept, **_persistence.fitted_attributes(fitted)})

    def _validate(self, X, y, sample_weight, *, first, classes=None):
        """Return float32 X, the target and the weight of each stored cell."""
        _data.refuse_dataset(X)
        if y is None and self.label_features is not None:
            features = self.label_features
            names = row_names(features)
            y = labels_without_cells(count_rows(X), np.shape(features)[0], names)
        check_y_given(self, y)
        check_same_rows(X=X, y=y, sample_weight=sample_weight)
        X = self._check_X(X, reset=first)
        known = classes if first else self._known_classes()
        if not first and known is not None and classes is not None:
            if sorted(classes) != known.tolist():
                raise ValueError(
                    f"`classes` must be those of the first call, {known.tolist()}; got "
                    f"{list(classes)}."
                )
        target = encode_target(y, X.shape[0], classes=known, accept_soft=True)
        joined = False
        if first:
            self._set_labels(target)
            has_blocks = isinstance(self.feature_blocks, Mapping) and not self.module
            X = in_form(X, True if has_blocks else None)
        else:
            joined = admit_new_labels(self, target)
            check_same_labels(target, self, sample_weight)
            X = in_form(X, getattr(self.net_.module_, "takes_sparse", None))
        is_told = self.label_features is not None or self.base_rates is not None
        self._label_prior = make_prior(self, X, first, joined) if is_told else None
        return X, target, _data.make_targets(target.labels, sample_weight)

    def _known_classes(self):
        return self.classes_ if self._one_dimensional else None

    def _set_labels(self, target):
        self._set_classes(target.labels, target.classes)
        self._n_positive = self._n_negative = np.zeros(self.n_labels_)
        self._has_rate = np.zeros(self.n_labels_, bool)

    def _has_cells(self):
        """Return which labels have had a labeled cell, or have a base rate instead."""
        return (self._n_positive + self._n_negative > 0) | self._has_rate

    @property
    def history_(self) -> Any:
        """History of the training: a row an epoch, as skorch keeps it."""
        check_is_fitted(self)
        return self.net_.history

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_versions": _persistence.versions()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        saved = state.pop("_versions", {})
        super().__setstate__(state)
        _persistence.warn_of_other_versions(saved)
        if "net_" in state:
            self.net_.move_to(_persistence.device_on_load(self.device))
