"""Precision, recall and prevalence from an audit: law, oracles, coverage, edges."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.metrics as skm

from sklearn_masked.calibration import inverse_propensity_weights
from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.inspection import audited_performance
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics.bootstrap import wilson

NAN = np.nan
SHARES = ("precision", "recall", "prevalence")


def traffic(n_rows=3000, n_labels=3, share=0.15, seed=0):
    """Truths, decisions and scores of all rows."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n_rows, n_labels)) < share
    scores = 1 / (1 + np.exp(3 - 4 * truth - 1.5 * rng.normal(size=truth.shape)))
    return truth.astype(float), (scores > 0.5).astype(float), scores


def audit_of(truth, n_audited, seed=0):
    """Labels of some random rows; NaN in all others."""
    labels = np.full(truth.shape, NAN)
    rng = np.random.default_rng(seed)
    for label in range(truth.shape[1]):
        rows = rng.choice(len(truth), n_audited, replace=False)
        labels[rows, label] = truth[rows, label]
    return labels


# The law


@pytest.mark.parametrize("scored", [False, True])
def test_an_audit_of_all_rows_gives_the_ordinary_metrics(scored):
    truth, decided, scores = traffic(n_rows=400)
    report = audited_performance(truth, decided, scores if scored else None)
    for label in range(truth.shape[1]):
        y, pred = truth[:, label], decided[:, label]
        expected = skm.precision_score(y, pred), skm.recall_score(y, pred), y.mean()
        found = [report[name][label] for name in SHARES]
        assert found == pytest.approx(expected, abs=1e-12)
    ends = wilson(report["precision"], decided.sum(axis=0), 0.95)
    np.testing.assert_allclose(report["precision_low"], ends[0], atol=1e-12)
    # As wide as those of recall and prevalence by themselves, nearly: the decisions
    # are a sample of traffic too.
    for name, n_cells in (("recall", truth.sum(axis=0)), ("prevalence", 400)):
        low, high = wilson(report[name], n_cells, 0.95)
        width = report[f"{name}_high"] - report[f"{name}_low"]
        np.testing.assert_allclose(width, high - low, rtol=0.05)


@pytest.mark.parametrize(
    "form",
    [
        lambda Y: Y,
        lambda Y: np.where(np.isnan(Y), -1, Y).astype(int),
        lambda Y: np.ma.array(np.where(np.isnan(Y), 7, Y), mask=np.isnan(Y)),
        lambda Y: pd.DataFrame(Y),
        lambda Y: sp.csr_array(np.where(np.isnan(Y), -1, Y)),
        MaskedLabels.from_dense,
    ],
)
def test_form_of_labels_and_of_predictions_change_nothing(form):
    truth, decided, scores = traffic()
    audit = audit_of(truth, 300)
    want = audited_performance(audit, decided, scores).to_records()
    found = audited_performance(form(audit), decided, scores).to_records()
    np.testing.assert_array_equal(found, want)
    for change in (sp.csr_array, sp.coo_matrix, pd.DataFrame, np.ndarray.tolist):
        found = audited_performance(form(audit), change(decided), change(scores))
        np.testing.assert_array_equal(found.to_records(), want)


def moved(truth, scores, every, w):
    """Return a share that scores correct where that lowers its variance (PPI++)."""
    mean, center = np.sum(w * truth), np.sum(w * scores)
    moves = scores - center
    spread = max(np.sum(w**2 * moves**2), np.sum(w**2) * np.var(every))
    slope = np.sum(w**2 * moves * (truth - mean)) / spread
    found = mean + slope * (every.mean() - center)
    errors = (truth - mean - slope * moves) / (1 - w - w**2 * moves**2 / spread)
    variance = np.sum(w**2 * errors**2) + slope**2 * np.var(every) / len(every)
    return found if variance < found * (1 - found) * np.sum(w**2) else mean


def by_hand(truth, rows, decided, scores, weights):
    """Return precision, recall, prevalence of one label in plain arithmetic."""
    shares = []
    for side in (1, 0):
        own = [row for row in rows if decided[row] == side]
        w = weights[own] / weights[own].sum()
        n_rarer = min((truth[own] == value).sum() for value in (0, 1))
        if scores is None or n_rarer < 5:
            shares.append(np.sum(w * truth[own]))
        else:
            shares.append(moved(truth[own], scores[own], scores[decided == side], w))
    hit, missed = decided.mean() * shares[0], (1 - decided.mean()) * shares[1]
    return shares[0], hit / (hit + missed), hit + missed


@pytest.mark.parametrize("scored", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_estimates_equal_plain_arithmetic(scored, weighted):
    truth, decided, scores = traffic()
    audit = audit_of(truth, 300)
    weights = np.ones(len(truth))
    if weighted:
        weights = np.random.default_rng(1).choice([0.5, 1.0, 2.0], len(truth))
    report = audited_performance(
        audit,
        decided,
        scores if scored else None,
        sample_weight=weights if weighted else None,
    )
    for label in range(truth.shape[1]):
        expected = by_hand(
            truth[:, label],
            np.flatnonzero(~np.isnan(audit[:, label])),
            decided[:, label],
            scores[:, label] if scored else None,
            weights,
        )
        found = [report[name][label] for name in SHARES]
        assert found == pytest.approx(expected, abs=1e-12)


def test_weights_of_labels_and_rows_multiply_and_their_scale_does_not_matter():
    truth, decided, scores = traffic()
    audit = audit_of(truth, 300)
    chances = np.random.default_rng(2).uniform(0.1, 1, truth.shape)
    labels = inverse_propensity_weights(audit, chances)
    want = audited_performance(labels, decided, scores)
    for given, weight in ((labels, np.full(len(truth), 3.0)), (audit, 1 / chances)):
        found = audited_performance(given, decided, scores, sample_weight=weight)
        for name in want:
            np.testing.assert_allclose(found[name], want[name], rtol=1e-12)
    some = np.random.default_rng(3).random(len(truth)) < 0.5
    found = audited_performance(audit, decided, scores, sample_weight=some * 1.0)
    audit[~some] = NAN
    want = audited_performance(audit, decided, scores)
    np.testing.assert_array_equal(found.to_records(), want.to_records())


# What it is for


def test_intervals_cover_as_stated_and_are_narrower_than_the_audit_alone():
    """300 draws as 300 labels; benchmarks/audit.py has the grid of settings."""
    truth, decided, scores = traffic(n_rows=4000, n_labels=300, share=0.1, seed=1)
    audit = audit_of(truth, 300)
    report = audited_performance(audit, decided, scores)
    big, chosen, _ = traffic(n_rows=400_000, n_labels=1, share=0.1, seed=2)
    true = {
        "precision": skm.precision_score(big, chosen),
        "recall": skm.recall_score(big, chosen),
        "prevalence": 0.1,
    }
    known = ~np.isnan(audit)
    hit = (known & (audit == 1) & (decided == 1)).sum(axis=0)
    positive = (audit == 1).sum(axis=0)
    alone = {
        "precision": (hit, (known & (decided == 1)).sum(axis=0)),
        "recall": (hit, positive),
        "prevalence": (positive, known.sum(axis=0)),
    }
    narrower = {"precision": 1.0, "recall": 0.9, "prevalence": 0.8}
    for name in SHARES:
        low, high = report[f"{name}_low"], report[f"{name}_high"]
        assert 0.92 <= np.mean((low <= true[name]) & (true[name] <= high)) <= 0.99
        part, whole = alone[name]
        own = wilson(part / whole, whole, 0.95)
        assert np.mean(high - low) < narrower[name] * np.mean(own[1] - own[0])


def test_sought_cells_would_say_too_much_and_the_audit_does_not():
    truth, decided, scores = traffic(n_rows=20000, n_labels=1, share=0.05)
    report = audited_performance(audit_of(truth, 1000), decided, scores)
    true = skm.precision_score(truth, decided), skm.recall_score(truth, decided)
    for name, value in zip(SHARES, (*true, truth.mean()), strict=False):
        assert report[f"{name}_low"][0] < value < report[f"{name}_high"][0]


def test_scores_that_say_nothing_or_the_contrary_change_little():
    truth, decided, scores = traffic()
    audit = audit_of(truth, 300)
    plain = audited_performance(audit, decided)
    contrary = audited_performance(audit, decided, -scores)
    constant = audited_performance(audit, decided, np.full(truth.shape, 0.3))
    np.testing.assert_array_equal(contrary.to_records(), plain.to_records())
    np.testing.assert_array_equal(constant.to_records(), plain.to_records())


def test_scores_that_are_the_truth_do_not_make_the_audit_certain():
    truth, decided, _ = traffic()
    report = audited_performance(audit_of(truth, 300), decided, truth)
    assert (report["precision_high"] - report["precision_low"] > 0.01).all()


# Edges


def one_label(audited, decided):
    """Labels and decisions of ten rows, of which the first are audited."""
    y = np.full((10, 1), NAN)
    y[: len(audited), 0] = audited
    return y, np.array(decided, dtype=float)[:, None]


@pytest.mark.parametrize(
    ("audited", "decided", "expected"),
    [
        # Nothing is predicted positive: no precision, and no positive is found.
        ([1, 0, 0, 0], [0] * 10, (NAN, 0.0, 0.25)),
        # All is: recall is 1.
        ([1, 0, 0, 0], [1] * 10, (0.25, 1.0, 0.25)),
        # No audited cell among the decisions: the audit is not stratified.
        ([1, 0, 0, 0], [0] * 8 + [1] * 2, (NAN, NAN, 0.25)),
        ([1, 0, 0, 0], [1] * 4 + [0] * 6, (0.25, NAN, 0.25)),
        # No positive: recall is unknown.
        ([0, 0, 0, 0], [1, 0] * 5, (0.0, NAN, 0.0)),
        # No audited cell.
        ([], [1, 0] * 5, (NAN, NAN, NAN)),
        # No miss: one half of the rows is positive.
        ([1, 0, 1, 0], [1, 0] * 5, (1.0, 1.0, 0.5)),
    ],
)
def test_what_the_audit_does_not_tell_is_nan(audited, decided, expected):
    y, y_pred = one_label(audited, decided)
    if np.isnan(expected[:2]).any():
        with pytest.warns(UnscoredLabelsWarning, match=r"^1 of 1 labels lack") as seen:
            report = audited_performance(y, y_pred, y_pred * 0.5)
        assert len(seen) == 1 and seen[0].filename == __file__
    else:
        report = audited_performance(y, y_pred, y_pred * 0.5)
    for name, value in zip(SHARES, expected, strict=True):
        assert report[name][0] == pytest.approx(value, nan_ok=True)
        low, high = report[f"{name}_low"][0], report[f"{name}_high"][0]
        if np.isnan(value):
            assert np.isnan(low) and np.isnan(high)
        else:
            assert 0 <= low <= value <= high <= 1 and low < high


def test_no_interval_ends_outside_0_and_1_or_without_its_estimate():
    rng = np.random.default_rng(0)
    truth, decided, scores = traffic(n_rows=60, n_labels=400, share=0.3)
    audit = np.where(rng.random(truth.shape) < rng.random(400), truth, NAN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnscoredLabelsWarning)
        report = audited_performance(audit, decided, scores)
    for name in SHARES:
        known = ~np.isnan(report[name])
        low, share, high = (
            report[f"{name}{end}"][known] for end in ("_low", "", "_high")
        )
        assert known.sum() > 300
        assert ((low >= 0) & (low <= share) & (share <= high) & (high <= 1)).all()
        assert (low < high).all()


def test_a_binary_target_of_names():
    truth, decided, scores = traffic(n_labels=1)
    audit = audit_of(truth, 300)
    want = audited_performance(audit, decided, scores).to_records()
    named = np.array(["no", "yes"], dtype=object)
    y = np.where(
        np.isnan(audit[:, 0]), None, named[np.nan_to_num(audit[:, 0]).astype(int)]
    )
    y_pred = named[decided[:, 0].astype(int)]
    for score in (scores[:, 0], np.hstack([1 - scores, scores])):
        found = audited_performance(y, y_pred, score)
        np.testing.assert_array_equal(found.to_records(), want)
    only_no = np.where(y == "no", y, None)
    with pytest.warns(UnscoredLabelsWarning):
        report = audited_performance(only_no, y_pred)
    assert report["precision"][0] == report["prevalence"][0] == 0


def test_printed_table_and_frame():
    truth, decided, scores = traffic()
    labels = MaskedLabels.from_dense(audit_of(truth, 300))
    labels = labels.with_label_names(["arms", "a name that is long", "war"])
    report = audited_performance(labels, decided, scores, confidence_level=0.9)
    lines = repr(report).splitlines()
    assert lines[0].split() == [
        *("label", "audited", "predicted", "prec.", "recall", "preval.")
    ]
    assert lines[1].split() == [
        *("arms", "300", str(int(decided[:, 0].sum()))),
        *(f"{report[name][0]:.4f}" for name in SHARES),
    ]
    assert lines[2].split()[0] == "low" and lines[3].split()[0] == "high"
    assert lines[-1] == "[3 labels, 3000 rows; low to high: 90 % intervals]"
    assert report.to_frame().loc["war", "recall_high"] == report["recall_high"][2]
    many = audited_performance(np.tile(audit_of(truth, 300), 30), np.tile(decided, 30))
    lines = repr(many).splitlines()
    assert len(lines) == 1 + 15 + 1 + 15 + 2 and lines[16] == "..."


def test_a_higher_level_is_wider():
    truth, decided, scores = traffic()
    audit = audit_of(truth, 300)
    wide, narrow = (
        audited_performance(audit, decided, scores, confidence_level=level)
        for level in (0.99, 0.5)
    )
    for name in SHARES:
        assert (wide[f"{name}_low"] < narrow[f"{name}_low"]).all()
        assert (wide[f"{name}_high"] > narrow[f"{name}_high"]).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"y_pred": np.zeros((3, 1))},
            ValueError,
            "`y_pred` accepts predictions of all rows, shape (3, 2), as `y` has; got "
            "shape (3, 1).",
        ),
        (
            {"y_pred": [[0, 1], [0.5, 1], [0, 0]]},
            ValueError,
            "`y_pred` accepts 0 and 1 in all rows, audited or not; got 0.5 at sample "
            "1, label 0.",
        ),
        (
            {"y_score": [[0, 1], [0.5, 1], [0, NAN]]},
            ValueError,
            "`y_score` accepts finite numbers in all rows, audited or not; got nan at "
            "sample 2, label 1.",
        ),
        (
            {"y_score": np.full((3, 2), "high")},
            TypeError,
            "`y_score` accepts numbers; got an array of dtype <U4.",
        ),
        (
            {"y_pred": [[0, 1], [None, 1], [0, 0]]},
            ValueError,
            "`y_pred` accepts 0 and 1 in all rows, audited or not; got nan at sample "
            "1, label 0.",
        ),
        (
            {"y_score": [[0, "high"], [1, 1], [0, 0]]},
            TypeError,
            "`y_score` accepts numbers; got an array of dtype <U21.",
        ),
        (
            {"confidence_level": 95},
            ValueError,
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            "95.",
        ),
        (
            {"y": [0, 1, None], "y_pred": [0, 1, 2]},
            ValueError,
            "`y_pred` accepts the classes of `y`, [0, 1]; got [0, 1, 2].",
        ),
        (
            {"y": [0, 1, None], "y_pred": [0, 1]},
            ValueError,
            "`y_pred` accepts one decision per sample for a 1-D `y`, shape (3,); got "
            "shape (2,).",
        ),
        (
            {"y": [0, 1, None], "y_pred": [0, 1, 1], "y_score": [[0.1] * 3] * 3},
            ValueError,
            "`y_score` accepts one score per sample for a 1-D `y`, shape (3,) or two "
            "columns; got shape (3, 3).",
        ),
    ],
)
def test_errors(change, error, message):
    given = {"y": [[0, 1], [1, NAN], [NAN, 0]], "y_pred": [[0, 1], [1, 1], [0, 0]]}
    with pytest.raises(error) as caught:
        audited_performance(**{**given, **change})
    assert str(caught.value) == message
