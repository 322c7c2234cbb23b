"""The state of a dual ascent on disk, epoch by epoch: a fit that was killed goes on."""

import json
import os
from pathlib import Path

import joblib
import torch
from skorch.history import History

from .._version import __version__

# Parameters that may be others when a fit goes on. The seed itself is compared.
_FREE = ("callbacks", "checkpoint", "device", "max_epochs", "random_state", "verbose")


class Checkpoint:
    """A file that holds what the ascent has changed, and what it is a state of.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        With `checkpoint`, a folder; it is made where it is not there.
    data : FitData
        What is fitted.
    """

    def __init__(self, estimator, data):
        solver = estimator.net_.solver
        params = estimator.get_params(deep=False)
        scales = getattr(data.scales, "parts", [data.scales])
        numbers = (solver.label, solver.target, solver.prior_mean)
        self.path = Path(estimator.checkpoint) / "fit.pt"
        self.key = joblib.hash(
            [
                __version__,
                {name: params[name] for name in params if name not in _FREE},
                (data.seed, data.X.shape, data.train.digests, data.train.cell_weight),
                [scale.squares for scale in scales if scale is not None],
                [part.cpu().numpy() for part in numbers],
            ]
        )

    def save(self, net):
        """Write the state after an epoch; a kill leaves the one before it."""
        generator = net.iterator_train__generator.bit_generator
        text = [list(net.history), generator.state]
        state = {
            "key": self.key,
            "text": json.dumps(text, default=lambda number: number.item()),
            "solver": net.solver.progress(),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".part")
        with unfinished.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path)

    def resume(self, net):
        """Go to the state that the file holds, if there is one.

        Raises
        ------
        ValueError
            If it is of another fit.
        """
        if not self.path.exists():
            return
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        if state["key"] != self.key:
            raise ValueError(
                "`checkpoint` must name a folder without a state of another fit: "
                f"{self.path} was written with other data, other parameters, another "
                "seed (`random_state` must be an integer) or another version; delete "
                "it, or pass another folder."
            )
        rows, generator = json.loads(state["text"])
        net.solver.set_progress(state["solver"])
        net.history_ = History(rows)
        net.iterator_train__generator.bit_generator.state = generator

    def remove(self):
        """Delete the file, once the fit is finished."""
        self.path.unlink(missing_ok=True)
