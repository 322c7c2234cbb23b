"""
Blocks of labels on several workers
===================================

Given the features and the parameters of the penalty, labels share nothing: blocks of
them are fitted in parallel, and together give the model of one fit. ``python`` runs
this program with joblib, on two processes; ``torchrun --nproc-per-node 2
label_blocks.py`` as two workers of torch.distributed, on one machine or several.
"""

import os
from datetime import timedelta

import numpy as np
import torch.distributed as dist
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.metrics import masked_roc_auc_score

N_LABELS, N_BLOCKS = 24, 2
SHARED = ["C", "idf_power", "shared_weight", "label_correlation", "interactions"]


def choose_parameters(model, X, y, n_labels=12):
    """Return the model with the parameters that the labels of most cells ask for."""
    fewer = np.minimum(y.n_positive, y.n_negative)
    first = clone(model).fit(X, y[:, np.argsort(-fewer)[:n_labels]])
    return clone(model).set_params(
        **{name: first.auto_params_[name] for name in SHARED}
    )


def fit_block(model, X, y, block):
    """Fit the labels of one block. A seed that is a number gives all one embedding."""
    return clone(model).fit(X, y[:, block])


def fit_with_joblib(model, X, y, blocks):
    """Fit the blocks by joblib; with ``parallel_config("dask")`` on a cluster."""
    model = choose_parameters(model, X, y)
    jobs = [delayed(fit_block)(model, X, y, block) for block in blocks]
    return Parallel(n_jobs=2)(jobs)


def fit_with_torch_distributed(model, X, y, blocks):
    """Fit the blocks by the workers of the group; the first returns all of them.

    Each worker loads X and y by itself, and needs y of its own labels alone. Nothing is
    sent but the parameters and the fitted blocks.
    """
    rank, size = dist.get_rank(), dist.get_world_size()
    chosen = [choose_parameters(model, X, y) if rank == 0 else None]
    together(dist.broadcast_object_list, chosen)
    own = [fit_block(chosen[0], X, y, block) for block in blocks[rank::size]]
    parts = [None] * size if rank == 0 else None
    together(dist.gather_object, own, parts)
    if rank:
        return None
    return [parts[i % size][i // size] for i in range(len(blocks))]


def together(operation, *args):
    """Run what all workers take part in; end if one of them does not."""
    try:
        operation(*args)
    except RuntimeError as error:  # of gloo: closed connections and timeouts
        raise SystemExit(
            f"Worker {dist.get_rank()} stops: another worker is gone, or later than "
            "the timeout of the process group."
        ) from error


def main():
    """Fit, and compare with one fit of all labels."""
    texts, y, truth = make_masked_multilabel(
        2000,
        N_LABELS,
        mask="random",
        cells_per_sample=3,
        return_full=True,
        random_state=0,
    )
    X = TfidfVectorizer(dtype=np.float32).fit_transform(texts)
    train, test = slice(0, 1500), slice(1500, None)
    model = MaskedMultiLabelClassifier(random_state=0, label_correlation=0)
    blocks = [np.arange(i, N_LABELS, N_BLOCKS) for i in range(N_BLOCKS)]
    data = X[train], y[train]
    if "RANK" in os.environ:  # set by torchrun, and by what starts workers like it
        dist.init_process_group("gloo", timeout=timedelta(hours=1))
        models = fit_with_torch_distributed(model, *data, blocks)
        dist.destroy_process_group()
        if models is None:
            return
    else:
        models = fit_with_joblib(model, *data, blocks)
    proba = np.empty((500, N_LABELS))
    for block, fitted in zip(blocks, models, strict=True):
        proba[:, block] = fitted.predict_proba(X[test])
    whole = choose_parameters(model, *data).fit(*data).predict_proba(X[test])
    known = truth[test].toarray()
    for name, scores in {"blocks": proba, "one fit": whole}.items():
        print(f"{name}: AUC {masked_roc_auc_score(known, scores):.4f}")


if __name__ == "__main__":
    main()
