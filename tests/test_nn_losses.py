"""The masked loss against a loop over the labeled cells, written apart from it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sklearn_masked.nn import MaskedBCEWithLogitsLoss, balanced_pos_weight

NAN = float("nan")
JUNK = [NAN, -1.0]


def slow_loss(
    logits,
    targets,
    reduction="cell",
    weight=None,
    label_weight=None,
    pos_weight=None,
    unlabeled_weight=0.0,
    label_smoothing=0.0,
):
    """A loop over cells in plain Python floats."""
    n, c = logits.shape
    cells = []
    for i in range(n):
        for j in range(c):
            t, w = float(targets[i, j]), 1.0
            if math.isnan(t) or t == -1:
                t, w = 0.0, unlabeled_weight
            if weight is not None:
                w *= float(weight[i] if weight.ndim == 1 else weight[i, j])
            if label_weight is not None:
                w *= float(label_weight[j])
            if not w > 0:
                continue
            t = t * (1 - label_smoothing) + label_smoothing / 2
            z = float(logits[i, j])
            log1p = math.log1p(math.exp(-abs(z)))
            nll_1, nll_0 = log1p + max(-z, 0), log1p + max(z, 0)
            p = 1.0 if pos_weight is None else float(pos_weight[j])
            cells.append((i, j, w, p * t * nll_1 + (1 - t) * nll_0))
    if not cells:
        return 0.0
    if reduction == "cell":
        return sum(w * v for *_, w, v in cells) / sum(w for *_, w, _ in cells)
    axis = 1 if reduction == "label" else 0
    means = []
    for group in sorted({cell[axis] for cell in cells}):
        mine = [cell for cell in cells if cell[axis] == group]
        means.append(sum(w * v for *_, w, v in mine) / sum(w for *_, w, _ in mine))
    return sum(means) / len(means)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_sanity_figure_of_the_report(dtype):
    logits = torch.tensor([[-1.5, 2.5, -3.5, 4.5], [-5.5, 6.5, 7.5, -8.5]], dtype=dtype)
    targets = torch.tensor([[-1, 0, -1, -1], [-1, -1, -1, 1]], dtype=dtype)
    loss = MaskedBCEWithLogitsLoss()(logits, targets)
    assert loss.dtype == dtype
    assert round(loss.item(), 4) == 5.5395
    plain = torch.nn.BCEWithLogitsLoss()(
        torch.tensor([2.5, -8.5], dtype=dtype), torch.tensor([0, 1], dtype=dtype)
    )
    assert loss.item() == plain.item()


def random_problem(rng, n, c):
    logits = rng.normal(scale=3, size=(n, c))
    targets = rng.choice([0.0, 1.0, NAN, -1.0], size=(n, c))
    return logits, targets


@pytest.mark.parametrize("reduction", ["cell", "label", "sample"])
@pytest.mark.parametrize("weights", ["none", "row", "cell"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"label_smoothing": 0.2},
        {"unlabeled_weight": 0.3},
        {"label": True, "pos": True},
    ],
)
def test_loss_equals_slow_loop(reduction, weights, settings):
    rng = np.random.default_rng(0)
    for n, c in [(1, 1), (5, 3), (8, 6)]:
        logits, targets = random_problem(rng, n, c)
        weight = {
            "none": None,
            "row": rng.choice([0.0, 0.5, 2.0], size=n),
            "cell": rng.choice([0.0, 0.5, 2.0], size=(n, c)),
        }[weights]
        kwargs = {k: v for k, v in settings.items() if k not in ("label", "pos")}
        label_weight = rng.uniform(0.1, 2, c) if "label" in settings else None
        pos_weight = rng.uniform(0.1, 2, c) if "pos" in settings else None
        with_dtype = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            loss = MaskedBCEWithLogitsLoss(
                reduction, weight=label_weight, pos_weight=pos_weight, **kwargs
            )
        finally:
            torch.set_default_dtype(with_dtype)
        got = loss(
            torch.tensor(logits),
            torch.tensor(targets),
            None if weight is None else torch.tensor(weight),
        )
        want = slow_loss(
            logits, targets, reduction, weight, label_weight, pos_weight, **kwargs
        )
        assert got.item() == pytest.approx(want, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("reduction", ["cell", "label", "sample"])
def test_cell_loss_equals_dense_loss_and_gradient(reduction):
    rng = np.random.default_rng(1)
    logits, targets = random_problem(rng, 7, 5)
    weight = rng.choice([0.0, 0.5, 2.0], size=(7, 5))
    loss = MaskedBCEWithLogitsLoss(
        reduction,
        weight=[1, 2, 0.5, 1, 1],
        pos_weight=[1, 2, 3, 1, 1],
        label_smoothing=0.1,
    )
    dense = torch.tensor(logits, requires_grad=True)
    loss(dense, torch.tensor(targets), torch.tensor(weight)).backward()
    rows, cols = np.nonzero((targets == 0) | (targets == 1))
    again = torch.tensor(logits, requires_grad=True)
    cells = loss.cell_loss(
        again[rows, cols],
        torch.tensor(rows),
        torch.tensor(cols),
        torch.tensor(targets[rows, cols]),
        torch.tensor(weight[rows, cols]),
        logits.shape,
    )
    cells.backward()
    torch.testing.assert_close(again.grad, dense.grad, rtol=1e-12, atol=1e-15)


@given(
    data=st.data(),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 4)),
    reduction=st.sampled_from(["cell", "label", "sample"]),
)
def test_unlabeled_cells_get_exactly_zero_gradient(data, shape, reduction):
    cells = st.sampled_from([0.0, 1.0, *JUNK])
    targets = data.draw(hnp.arrays(float, shape, elements=cells))
    anything = st.sampled_from([0.0, 3.5, -80.0, NAN, math.inf, -math.inf])
    junk = data.draw(hnp.arrays(float, shape, elements=anything))
    junk_weight = data.draw(hnp.arrays(float, shape, elements=anything))
    labeled = (targets == 0) | (targets == 1)
    rng = np.random.default_rng(0)
    clean = rng.normal(size=shape)
    logits = torch.tensor(np.where(labeled, clean, junk), requires_grad=True)
    weight = torch.tensor(np.where(labeled, 1.5, junk_weight))
    loss = MaskedBCEWithLogitsLoss(reduction)(logits, torch.tensor(targets), weight)
    loss.backward()
    assert torch.isfinite(loss)
    assert loss.item() == pytest.approx(slow_loss(clean, targets, reduction), abs=1e-12)
    gradient = logits.grad.numpy()
    assert (gradient[~labeled] == 0).all()
    assert np.isfinite(gradient).all()
    assert (gradient[labeled] != 0).all()


def test_weight_means_repetition_and_zero_means_absence():
    rng = np.random.default_rng(2)
    logits, targets = random_problem(rng, 6, 4)
    repeats = np.array([0, 1, 2, 3, 0, 2])
    loss = MaskedBCEWithLogitsLoss()
    weighted = torch.tensor(logits, requires_grad=True)
    loss(weighted, torch.tensor(targets), torch.tensor(repeats)).backward()
    repeated = torch.tensor(logits, requires_grad=True)
    rows = np.repeat(np.arange(6), repeats)
    loss(repeated[rows], torch.tensor(targets[rows])).backward()
    torch.testing.assert_close(weighted.grad, repeated.grad, rtol=1e-12, atol=0)


def test_empty_batch_gives_connected_zero():
    for logits in (torch.ones(2, 3), torch.ones(0, 3)):
        logits = logits.requires_grad_()
        loss = MaskedBCEWithLogitsLoss()(logits, torch.full(logits.shape, NAN))
        loss.backward()
        assert loss.item() == 0
        assert (logits.grad == 0).all()


def test_balanced_pos_weight_counts_labeled_cells():
    got = balanced_pos_weight([2, 0, 5, 4], [6, 3, 0, 2])
    assert got.tolist() == [3.0, 1.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"reduction": "mean"},
            "`reduction` accepts one of ('cell', 'label', 'sample'); got 'mean'.",
        ),
        (
            {"unlabeled_weight": -1},
            "`unlabeled_weight` accepts a finite number from 0; got -1.",
        ),
        (
            {"label_smoothing": 1},
            "`label_smoothing` accepts a number from 0 and below 1; got 1.",
        ),
        (
            {"pos_weight": [1.0, NAN]},
            "`pos_weight` accepts finite numbers from 0; got tensor([1., nan]).",
        ),
    ],
)
def test_loss_refuses_bad_settings(kwargs, message):
    with pytest.raises(ValueError) as error:
        MaskedBCEWithLogitsLoss(**kwargs)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("logits", "targets", "weight", "message"),
    [
        (
            torch.zeros(2, 3),
            torch.zeros(2, 2),
            None,
            "`logits` and `targets` must have the same shape (n_samples, n_labels); "
            "got (2, 3) and (2, 2).",
        ),
        (
            torch.zeros(1, 2),
            torch.tensor([[0, 0.5]]),
            None,
            "`targets` accepts 1, 0, and NaN or -1 in unlabeled cells; got 0.5 at row "
            "0, label 1.",
        ),
        (
            torch.zeros(1, 2),
            torch.zeros(1, 2),
            torch.ones(2),
            "`weight` must have shape (n_samples,) or (n_samples, n_labels); got (2,) "
            "for logits (1, 2).",
        ),
    ],
)
def test_loss_refuses_bad_input(logits, targets, weight, message):
    with pytest.raises(ValueError) as error:
        MaskedBCEWithLogitsLoss()(logits, targets, weight)
    assert str(error.value) == message


def _worker(rank, path, results):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{path}", rank=rank, world_size=2
    )
    logits, targets = two_worker_problem()
    mine = logits[rank * 2 : rank * 2 + 2].clone().requires_grad_()
    MaskedBCEWithLogitsLoss()(mine, targets[rank * 2 : rank * 2 + 2]).backward()
    # Distributed training averages the workers' gradients.
    results[rank] = (mine.grad / 2).tolist()
    torch.distributed.destroy_process_group()


def two_worker_problem():
    torch.manual_seed(0)
    logits = torch.randn(4, 3)
    targets = torch.tensor([[1, 0, 1], [0, NAN, 1], [NAN, NAN, NAN], [NAN, 1, NAN]])
    return logits, targets


@pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch without distributed"
)
def test_denominator_is_the_cells_of_all_workers(tmp_path):
    import torch.multiprocessing as mp

    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(_worker, (tmp_path / "store", results), nprocs=2)
        got = torch.tensor(results[0] + results[1])
    logits, targets = two_worker_problem()
    logits.requires_grad_()
    MaskedBCEWithLogitsLoss()(logits, targets).backward()
    torch.testing.assert_close(got, logits.grad)
