"""A fit that was killed goes on from its last finished epoch, to the same model."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from skorch.callbacks import Callback

from sklearn_masked import MaskedMultiLabelClassifier


class Dies(Callback):
    """Raise, or kill the process, in the middle of an epoch."""

    def __init__(self, epoch, kills=False):
        self.epoch, self.kills = epoch, kills

    def on_batch_end(self, net, training, **kwargs):
        if training and len(net.history) == self.epoch:
            if self.kills:
                os.kill(os.getpid(), 9)
            raise RuntimeError("here")


def problem(kind="sparse"):
    rng = np.random.default_rng(0)
    X = rng.random((300, 20)) * (rng.random((300, 20)) < 0.3)
    y = np.where(rng.random((300, 3)) < 0.3, np.nan, X[:, :3] > X[:, 3:6])
    return (sp.csr_matrix(X) if kind == "sparse" else X), y


def classifier(folder=None, **params):
    usual = {"embedding_dim": 4, "batch_size": 40, "max_epochs": 6, "random_state": 0}
    return MaskedMultiLabelClassifier(checkpoint=folder, **usual | params)


def same(got, want, X):
    np.testing.assert_array_equal(got.predict_proba(X), want.predict_proba(X))
    assert got.history_[:, "train_loss"] == want.history_[:, "train_loss"]


@pytest.mark.parametrize(
    "params", [{}, {"label_correlation": 0.5, "interactions": 0.2}], ids=str
)
@pytest.mark.parametrize("kind", ["sparse", "dense"])
@pytest.mark.filterwarnings("ignore:The duality gap")
def test_a_fit_that_failed_goes_on_to_the_same_model(tmp_path, kind, params):
    X, y = problem(kind)
    watched = Dies(99)  # what looks at each step has the weights written for it
    want = classifier(callbacks=[watched], **params).fit(X, y)
    model = classifier(tmp_path, callbacks=[Dies(4)], **params)
    with pytest.raises(RuntimeError, match="here"):
        model.fit(X, y)
    seen = []

    class Counts(Callback):
        def on_epoch_begin(self, net, **kwargs):
            seen.append(len(net.history))

    same(model.set_params(callbacks=[watched, Counts()]).fit(X, y), want, X)
    assert seen == list(range(4, want.n_iter_ + 1))
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:The duality gap")
def test_a_killed_process_leaves_a_state_to_go_on_from(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_classifier_checkpoint import *\n"
        "classifier(sys.argv[2], callbacks=[Dies(3, kills=True)]).fit(*problem())"
    )
    folder = tmp_path / "states"
    here = os.path.dirname(__file__)
    done = subprocess.run([sys.executable, "-c", program, here, str(folder)])
    assert done.returncode == -9
    assert [path.name for path in folder.iterdir()] == ["fit.pt"]
    X, y = problem()
    same(classifier(str(folder)).fit(X, y), classifier().fit(X, y), X)


def test_a_state_of_another_fit_is_refused(tmp_path):
    X, y = problem()
    model = classifier(tmp_path, callbacks=[Dies(2)])
    with pytest.raises(RuntimeError, match="here"):
        model.fit(X, y)
    flipped = np.where(np.isnan(y), np.nan, 1 - y)
    for params, rows, cells in [
        ({"C": 2.0}, X, y),
        ({"random_state": 1}, X, y),
        ({}, X * 2, y),
        ({}, X, flipped),
    ]:
        other = classifier(tmp_path, **params)
        with pytest.raises(ValueError, match="state of another fit"):
            other.fit(rows, cells)
    with pytest.raises(ValueError, match="early_stopping"):
        classifier(tmp_path, early_stopping=True).fit(X, y)
