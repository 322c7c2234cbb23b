"""Platt lines, pooled over labels: by oracles, and where cells are few."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, logit

from sklearn_masked.nn.sdca._calibration import PRIOR, base_log_odds, platt_lines


def lines_of(rows, base, y, label, bias, weight=None, label_base=None, train_rms=0.0):
    """Return slopes and intercepts; a label's rate is its bias unless told."""
    weight = np.ones(len(y)) if weight is None else weight
    label_base = bias if label_base is None else label_base
    arrays = map(torch.from_numpy, (rows, base, y, label, weight))
    slope, intercept = platt_lines(
        *arrays,
        label_base=torch.from_numpy(label_base),
        bias=torch.from_numpy(bias),
        train_rms=train_rms,
    )
    return slope.numpy(), intercept.numpy()


def drawn(seed, n, n_labels, of_rows, of_base, rest=0.0):
    """Return rows, base, y, label and bias: log-odds linear in rows and base."""
    rng = np.random.default_rng(seed)
    label, bias = rng.integers(n_labels, size=n), rng.normal(size=n_labels)
    rows, base = rng.normal(size=n), bias[label]
    truth = of_rows * rows + of_base * base + rest
    return rows, base, (rng.random(n) < expit(truth)).astype(float), label, bias


def test_lines_find_the_coefficients_of_rows_and_base():
    rows, base, y, label, bias = drawn(10, 90000, 3, 2.0, 0.8, 0.3)
    slope, intercept = lines_of(rows, base, y, label, bias)
    np.testing.assert_allclose(slope, 2.0, atol=0.08)
    # A logit m with its own bias b: 2 (m - b) + 0.8 b + 0.3 = 2 m + (0.3 - 1.2 b).
    np.testing.assert_allclose(intercept, 0.3 - 1.2 * bias, atol=0.15)


def test_lines_are_drawn_to_all_labels_where_a_label_has_few_cells():
    rows, base, y, label, bias = drawn(11, 60000, 40, 2.0, 0.8, 0.3)
    label[:3], bias = 40, np.append(bias, [0.5, -0.5])
    base[:3] = 0.5
    slope, intercept = lines_of(rows, base, y, label, bias)
    np.testing.assert_allclose(slope[40], 2.0, rtol=0.15)
    # Without a cell: the line of all labels.
    np.testing.assert_allclose(slope[41], 2.0, rtol=0.05)
    np.testing.assert_allclose(intercept[41], 0.3 - 1.2 * -0.5, atol=0.1)


def log_loss_of(log_odds, y):
    return np.logaddexp(0, np.where(y == 1, -log_odds, log_odds)).sum()


def slow_pooled_line(rows, base, y):
    length = np.sqrt(np.mean(rows**2))

    def total(line):
        log_odds = np.exp(line[0]) * rows / length + line[1] * base + line[2]
        off = line - np.array([np.log(PRIOR.row_rms), 1.0, 0.0])
        precision = [PRIOR.log_rms, PRIOR.base, PRIOR.base]
        return log_loss_of(log_odds, y) + 0.5 * off**2 @ precision

    line = minimize(total, [0.0, 1.0, 0.0], tol=1e-12).x
    return np.exp(line[0]) / length, line[1], line[2]


def slow_label_line(rows, offset, y):
    def total(line):
        prior = PRIOR.slope * (line[0] - 1) ** 2 + PRIOR.intercept * line[1] ** 2
        return log_loss_of(line[0] * rows + offset + line[1], y) + 0.5 * prior

    return minimize(total, [1.0, 0.0], tol=1e-12).x


def test_the_line_of_one_label_equals_a_penalized_regression():
    rows, base, y, label, bias = drawn(12, 500, 1, 1.0, 1.0)
    slope, intercept = lines_of(rows, base, y, label, bias)
    pooled = slow_pooled_line(rows, base, y)
    own = slow_label_line(pooled[0] * rows, pooled[1] * base + pooled[2], y)
    want = pooled[0] * own[0]
    np.testing.assert_allclose(slope, want, rtol=1e-3)
    want = pooled[2] + own[1] + (pooled[1] - want) * bias
    np.testing.assert_allclose(intercept, want, atol=1e-3)


@pytest.mark.parametrize("kind", ["one class", "one cell", "no rows", "huge rows"])
def test_lines_are_finite_and_reverse_no_order(kind):
    rows, base, y, label, bias = drawn(13, 200, 4, 1.0, 1.0)
    if kind == "one class":
        y[:] = 0.0
    elif kind == "one cell":
        rows, base, y, label = rows[:1], base[:1], y[:1], label[:1]
    elif kind == "no rows":
        rows[:] = 0.0
    else:
        rows *= 1e4
    slope, intercept = lines_of(rows, base, y, label, bias)
    assert np.isfinite(slope).all()
    assert np.isfinite(intercept).all()
    assert (slope > 0).all()


def test_a_weight_counts_as_repeated_cells():
    rows, base, y, label, bias = drawn(14, 300, 2, 1.0, 1.0)
    repeat = np.random.default_rng(0).integers(0, 3, size=300)
    got = lines_of(rows, base, y, label, bias, repeat.astype(float))
    parts = (np.repeat(part, repeat) for part in (rows, base, y, label))
    want = lines_of(*parts, bias)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-6)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-5, atol=1e-6)


def test_without_held_out_cells_lines_are_those_of_the_prior():
    none, bias, rate = np.zeros(0), np.array([3.0, -3.0]), np.array([0.5, -0.5])
    args = none, none, none, none.astype(int), bias
    slope, intercept = lines_of(*args, label_base=rate, train_rms=4.0)
    # Rows add a usual amount, and a row that adds nothing has the label's rate.
    np.testing.assert_allclose(slope, PRIOR.row_rms / (PRIOR.least_rms * 4.0))
    np.testing.assert_allclose(slope * bias + intercept, rate, rtol=1e-6)
    slope, intercept = lines_of(*args, label_base=rate)
    np.testing.assert_array_equal(slope, 1.0)


def test_held_out_rows_that_are_rounding_errors_are_not_blown_up():
    rows, base, y, label, bias = drawn(15, 24, 4, 1.0, 1.0)
    slope, _ = lines_of(1e-7 * rows, base, y, label, bias, train_rms=2.0)
    assert slope.max() < 2.0


def test_base_rates_are_smoothed_and_leave_a_cell_out():
    positive, total = np.array([3.0, 0.0]), np.array([4.0, 1.0])
    pooled = (3 + 0.5) / (5 + 1)
    want = [(3 + 3 * pooled) / 7, (0 + 3 * pooled) / 4]
    np.testing.assert_allclose(base_log_odds(positive, total), logit(want))
    cells = np.array([1.0, 0.0]), np.array([1.0, 1.0]), np.array([0, 1])
    want = [(2 + 3 * 2.5 / 5) / 6, 3.5 / 5]
    np.testing.assert_allclose(base_log_odds(positive, total, *cells), logit(want))
