"""
Experiment loggers through skorch's callbacks
=============================================

The net is a skorch net: TensorBoard, MLflow, Weights & Biases and Neptune log it by the
callbacks that skorch has for them. Where no such package is installed, a class of a few
lines writes the same to a file.
"""

import csv
import tempfile
from pathlib import Path

import numpy as np
from skorch.callbacks import Callback, EpochScoring, TensorBoard
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.metrics import masked_roc_auc_scorer

rng = np.random.default_rng(0)
X = rng.normal(size=(1200, 10)).astype(np.float32)
y = (X[:, :4] + X[:, 1:5] * X[:, 2:6] + rng.normal(size=(1200, 4)) > 0).astype(float)
y[rng.random(y.shape) < 0.6] = np.nan  # unlabeled


class CsvLogger(Callback):
    """Append the losses and scores of each epoch to a file."""

    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, net, **kwargs):
        """Write a line."""
        last = net.history[-1]
        names = ("epoch", "train_loss", "valid_loss", "auc")
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([round(last[name], 3) for name in names])


def logger(folder):
    """Return TensorBoard's callback where it is installed, else the class above."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return CsvLogger(folder / "log.csv")
    return TensorBoard(SummaryWriter(folder))


# %%
# A score per epoch, of rows set aside, and a logger that writes it. The scorers of
# `sklearn_masked.metrics` know which cells are labeled.

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    model = MaskedMultiLabelClassifier(
        module="embedding_bag",
        max_epochs=5,
        callbacks=[
            EpochScoring(masked_roc_auc_scorer, lower_is_better=False, name="auc"),
            logger(folder),
        ],
        net_params={"train_split": predefined_split(Dataset(X[800:], y[800:]))},
        random_state=0,
    ).fit(X[:800], y[:800])
    for file in sorted(folder.iterdir()):
        print(file.name.split(".")[0], "holds", file.stat().st_size > 0)

# %%
# The history is on the estimator as well, whatever logs it:

for row in model.history_:
    print(row["epoch"], round(row["train_loss"], 2), round(row["auc"], 2))

# %%
# What a run should record beside it: the parameters, and what "auto" became.

print({name: model.auto_params_[name] for name in ("lr", "max_epochs", "batch_size")})
