"""Audits by the cell: what looks wrong, how much of it there is, and how to fix it."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from sklearn_masked import MaskedLabels, MaskedMultiOutputClassifier
from sklearn_masked.annotation import CellAudit, CellTable, audit_cells
from sklearn_masked.model_selection import cross_val_predict


def problem(n_samples=50, n_labels=4, labeled=0.6, seed=0):
    rng = np.random.default_rng(seed)
    Y = (rng.random((n_samples, n_labels)) < 0.4) * 1.0
    proba = np.clip(Y * 0.5 + 0.25 + rng.normal(0, 0.25, Y.shape), 0, 1)
    Y[rng.random(Y.shape) >= labeled] = np.nan
    return proba, Y


def one_label(y, p, w=None):
    """Confident learning on one plain binary problem, by slow loops.

    Returns the weight of the wrong (negatives, positives) and which are flagged.
    """
    w = np.ones(len(y)) if w is None else w
    sure = np.stack([1 - p, p])
    limit = [
        sum(sure[v, i] * w[i] for i in range(len(y)) if y[i] == v)
        / max(sum(w[y == v]), 1e-300)
        if v in y
        else 2.0
        for v in (0, 1)
    ]
    joint = np.zeros((2, 2))
    for i in range(len(y)):
        candidates = [v for v in (0, 1) if sure[v, i] >= limit[v] - 1e-12]
        if candidates:
            true = max(candidates, key=lambda v, i=i: sure[v, i])
            joint[int(y[i]), true] += w[i]
    wrong, flagged = [], np.zeros(len(y), bool)
    for v in (0, 1):
        given_v = [i for i in range(len(y)) if y[i] == v]
        total = sum(w[i] for i in given_v)
        share = joint[v, 1 - v] / joint[v].sum() if joint[v].sum() else 0.0
        wrong.append(share * total)
        passed = 0.0
        for i in sorted(given_v, key=lambda i, v=v: sure[v, i]):
            if passed + w[i] / 2 <= wrong[v] + 1e-9 and sure[v, i] < 0.5:
                flagged[i] = True
            passed += w[i]
    return wrong, flagged


def by_cell(table, field):
    return {(int(row["sample"]), int(row["label"])): row[field].item() for row in table}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weighted", [False, True])
def test_audit_is_confident_learning_on_the_labeled_cells_of_each_label(seed, weighted):
    proba, Y = problem(seed=seed)
    weights = np.random.default_rng(seed).integers(1, 4, Y.shape) * 1.0
    audit = audit_cells(proba, Y, sample_weight=weights if weighted else None)
    issues = by_cell(audit.table, "issue")
    for label in range(Y.shape[1]):
        rows = np.flatnonzero(~np.isnan(Y[:, label]))
        w = weights[rows, label] if weighted else None
        wrong, flagged = one_label(Y[rows, label], proba[rows, label], w)
        noise = audit.noise[label]
        assert noise["wrong_negative"] == pytest.approx(wrong[0], abs=1e-12)
        assert noise["wrong_positive"] == pytest.approx(wrong[1], abs=1e-12)
        given_w = np.ones(len(rows)) if w is None else w
        negative, positive = (given_w[Y[rows, label] == v].sum() for v in (0, 1))
        assert (noise["negative"], noise["positive"]) == (negative, positive)
        assert noise["rate_negative"] == pytest.approx(wrong[0] / negative)
        assert noise["rate_positive"] == pytest.approx(wrong[1] / positive)
        assert noise["rate"] == pytest.approx(sum(wrong) / (negative + positive))
        assert [issues[row, label] for row in rows] == flagged.tolist()


def test_table_ranks_by_self_confidence():
    proba, Y = problem()
    table = audit_cells(proba, Y).table
    assert sorted(zip(table["sample"], table["label"], strict=True)) == [
        tuple(cell) for cell in np.argwhere(~np.isnan(Y))
    ]
    cells = table["sample"], table["label"]
    np.testing.assert_array_equal(table["value"], Y[cells])
    np.testing.assert_array_equal(table["probability"], proba[cells])
    rescaled = table["rescaled"]
    own = np.where(Y[cells] == 1, rescaled, 1 - rescaled)
    np.testing.assert_array_equal(table["self_confidence"], own)
    assert (np.diff(own) >= 0).all()
    given = np.where(Y[cells] == 1, proba[cells], 1 - proba[cells])
    assert 0 < table["issue"].sum() < len(table)
    assert (given[table["issue"]] < 0.5).all()
    for label in range(4):
        for value in (0, 1):
            group = (table["label"] == label) & (table["value"] == value)
            assert table["margin"][group] == pytest.approx(
                given[group] - given[group].mean()
            )


@pytest.mark.parametrize("weighted", [False, True])
def test_rescaled_probabilities_are_a_ridge_regression_on_logits(weighted):
    proba, Y = problem(120)
    weights = np.random.default_rng(1).random(Y.shape) + 0.5 if weighted else None
    table = audit_cells(proba, Y, sample_weight=weights).table
    cells = table["sample"], table["label"]
    w = np.ones(len(table)) if weights is None else weights[cells]
    score = logit(np.clip(proba[cells], 1e-6, 1 - 1e-6))

    def loss(theta):
        moved = (1 + theta[0]) * score + theta[1:][cells[1]]
        each = np.log1p(np.exp(-np.where(Y[cells] == 1, moved, -moved)))
        return (w * each).sum() + (theta**2).sum() / 2

    best = minimize(loss, np.zeros(5), tol=1e-10).x
    expected = expit((1 + best[0]) * score + best[1:][cells[1]])
    np.testing.assert_allclose(table["rescaled"], expected, atol=1e-5)


def test_a_label_whose_model_is_too_sure_of_itself_does_not_come_first_alone():
    rng = np.random.default_rng(0)
    truth = (rng.random((2000, 2)) < 0.5) * 1.0
    score = 3 * truth - 1.5 + rng.normal(0, 1.2, truth.shape)
    score[:, 1] += 4  # the model of label 1 says yes to nearly everything
    wrong = rng.random(truth.shape) < 0.05
    Y = np.where(wrong, 1 - truth, truth)
    first = audit_cells(expit(score), Y).table[: wrong.sum()]
    found = wrong[first["sample"], first["label"]].mean()
    by_chance = wrong.mean()
    own = np.where(Y == 1, expit(score), 1 - expit(score))
    plain = wrong.ravel()[np.argsort(own.ravel())[: wrong.sum()]].mean()
    assert found > plain + 0.1 > by_chance + 0.1


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    labeled=st.floats(0, 1),
    junk=st.sampled_from([np.nan, np.inf, -7.0, 0.5]),
)
def test_the_law_an_audit_is_that_of_the_labeled_cells_alone(seed, labeled, junk):
    proba, Y = problem(15, 3, labeled, seed)
    expected = audit_cells(proba, Y)
    dirty = np.where(np.isnan(Y), junk, proba)
    assert audit_cells(dirty, Y).table.tobytes() == expected.table.tobytes()
    labels = MaskedLabels.from_dense(Y)
    cells = labels.cells()
    by_cells = audit_cells(proba[cells.rows, cells.cols], labels)
    assert by_cells.table.tobytes() == expected.table.tobytes()
    assert by_cells.noise.tobytes() == expected.noise.tobytes()
    # Noise and flags label by label, on its labeled rows alone.
    for label in range(3):
        rows = np.flatnonzero(~np.isnan(Y[:, label]))
        alone = audit_cells(proba[rows][:, [label]], Y[rows][:, [label]])
        mine = expected.table[expected.table["label"] == label]
        order, other = np.argsort(mine["sample"]), np.argsort(alone.table["sample"])
        assert rows[alone.table["sample"][other]].tolist() == (
            mine["sample"][order].tolist()
        )
        for field in ("value", "probability", "margin", "issue"):
            np.testing.assert_array_equal(alone.table[field][other], mine[field][order])
        for field in expected.noise.dtype.names[1:]:
            np.testing.assert_array_equal(
                alone.noise[field], expected.noise[field][[label]]
            )


def test_every_form_of_labels_gives_the_same_audit():
    proba, Y = problem()
    rows, cols = np.nonzero(~np.isnan(Y))
    stored = sp.csr_array((Y[rows, cols], (rows, cols)), shape=Y.shape)
    hidden = sp.csr_array(np.where(np.isnan(Y), -1, Y))
    forms = [
        Y,
        pd.DataFrame(Y),
        np.where(np.isnan(Y), -1, Y).astype(int),
        MaskedLabels.from_sparse(stored, implicit="unlabeled"),
        MaskedLabels.from_sparse(hidden, implicit="negative"),
    ]
    audits = [audit_cells(proba, form) for form in forms]
    assert len({audit.table.tobytes() for audit in audits}) == 1
    fixed = [audit.fix() for audit in audits]
    assert all(labels == fixed[0] for labels in fixed)
    unlabeled = [audit.fix(action="unlabel") for audit in audits]
    assert all(labels == unlabeled[0] for labels in unlabeled)


def test_weight_zero_is_as_good_as_unlabeled():
    proba, Y = problem()
    weights = np.random.default_rng(0).integers(0, 3, Y.shape) * 1.0
    dropped = np.where(weights == 0, np.nan, Y)
    one = audit_cells(proba, Y, sample_weight=weights)
    other = audit_cells(proba, dropped, sample_weight=weights)
    inside = audit_cells(proba, MaskedLabels.from_dense(Y, weights=weights))
    assert one.table.tobytes() == other.table.tobytes() == inside.table.tobytes()
    assert one.noise.tobytes() == inside.noise.tobytes()


def test_labels_of_one_value_or_none_are_not_judged():
    proba = np.full((6, 3), 0.9)
    Y = np.full((6, 3), np.nan)
    Y[:, 0], Y[:3, 1] = 0, 1
    audit = audit_cells(proba, Y)
    assert not audit.table["issue"].any()
    np.testing.assert_array_equal(audit.noise["rate"], [0, 0, np.nan])
    np.testing.assert_array_equal(audit.noise["rate_positive"], [np.nan, 0, np.nan])
    empty = audit_cells(proba, Y * np.nan)
    assert len(empty.table) == 0 and repr(empty) == (
        "CellAudit(0 labeled cells, 0 flagged, 0.0 estimated wrong)"
    )
    assert empty.fix() == MaskedLabels.from_dense(Y * np.nan)


def test_planted_errors_are_found_and_estimated():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 6))
    truth = (X @ rng.normal(size=(6, 3)) + 0.3 * rng.normal(size=(900, 3)) > 0) * 1.0
    labeled = rng.random(truth.shape) < 0.5
    planted = labeled & (rng.random(truth.shape) < 0.1)
    Y = np.where(labeled, np.where(planted, 1 - truth, truth), np.nan)
    proba = cross_val_predict(
        MaskedMultiOutputClassifier(LogisticRegression()),
        X,
        Y,
        cv=5,
        method="predict_proba",
    )
    audit = audit_cells(proba, Y)
    n_planted = int(planted.sum())
    first = audit.table[:n_planted]
    assert planted[first["sample"], first["label"]].mean() > 0.7
    assert 0.5 * n_planted < audit.noise["wrong_negative"].sum() * 2 < 2 * n_planted
    fixed = audit.fix().to_dense()
    wrong_before = (Y != truth)[labeled].mean()
    assert (fixed != truth)[labeled].mean() < 0.5 * wrong_before
    np.testing.assert_array_equal(np.isnan(fixed), np.isnan(Y))


# Fixes


def stored_as_negative(Y, names, weights):
    stored = sp.csr_array(np.where(np.isnan(Y), -1, Y))
    labels = MaskedLabels.from_sparse(stored, implicit="negative", label_names=names)
    if weights is None:
        return labels
    return MaskedLabels(
        labels.indptr,
        labels.indices,
        labels.values,
        labels.shape,
        fill="negative",
        weights=weights[stored.nonzero()],
        label_names=labels.label_names,
    )


@pytest.mark.parametrize("fill", ["unlabeled", "negative"])
@pytest.mark.parametrize("weighted", [False, True])
def test_fix_changes_these_cells_and_no_other(fill, weighted):
    proba, Y = problem()
    names = ["war", "crime", "sport", "art"]
    weights = np.random.default_rng(0).random(Y.shape) + 0.5 if weighted else None
    labels = MaskedLabels.from_dense(Y, label_names=names, weights=weights)
    if fill == "negative":
        labels = stored_as_negative(Y, names, weights)
        # A cell that is not stored, a negative here, has no weight of its own.
        weights = np.where(Y == 0, 1, weights) if weighted else None
    audit = audit_cells(proba, labels)
    assert audit.table.label_names.tolist() == names
    agreed = np.arange(len(audit.table)) % 3 == 0
    selections = {
        "flagged": (None, audit.table[audit.table["issue"]]),
        "first": (7, audit.table[:7]),
        "slice": (slice(2, 9, 2), audit.table[2:9:2]),
        "booleans": (agreed, audit.table[agreed]),
        "positions": ([4, 1], audit.table[[4, 1]]),
        "table": (audit.table[agreed], audit.table[agreed]),
        "twice": (audit.table[[1, 1]], audit.table[[1]]),
        "none": (0, audit.table[:0]),
    }
    for which, part in selections.values():
        for action in ("flip", "unlabel"):
            expected = Y.copy()
            cells = part["sample"], part["label"]
            expected[cells] = 1 - Y[cells] if action == "flip" else np.nan
            fixed = audit.fix(which, action=action)
            again = MaskedLabels.from_dense(
                expected, label_names=names, weights=weights
            )
            assert fixed == again
            assert fixed.fill == fill and audit.labels == labels


def test_frames_of_an_audit():
    proba, Y = problem(6, 2, labeled=1.1)
    labels = MaskedLabels.from_dense(Y, label_names=["war", "crime"])
    audit = audit_cells(proba, labels)
    frame = audit.table.to_frame(sample_ids=list("abcdef"))
    assert frame.columns.tolist() == [
        "sample",
        "label",
        "value",
        "probability",
        "rescaled",
        "self_confidence",
        "margin",
        "issue",
    ]
    assert frame["sample"][0] == "abcdef"[audit.table["sample"][0]]
    noise = audit.noise.to_frame(sample_ids=list("abcdef"))
    assert noise["label"].tolist() == ["war", "crime"]
    assert isinstance(audit, CellAudit) and isinstance(audit.noise, CellTable)


# Errors


@pytest.mark.parametrize(
    ("which", "action", "message"),
    [
        (None, "drop", '`action` accepts "flip" or "unlabel"; got \'drop\'.'),
        (-1, "flip", "`which` accepts a number from 0; got -1."),
    ],
)
def test_errors_of_fix(which, action, message):
    audit = audit_cells(*problem())
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        audit.fix(which, action=action)


def test_fix_refuses_cells_that_are_not_as_the_labels_say():
    proba, Y = problem()
    audit = audit_cells(proba, Y)
    fixed = audit_cells(proba, audit.fix(1))
    sample, label, value = audit.table[0].item()[:3]
    message = (
        "`which` accepts cells of the audited labels; got value "
        f"{value} at sample {sample}, label {label}, which is {{}} there."
    )
    with pytest.raises(ValueError) as raised:
        fixed.fix(audit.table[:1])
    assert str(raised.value) == message.format(1 - value)
    gone = audit_cells(proba, audit.fix(1, action="unlabel"))
    with pytest.raises(ValueError) as raised:
        gone.fix(audit.table[:1])
    assert str(raised.value) == message.format("unlabeled")


def test_errors_of_an_audit():
    proba, Y = problem(5, 3, labeled=1.1)
    message = "^`proba` accepts shape .5, 3., as `y_true` has, or one value for each of"
    with pytest.raises(ValueError, match=message):
        audit_cells(proba[:, :2], Y)
    bad = proba.copy()
    bad[2, 1] = np.nan
    accepted = "`proba` accepts probabilities between 0 and 1 in labeled cells; got "
    with pytest.raises(ValueError) as raised:
        audit_cells(bad, Y)
    assert str(raised.value) == f"{accepted}nan at sample 2, label 1."
    with pytest.raises(TypeError, match="^`proba` accepts numbers in labeled cells"):
        audit_cells(np.full((5, 3), "a"), Y)
    with pytest.raises(ValueError, match="^`sample_weight` must have shape"):
        audit_cells(proba, Y, sample_weight=np.ones(4))
    with pytest.raises(ValueError, match="must be 2-D"):
        audit_cells(proba[:, 0], Y[:, 0])
