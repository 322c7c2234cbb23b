"""The model: a direct path from features to labels beside a path that is shared."""

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from .._batches import model_input
from .._sparse import embedding_bag
from ._blocks import BlockScales
from ._direct import DenseDirect, PairDirect
from ._quadratic import QuadraticPath
from ._scaling import feature_scales
from ._svd import singular_directions

_LARGEST = torch.finfo(torch.float32).max
# RMS of the row-length feature relative to the embedding, and its bound in standard
# deviations; the standard deviation is taken to be at least the last.
ROW_LENGTH = _COUNTS, _FARTHEST = 0.3, 4.0
_LEAST_STD = 0.1


class DirectSharedModule(nn.Module):
    r"""An embedding bag shared by all labels, beside a weight a (feature, label) pair.

    The logit of label :math:`l` for a row :math:`x` is
    :math:`a_l (w_l^\top D x + s\, u_l^\top z + q\, z^\top Q_l z + b_l) + c_l` where
    :math:`z` is the embedding bag :math:`E^\top x` scaled to length 1. Rows of an array
    are centered first, and standardized for the embedding. Where labels have a part of
    their weights in common, :math:`z` of a bag beside :math:`u_l` also tells how many
    features the row has.

    Parameters
    ----------
    n_features, n_labels : int
        Columns of X and of y.
    embedding_dim : int, default=100
        Width of the embedding.
    shared_weight : float, default=0.3
        :math:`s`, how much the shared path counts beside the direct one.
    direct : {"dense", "pairs", None}, default="dense"
        How the direct weights are kept; None leaves the path out.
    label_correlation : float, default=0.0
        The share of the weights' variance that all labels have in common.
    interactions : float, default=0.0
        :math:`q^2`, the share of a row's squared length that is for pairs of the
        embedding's dimensions; 0 leaves that path out.

    Attributes
    ----------
    embedding : parameter of shape (1 + n_kept, embedding_dim)
        :math:`E`, of the features that are not rare; its first row stays 0 and
        stands for the others.
    output : parameter of shape (n_labels, embedding_dim) or (n_labels, 1 + ...)
        :math:`u_l`; the last column is that of the number of features.
    common_weight : buffer of shape (n_features,), or (0,)
        What all labels have in common of :math:`w_l`, where only some pairs have
        weights; elsewhere it is in these.
    bias : parameter of shape (n_labels,)
        :math:`b_l`.
    quadratic : QuadraticPath or None
        :math:`Q_l`, its weight of shape (n_labels, embedding_dim, embedding_dim).
    feature_scale : buffer of shape (n_features,)
        The diagonal of :math:`D`.
    label_correlation : buffer of shape ()
        The share of the weights' variance that all labels have in common.
    interactions : buffer of shape ()
        :math:`q^2`.
    row_length_scale : buffer of shape (2,), or (0,)
        Mean and standard deviation of the logarithm of a row's features and one, where
        their number counts. `shared_weight` does not scale it.
    feature_shift, feature_std : buffers of shape (n_features,), or (0,)
        Mean and standard deviation of an array's columns; empty where X is taken as
        it is, as a CSR always is.
    feature_power : buffer of shape ()
        How much of the columns' inverse document frequency, or of one over their
        standard deviation, is in `feature_scale`.
    shared_weight : buffer of shape ()
        :math:`s`.
    slope, intercept : buffers of shape (n_labels,)
        :math:`a_l` and :math:`c_l`, the scale of the output.
    """

    # The kind of the embedding's gradient, as the bag has it: the net may change it.
    sparse_gradients = False

    def __init__(
        self,
        n_features,
        n_labels,
        embedding_dim=100,
        shared_weight=0.3,
        direct="dense",
        label_correlation=0.0,
        interactions=0.0,
    ):
        super().__init__()
        self.n_features, self.n_labels = n_features, n_labels
        paths = {"dense": DenseDirect, "pairs": PairDirect}
        self.direct = paths[direct](n_features, n_labels) if direct else None
        self.quadratic = None
        self.embedding = nn.Parameter(torch.zeros(1, embedding_dim))
        self.output = nn.Parameter(torch.zeros(n_labels, embedding_dim))
        self.bias = nn.Parameter(torch.zeros(n_labels))
        self.register_buffer(
            "embedding_row", torch.zeros(n_features, dtype=torch.int32)
        )
        self.register_buffer("shared_weight", torch.tensor(float(shared_weight)))
        self.register_buffer(
            "label_correlation", torch.tensor(float(label_correlation))
        )
        self.register_buffer("interactions", torch.tensor(float(interactions)))
        self.register_buffer("common_weight", torch.zeros(0))
        self.register_buffer("row_length_scale", torch.zeros(0))
        self.register_buffer("feature_power", torch.tensor(0.0))
        self.register_buffer("feature_scale", torch.ones(n_features))
        self.register_buffer("feature_shift", torch.zeros(0))
        self.register_buffer("feature_std", torch.zeros(0))
        self.register_buffer("slope", torch.ones(n_labels))
        self.register_buffer("intercept", torch.zeros(n_labels))

    @torch.no_grad()
    def init_from_data(self, X, power=0.5, scales=None, generator=None):
        """Learn from all rows of X what needs no label: the scale and the embedding.

        A sparse column is scaled by this power of its inverse document frequency, an
        array's is centered and scaled by this power of one over its standard
        deviation, and all of them by one number so that a row has length 1 in the
        quadratic mean. The embedding starts from the singular vectors of X. `scales`
        are what `feature_scales` returns of X, where they are at hand; `generator`
        draws the random start of the decomposition (None: torch's global one).
        """
        device = self.bias.device
        scales = feature_scales(X) if scales is None else scales
        if scales.shift is not None:
            self.feature_shift, self.feature_std = (
                torch.from_numpy(part.astype(np.float32)).to(device)
                for part in (scales.shift, scales.std)
            )
        if isinstance(scales, BlockScales):
            columns, vectors = scales.directions(
                X, float(self.shared_weight), device, generator
            )
        else:
            dim = self.embedding.shape[1]
            columns, vectors = singular_directions(X, dim, device, scales, generator)
        zero = vectors.new_zeros(1, vectors.shape[1])
        self.embedding = nn.Parameter(torch.cat([zero, vectors]))
        row = np.zeros(self.n_features, np.int32)
        row[columns] = np.arange(1, len(columns) + 1)
        self.embedding_row = torch.from_numpy(row).to(device)
        self.allocate(
            X, scales, power, float(self.label_correlation), float(self.interactions)
        )

    @torch.no_grad()
    def allocate(self, X, scales, power, label_correlation, interactions):
        """Make room for the weights of these settings, all of them 0.

        The columns are scaled as `init_from_data` describes.
        """
        self.interactions.fill_(interactions)
        self.feature_scale = self.feature_factors(scales, power)
        self.feature_power.fill_(power)
        self.label_correlation.fill_(label_correlation)
        zeros, width = self.bias.new_zeros, self.embedding.shape[1]
        self.quadratic, paired = None, width
        if isinstance(scales, BlockScales):
            paired = scales.paired_width
            self.interactions *= scales.paired_share
        if interactions:
            self.quadratic = QuadraticPath(self.n_labels, paired).to(self.bias.device)
        self.row_length_scale = zeros(0)
        if label_correlation and sp.issparse(X):
            count = np.log1p(np.diff(X.indptr))
            scale = count.mean(), max(count.std(), _LEAST_STD)
            self.row_length_scale = zeros(2).copy_(torch.tensor(scale))
        has_pairs = label_correlation and isinstance(self.direct, PairDirect)
        self.common_weight = zeros(self.n_features if has_pairs else 0)
        width += len(self.row_length_scale) > 0
        self.output = nn.Parameter(zeros(self.n_labels, width))

    def feature_factors(self, scales, power):
        """Return by what the direct path scales the columns, so much of idf or std.

        Pairs of the embedding's dimensions leave it a part of a row's squared length.
        """
        factors = torch.from_numpy(scales.scale(power)).to(self.bias.device)
        if isinstance(scales, BlockScales):
            return factors
        return (1 - self.interactions).sqrt() * factors

    @property
    def takes_sparse(self):
        """Whether X must be sparse, must not be, or (None) may be either."""
        if len(self.feature_shift):
            return False
        if len(self.row_length_scale):
            return True
        has_all = len(self.embedding) == 1 + self.n_features
        return None if has_all and not isinstance(self.direct, PairDirect) else True

    def shared(self, embedded, X=None, *, indices=None, offsets=None, weights=None):
        """Return what labels share of each row, shape (batch, output.shape[1]).

        That is its embedding, scaled, and how many features it has, if that counts.
        """
        embedded = self.shared_weight * embedded
        if not len(self.row_length_scale):
            return embedded
        lengths = torch.diff(offsets, append=offsets.new_full((1,), len(indices)))
        return torch.cat([embedded, self.row_length(lengths)[:, None]], dim=1)

    def row_length(self, lengths):
        """Return what rows of so many features have in the last column of `output`."""
        mean, std = self.row_length_scale
        count = (torch.log1p(lengths.to(mean.dtype)) - mean) / std
        return _COUNTS * count.clamp(-_FARTHEST, _FARTHEST)

    def embedded(self, X=None, *, indices=None, offsets=None, weights=None):
        """Return the embedding of each row, of length 1."""
        if not self.embedding.shape[1]:
            n = len(X) if indices is None else len(offsets)
            return self.embedding.new_zeros(n, 0)
        if indices is None:
            rows = self._centered(X)
            if len(self.feature_std):
                rows = (rows / self.feature_std).clamp(-_LARGEST, _LARGEST)
            hidden = _bounded(rows) @ self.embedding[1:]
        else:
            rows = self.embedding_row[indices]
            hidden = embedding_bag(
                self.embedding, rows, offsets, weights, self.sparse_gradients
            )
        return _unit(_bounded(hidden))

    def crossed(self, embedded):
        """Return embedded rows as the quadratic path takes them.

        Squares of their inner products are the share that pairs have of a row's length.
        """
        width = self.quadratic.weight.shape[1]
        if width < embedded.shape[-1]:  # of some blocks of features
            embedded = _unit(embedded[..., -width:])
        return self.interactions**0.25 * embedded

    def scaled(self, X=None, *, indices=None, offsets=None, weights=None):
        """Return the batch with its features scaled, as the direct path takes it."""
        if indices is None:
            return {"X": self._centered(X) * self.feature_scale}
        weights = weights * self.feature_scale[indices]
        return {"indices": indices, "offsets": offsets, "weights": weights}

    def _centered(self, X):
        """Return the rows of an array over their columns' means, and no infinity."""
        if not len(self.feature_shift):
            return X
        return (X - self.feature_shift).clamp(-_LARGEST, _LARGEST)

    def forward(self, X=None, **bags):
        """Return the logits of all labels, shape (batch, n_labels)."""
        embedded = self.embedded(X, **bags)
        logits = self.shared(embedded, X, **bags) @ self.output.T + self.bias
        if self.quadratic is not None:
            logits = logits + self.quadratic(self.crossed(embedded))
        if self.direct is not None:
            scaled = self.scaled(X, **bags)
            logits = logits + self.direct(**scaled)
            if len(self.common_weight):
                logits = logits + self.common_logits(**scaled)[:, None]
        return self.slope * logits + self.intercept

    def common_logits(self, indices, offsets, weights):
        """Return what the pairs that all labels have in common give to each row."""
        table = self.common_weight[:, None]
        return embedding_bag(table, indices, offsets, weights, False)[:, 0]

    @property
    def computes_cells(self):
        """Whether `cell_logits` spares the work of the other cells."""
        return not isinstance(self.direct, DenseDirect)

    def cell_logits(self, rows, cols, X=None, **bags):
        """Return the logits of these cells alone, shape (n_cells,)."""
        embedded = self.embedded(X, **bags)
        shared = self.shared(embedded, X, **bags)[rows]
        logits = (shared * self.output[cols]).sum(1) + self.bias[cols]
        if self.quadratic is not None:
            crossed = self.crossed(embedded)[rows]
            logits = logits + self.quadratic.cell_logits(crossed, cols)
        if self.direct is not None:
            scaled = self.scaled(X, **bags)
            logits = logits + self.direct.cell_logits(rows, cols, **scaled)
            if len(self.common_weight):
                logits = logits + self.common_logits(**scaled)[rows]
        return self.slope[cols] * logits + self.intercept[cols]

    def _load_from_state_dict(self, state_dict, prefix, *args):
        for name in ("embedding", "output"):
            own, other = getattr(self, name), state_dict.get(prefix + name)
            # An optimizer knows the parameters that are there: they stay if they fit.
            if other is not None and own.shape != other.shape:
                setattr(self, name, nn.Parameter(own.new_zeros(other.shape)))
        for name in (
            "feature_shift",
            "feature_std",
            "common_weight",
            "row_length_scale",
        ):
            if prefix + name in state_dict:
                shape = state_dict[prefix + name].shape
                setattr(self, name, getattr(self, name).new_zeros(shape))
        other = state_dict.get(prefix + "quadratic.weight")
        if other is None:
            self.quadratic = None
        elif self.quadratic is None or self.quadratic.weight.shape != other.shape:
            self.quadratic = QuadraticPath(*other.shape[:2]).to(self.bias)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _bounded(rows):
    """Return rows over their largest number, lest squares of it overflow."""
    largest = rows.detach().abs().amax(dim=1, keepdim=True)
    return rows / torch.where(largest > 0, largest, 1)


def _unit(rows):
    """Return rows of length 1; a row of zeros stays so, and gets no gradient."""
    length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows / torch.where(length > 0, length, torch.inf)


def direct_rows(module, X):
    """Return rows of X as the direct path takes them: a CSR array, or an array."""
    if sp.issparse(X):
        data = X.data * module.feature_scale.cpu().numpy()[X.indices]
        return sp.csr_array((data, X.indices, X.indptr), shape=X.shape)
    with torch.no_grad():
        rows = model_input(X).to(module.bias.device)
        return module.scaled(rows)["X"].cpu().numpy()


def embedded_rows(module, X):
    """Return the embeddings of rows of X, an array of shape (n_rows, embedding_dim)."""
    inputs, device = model_input(X), module.bias.device
    with torch.no_grad():
        if isinstance(inputs, dict):
            inputs = {name: part.to(device) for name, part in inputs.items()}
            return module.embedded(**inputs).cpu().numpy()
        return module.embedded(inputs.to(device)).cpu().numpy()
