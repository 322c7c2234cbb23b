"""
Images: a convolutional module of your own
==========================================

Each image of scikit-learn's digits has ten labels ("is it a 3?"); a person looked at
one of them per image, half of the time the right one. The module is plain torch; the
masked loss, the batches and the scikit-learn interface come from the estimator::

    python examples/images.py
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.metrics import masked_report, masked_roc_auc_score


class SmallConvNet(nn.Module):
    """Two convolutions and a linear layer; `n_labels` comes from y."""

    def __init__(self, n_labels, n_channels=16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, n_channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(n_channels, 2 * n_channels, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * n_channels * 16, n_labels),
        )

    def forward(self, images):
        """Return raw logits, shape (batch, n_labels)."""
        return self.layers(images)


def one_decision_an_image(digits, rng):
    """Return labels in which each image has one labeled cell of ten."""
    asked = np.where(
        rng.random(len(digits)) < 0.5, digits, rng.integers(10, size=len(digits))
    )
    return MaskedLabels.from_cells(
        np.arange(len(digits)),
        asked,
        (asked == digits).astype(int),
        shape=(len(digits), 10),
        label_names=[f"is it a {j}" for j in range(10)],
    )


def main():
    rng = np.random.default_rng(0)
    data = load_digits()
    images = (data.images / 16)[:, None]  # (n, 1, 8, 8)
    train, test, digits, truth = train_test_split(
        images, data.target, test_size=0.3, random_state=0
    )
    labels = one_decision_an_image(digits, rng)
    print(labels)

    model = MaskedMultiLabelClassifier(
        module=SmallConvNet,
        optimizer=torch.optim.Adam,
        lr=0.01,
        batch_size=64,
        max_epochs=30,
        random_state=0,
    )
    model.set_params(module__n_channels=24).fit(train, labels)

    proba = model.predict_proba(test)
    everything = np.eye(10)[truth]
    print(masked_report(MaskedLabels.from_dense(everything), proba))
    print(f"macro AUC {masked_roc_auc_score(everything, proba):.4f}")
    accuracy = (proba.argmax(axis=1) == truth).mean()
    print(f"the right digit has the highest probability in {accuracy:.1%} of images")


if __name__ == "__main__":
    main()
