"""
Images: a backbone trained in an earlier block
==============================================

A backbone that has learned from one task serves another one. Here it learns to tell the
digits 0 to 4 somewhere in a larger picture, all of them labeled; then questions about
the digits 5 to 9 are answered with one labeled cell per image. No weights are
downloaded: in earnest the backbone is a pretrained network that you have.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.metrics import masked_roc_auc_score

# %%
# Digits of 8 x 8 pixels at a random place in pictures of 16 x 16.

rng = np.random.default_rng(0)
data = load_digits()
images = 0.2 * rng.random((len(data.images), 1, 16, 16)).astype(np.float32)
for image, digit in zip(images, data.images, strict=True):
    i, j = rng.integers(9, size=2)
    image[0, i : i + 8, j : j + 8] += digit / 16
is_old = data.target < 5


class Backbone(nn.Module):
    """Three convolutions: an image becomes 128 numbers, wherever the digit is."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 128, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )

    def forward(self, images):
        """Return features, shape (batch, 128)."""
        return self.layers(images)


class Head(nn.Module):
    """A backbone and a linear layer."""

    def __init__(self, backbone, n_labels):
        super().__init__()
        self.backbone, self.output = backbone, nn.Linear(128, n_labels)

    def forward(self, images):
        """Return raw logits, shape (batch, n_labels)."""
        return self.output(self.backbone(images))


# %%
# The earlier task. An instance is copied by `fit`, so the trained backbone is taken
# from the fitted net.

torch.manual_seed(0)
earlier = MaskedMultiLabelClassifier(
    module=Head(Backbone(), 5), max_epochs=15, batch_size=64, random_state=0
)
earlier.fit(images[is_old], np.eye(5)[data.target[is_old]])
backbone = earlier.net_.module_.backbone.eval().requires_grad_(False)

# %%
# The new task: for each image of 5 to 9 one question is answered, "is it a 7?".

new, digits = images[~is_old], data.target[~is_old] - 5
order = rng.permutation(len(new))
train, test = order[:300], order[300:]
truth = np.eye(5)[digits]
asked = np.where(rng.random(len(new)) < 0.5, digits, rng.integers(5, size=len(new)))
y = np.full(truth.shape, np.nan)
y[np.arange(len(new)), asked] = truth[np.arange(len(new)), asked]
print(f"{len(train)} labeled cells")

# %%
# A frozen backbone is best run once: its features are X of the default model. Beside
# it, the pixels, and the whole net trained further from the earlier weights.

with torch.no_grad():
    features = backbone(torch.from_numpy(new)).numpy()
pixels = new.reshape(len(new), -1)
tuned = Head(earlier.net_.module_.backbone.requires_grad_(True), 5)
for name, X, model in (
    ("pixels", pixels, MaskedMultiLabelClassifier(random_state=0)),
    ("features of the backbone", features, MaskedMultiLabelClassifier(random_state=0)),
    (
        "backbone trained further",
        new,
        MaskedMultiLabelClassifier(
            module=tuned, lr=0.003, max_epochs=20, batch_size=32, random_state=0
        ),
    ),
):
    scores = model.fit(X[train], y[train]).predict_proba(X[test])
    print(f"{name:26s}macro AUC {masked_roc_auc_score(truth[test], scores):.3f}")
