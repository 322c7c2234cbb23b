"""Random problems of the default model, its training, and slow solutions of it."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.optimize import minimize
from scipy.special import expit

from sklearn_masked.nn._batches import CellTargets, model_input
from sklearn_masked.nn.model._module import DirectSharedModule
from sklearn_masked.nn.sdca import SDCADataset, SDCASolver

CPU = torch.device("cpu")


DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason="no CUDA device on this machine"
        ),
    ),
]


def random_rows(rng, n=40, m=30, density=0.2):
    values = rng.random((n, m)) * (rng.random((n, m)) < density)
    X = sp.csr_array(values.astype(np.float32))
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X


def random_targets(rng, n, n_labels, known=0.5, weights=False):
    Y = (rng.random((n, n_labels)) < 0.5).astype(np.int8)
    mask = rng.random((n, n_labels)) < known
    rows, cols = np.nonzero(mask)
    return CellTargets(
        np.append(0, np.cumsum(mask.sum(1))),
        cols.astype(np.int32),
        Y[rows, cols],
        n_labels,
        weights=rng.uniform(0.2, 2, len(rows)) if weights else None,
    )


def cell_rows(targets):
    return np.repeat(np.arange(len(targets)), np.diff(targets.indptr))


def slow_features(module, X):
    """The rows as the convex problem has them, from its description."""
    X = X.toarray() if sp.issparse(X) else np.asarray(X)
    X = standardized = X.astype(float)
    if len(module.feature_shift):
        X = X - X.mean(axis=0)
        standardized = X / X.std(axis=0)
    D = module.feature_scale.double().numpy()
    E = module.embedding.detach().double().numpy()[module.embedding_row.long().numpy()]
    hidden = standardized @ E
    length = np.linalg.norm(hidden, axis=1, keepdims=True)
    z = np.divide(hidden, length, out=np.zeros_like(hidden), where=length > 0)
    parts = [X * D, float(module.shared_weight) * z]
    if module.interactions:
        pairs = np.stack([np.outer(row, row).ravel() for row in z])
        parts.append(np.sqrt(float(module.interactions)) * pairs)
    if len(module.row_length_scale):
        count = np.log1p((X != 0).sum(axis=1, keepdims=True))
        parts.append(0.3 * (count - count.mean()) / max(count.std(), 0.1))
    return np.hstack(parts)


def slow_optimum(features, y, weight, C):
    """L2-regularized logistic regression with a free intercept, by L-BFGS."""

    def objective(p):
        w, b = p[:-1], p[-1]
        m = features @ w + b
        loss = weight * (np.logaddexp(0, m) - y * m)
        g = C * weight * (expit(m) - y)
        return w @ w / 2 + C * loss.sum(), np.append(w + features.T @ g, g.sum())

    start = np.zeros(features.shape[1] + 1)
    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9}
    return minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x


def slow_common_optimum(features, label, n_labels, y, weight, C, correlation):
    """The same for all labels at once: own weights, and weights in common, by L-BFGS.

    The logit of a cell is sqrt(1 - correlation) x w_l + sqrt(correlation) x w + b_l.
    """
    n, m = features.shape
    own = np.zeros((n, n_labels, m))
    own[np.arange(n), label] = np.sqrt(1 - correlation) * features
    wide = np.hstack([own.reshape(n, -1), np.sqrt(correlation) * features])
    onehot = np.eye(n_labels)[label]

    def objective(p):
        w, b = p[:-n_labels], p[-n_labels:]
        f = wide @ w + b[label]
        loss = weight * (np.logaddexp(0, f) - y * f)
        g = C * weight * (expit(f) - y)
        return w @ w / 2 + C * loss.sum(), np.append(w + wide.T @ g, onehot.T @ g)

    start = np.zeros(wide.shape[1] + n_labels)
    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9}
    p = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    own = np.sqrt(1 - correlation) * p[: n_labels * m].reshape(n_labels, m)
    return own + np.sqrt(correlation) * p[n_labels * m : -n_labels], p[-n_labels:]


def dataset(X, targets):
    """Return the rows with a cell; each cell weighs what the targets say, or 1."""
    weight = targets.weights
    weight = np.ones(len(targets.values)) if weight is None else weight
    cells = weight, targets.values.astype(float)
    rows, generator = targets.labeled_rows(), np.random.default_rng(0)
    return SDCADataset(X, targets, rows, *cells, generator=generator)


def trained(
    X,
    targets,
    direct,
    C=3.0,
    epochs=300,
    device="cpu",
    batch=16,
    label_correlation=0.0,
    interactions=0.0,
    bias=0.0,
    settings=None,
    prior_precision=None,
):
    torch.manual_seed(0)
    shape = X.shape[1], targets.n_labels, 5, 0.5, direct
    module = DirectSharedModule(*shape, label_correlation, interactions).to(device)
    module.init_from_data(X)
    module.bias.data += bias
    data = dataset(X, targets)
    params = {"settings": settings, "prior_precision": prior_precision}
    trainer = SDCASolver(module, data, C, **params)
    for _ in range(epochs):
        for start in range(0, len(data), batch):
            stop = min(start + batch, len(data))
            _, cells = data.batch(np.arange(start, stop))
            trainer.step(cells)
        trainer.end_epoch()
    trainer.write()
    return module, trainer


def trained_in_form(kind, weights, **params):
    """Return targets, the features and inputs of their rows, and a trained module."""
    rng = np.random.default_rng(5)
    X = random_rows(rng, n=60)
    targets = random_targets(rng, 60, 3, known=0.6, weights=weights)
    X = X.toarray() if kind == "dense X" else X
    module, _ = trained(X, targets, kind.split()[0], **params)
    inputs = model_input(X)
    inputs = inputs if isinstance(inputs, dict) else {"X": inputs}
    return targets, slow_features(module.cpu(), X), inputs, module
