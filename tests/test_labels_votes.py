"""Votes of several voters per cell: soft labels, and the voters' quality."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from test_law import FORMS as LABEL_FORMS

from sklearn_masked import MaskedLabels
from sklearn_masked.exceptions import RowOrderWarning
from sklearn_masked.labels import VoteAggregation, aggregate_votes

NAN = np.nan
ANN = [[1, NAN], [0, 1], [1, 0], [NAN, NAN]]
BOB = [[1, 0], [0, 1], [0, NAN], [NAN, NAN]]


def message_of(call, *args, **kwargs):
    with pytest.raises(ValueError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def planted(seed=0, n=80, n_labels=3, n_voters=4, share=0.5, prevalence=0.4, **quality):
    """Return votes (n_voters, n, n_labels), the truth and the voters' quality."""
    rng = np.random.RandomState(seed)
    truth = rng.rand(n, n_labels) < prevalence
    right = quality.get("right", rng.uniform(0.65, 0.95, (n_voters, n_labels)))
    right = np.broadcast_to(right, (n_voters, n_labels))
    correct = rng.rand(n_voters, n, n_labels) < right[:, None, :]
    votes = np.where(correct, truth, ~truth).astype(float)
    votes[rng.rand(*votes.shape) > share] = NAN
    return votes, truth, right


# A slow oracle: dicts and loops, beside the arrays of the package.


def mean_towards(count, right, pseudo, mean):
    return (right + pseudo * mean) / (count + pseudo)


def slow_rates(votes, weight, positive, prior):
    """Return {(voter, label): rate} of being right where truth is `positive`."""
    count, right = {}, {}
    for (voter, row, label), vote in votes.items():
        w = weight[row, label] if positive else 1 - weight[row, label]
        key = voter, label
        count[key] = count.get(key, 0) + w
        right[key] = right.get(key, 0) + w * (vote == positive)
    voters = sorted({voter for voter, _ in count})
    of_voter = {}
    for v in voters:
        keys = [key for key in count if key[0] == v]
        shares = {key: 10 / (count[key] + 10) for key in keys}
        of_voter[v] = (
            sum(shares[key] * count[key] for key in keys),
            sum(shares[key] * right[key] for key in keys),
        )
    shares = {v: 100 / (of_voter[v][0] + 100) for v in voters}
    overall = mean_towards(
        sum(shares[v] * of_voter[v][0] for v in voters),
        sum(shares[v] * of_voter[v][1] for v in voters),
        100,
        prior,
    )
    means = {v: mean_towards(*of_voter[v], 100, overall) for v in voters}
    return {
        key: mean_towards(count[key], right[key], 10, means[key[0]]) for key in count
    }


def slow_aggregate(array, n_iter):
    """Return {(row, label): probability}, rates and prevalence after n iterations."""
    n_voters, n, n_labels = array.shape
    votes = {
        (j, i, k): int(array[j, i, k])
        for j in range(n_voters)
        for i in range(n)
        for k in range(n_labels)
        if not math.isnan(array[j, i, k])
    }
    cells = sorted({(i, k) for _, i, k in votes})
    pooled = (sum(votes.values()) + 0.5) / (len(votes) + 1)
    share = {}
    for k in range(n_labels):
        own = [vote for (_, _, label), vote in votes.items() if label == k]
        share[k] = mean_towards(len(own), sum(own), 10, pooled)
    a = {(j, k): 0.6 + 0.4 * share[k] for j in range(n_voters) for k in share}
    b = {(j, k): 0.6 + 0.4 * (1 - share[k]) for j in range(n_voters) for k in share}
    prevalence = dict(share)

    def expect():
        found = {}
        for i, k in cells:
            yes, no = prevalence[k], 1 - prevalence[k]
            for j in range(n_voters):
                if (j, i, k) in votes:
                    vote = votes[j, i, k]
                    yes *= a[j, k] if vote else 1 - a[j, k]
                    no *= 1 - b[j, k] if vote else b[j, k]
            found[i, k] = yes / (yes + no)
        return found

    probability = expect()
    for _ in range(n_iter):
        a = slow_rates(votes, probability, 1, 0.6 + 0.4 * pooled)
        b = slow_rates(votes, probability, 0, 0.6 + 0.4 * (1 - pooled))
        for k in range(n_labels):
            own = [p for (_, label), p in probability.items() if label == k]
            pseudo = 1 / min(share[k], 1 - share[k])
            prevalence[k] = mean_towards(len(own), sum(own), pseudo, share[k])
        probability = expect()
    return probability, a, b, prevalence


@given(
    st.integers(0, 1000),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([0.2, 0.6, 1.0]),
    st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
@settings(max_examples=25, deadline=None)
def test_the_estimate_equals_that_of_a_loop(
    seed, n_voters, n_labels, share, prevalence
):
    votes, _, _ = planted(seed, 12, n_labels, n_voters, share, prevalence)
    found = aggregate_votes(votes, tol=1e-3)
    if not found.labels.n_cells:
        return
    probability, a, b, expected = slow_aggregate(votes, found.n_iter)
    cells = found.labels.cells()
    keys = list(zip(cells.rows.tolist(), cells.cols.tolist(), strict=True))
    assert keys == sorted(probability)
    np.testing.assert_allclose(
        cells.values, [probability[key] for key in keys], rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(found.prevalence, list(expected.values()), atol=1e-9)
    pairs = list(zip(found.pair_voter.tolist(), found.pair_label.tolist(), strict=True))
    assert set(pairs) == set(a)
    np.testing.assert_allclose(found.pair_sensitivity, [a[p] for p in pairs], atol=1e-9)
    np.testing.assert_allclose(found.pair_specificity, [b[p] for p in pairs], atol=1e-9)
    counts = (~np.isnan(votes)).sum(1)
    assert found.pair_votes.tolist() == [counts[pair] for pair in pairs]


def test_it_has_converged_to_a_fixed_point():
    votes, _, _ = planted(n=300)
    found, more = aggregate_votes(votes), aggregate_votes(votes, tol=1e-9)
    assert found.converged and more.converged and more.n_iter > found.n_iter
    np.testing.assert_allclose(
        found.labels.values, more.labels.values, rtol=0, atol=0.01
    )
    with pytest.warns(ConvergenceWarning) as caught:
        short = aggregate_votes(votes, max_iter=1)
    assert str(caught[0].message) == (
        "The aggregation of votes had not converged after 1 iterations. Raise "
        "`max_iter` or `tol`."
    )
    assert not short.converged and short.n_iter == 1


def test_voters_of_planted_quality_are_told_apart():
    right = np.array([[0.95, 0.6], [0.6, 0.95], [0.75, 0.75], [0.75, 0.75]])
    votes, truth, _ = planted(n=3000, n_labels=2, share=0.6, right=right)
    found = aggregate_votes(votes)
    np.testing.assert_allclose(found.sensitivity, right, atol=0.06)
    np.testing.assert_allclose(found.specificity, right, atol=0.06)
    np.testing.assert_allclose(found.prevalence, [0.4, 0.4], atol=0.03)
    cells = found.labels.cells()
    true = truth[cells.rows, cells.cols]
    yes = np.nansum(votes, 0)[cells.rows, cells.cols]
    n_votes = (~np.isnan(votes)).sum(0)[cells.rows, cells.cols]
    majority = (yes > n_votes / 2) + 0.5 * (yes == n_votes / 2)
    assert ((cells.values > 0.5) == true).mean() > 0.04 + (
        1 - np.abs(majority - true).mean()
    )


def of_each(build):
    return lambda votes: [build(one) for one in votes]


FORMS = {
    "array": lambda votes: votes,
    "dict": lambda votes: dict(enumerate(votes)),
    **{name: of_each(build) for name, build in LABEL_FORMS.items()},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_matrices_and_records_are_the_same_votes(form):
    votes, _, _ = planted()
    voter, rows, cols = np.nonzero(~np.isnan(votes))
    found = aggregate_votes(
        votes[voter, rows, cols],
        samples=rows,
        labels=cols,
        voters=voter,
        shape=votes.shape[1:],
    )
    other = aggregate_votes(form(votes))
    assert other.labels.with_label_names(None) == found.labels
    assert isinstance(other, VoteAggregation)
    assert other.voters.tolist() == found.voters.tolist() == [0, 1, 2, 3]
    assert MaskedLabels.from_votes(form(votes)) == other.labels
    np.testing.assert_array_equal(other.sensitivity, found.sensitivity)


def test_the_order_of_records_and_voters_decides_nothing():
    votes, _, _ = planted()
    voter, rows, cols = np.nonzero(~np.isnan(votes))
    order = np.random.RandomState(0).permutation(len(voter))
    names = np.array(["zoe", "ann", "rule 1", "bob"], dtype=object)
    ids = [f"text {i}" for i in range(len(votes[0]))]
    shown = aggregate_votes(
        votes[voter, rows, cols][order],
        samples=np.array(ids, dtype=object)[rows[order]],
        labels=np.array(["a", "b", "c"], dtype=object)[cols[order]],
        voters=names[voter[order]],
        sample_ids=ids,
        label_names=["a", "b", "c"],
    )
    plain = aggregate_votes(votes)
    np.testing.assert_allclose(
        shown.labels.to_dense(),
        plain.labels.to_dense(),
        rtol=0,
        atol=1e-9,
    )
    assert shown.labels.label_names.tolist() == ["a", "b", "c"]
    at = [shown.voters.tolist().index(name) for name in names]
    np.testing.assert_allclose(shown.sensitivity[at], plain.sensitivity, atol=1e-9)
    frame = shown.to_frame()
    assert list(frame) == ["voter", "label", "n_votes", "sensitivity", "specificity"]
    assert set(frame["voter"]) == set(names) and set(frame["label"]) == set("abc")
    assert frame["n_votes"].sum() == len(voter)
    with pytest.warns(RowOrderWarning):
        shown.labels.to_frame(sample_ids=ids[::-1])


def test_abstentions_are_no_votes():
    found = aggregate_votes({"ann": ANN, "bob": BOB})
    records = {
        "samples": [0, 0, 0, 3],
        "labels": [0, 0, 1, 1],
        "voters": ["ann", "bob", "bob", "ann"],
    }
    labels = MaskedLabels.from_votes([1, None, 0, -1], **records, shape=(4, 2))
    assert np.isfinite(labels.to_dense()).tolist() == [
        [True, True],
        [False, False],
        [False, False],
        [False, False],
    ]
    assert np.isnan(found.labels.to_dense()[3]).all()
    silent = aggregate_votes(np.full((2, 3, 2), NAN))
    assert silent.labels.n_cells == 0 and silent.converged
    assert np.isnan(silent.sensitivity).all() and silent.sensitivity.shape == (2, 2)
    np.testing.assert_allclose(silent.prevalence, 0.5)
    empty = aggregate_votes([], samples=[], labels=[], voters=[], shape=(2, 3))
    assert empty.labels.shape == (2, 3) and empty.sensitivity.shape == (0, 3)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("n_voters", [1, 3])
def test_where_no_votes_meet_the_prior_remains(share, n_voters):
    n = 600
    vote = (np.arange(n) < share * n).astype(float)
    voter = np.arange(n) % n_voters
    found = aggregate_votes(
        vote, samples=np.arange(n), labels=np.zeros(n, int), voters=voter, shape=(n, 1)
    )
    values = found.labels.to_dense()[:, 0]
    np.testing.assert_allclose(values, 0.6 * vote + 0.4 * share, atol=0.02)
    np.testing.assert_allclose(found.prevalence, share, atol=0.01)
    assert values.mean() == pytest.approx(share, abs=0.01)


def test_a_label_of_one_voter_takes_the_voter_as_known_elsewhere():
    right = np.array([[0.95] * 20, [0.65] * 20, [0.8] * 20])
    votes, _, _ = planted(n=300, n_labels=20, n_voters=3, share=1.0, right=right)

    def lone(voter):
        alone = votes.copy()
        alone[[other for other in range(3) if other != voter], :, 5] = NAN
        values = aggregate_votes(alone).labels.to_dense()[:, 5]
        return values[votes[voter, :, 5] == 1].mean()

    assert lone(1) < 0.75 < 0.82 < lone(0)


def test_a_voter_worse_than_chance_counts_against():
    right = np.array([[0.9], [0.9], [0.15]])
    votes, truth, _ = planted(n=1000, n_labels=1, n_voters=3, share=1.0, right=right)
    found = aggregate_votes(votes)
    assert found.sensitivity[2, 0] < 0.3 and found.specificity[2, 0] < 0.3
    against = (votes[:2, :, 0] == [[1], [0]]).all(0)
    values = found.labels.to_dense()[:, 0]
    assert values[against & (votes[2, :, 0] == 0)].min() > 0.5


def test_an_aggregation_shows_its_size():
    assert repr(aggregate_votes({"ann": ANN, "bob": BOB})).startswith(
        "VoteAggregation(2 voters, 10 votes on 6 cells, converged in "
    )


def test_more_agreeing_votes_are_surer():
    votes, _, _ = planted(n=400, n_labels=1, right=0.8, share=0.7)
    found = aggregate_votes(votes).labels.to_dense()[:, 0]
    yes, count = np.nansum(votes[:, :, 0], 0), (~np.isnan(votes[:, :, 0])).sum(0)
    agreed = [found[(yes == k) & (count == k)].mean() for k in (1, 2, 3)]
    assert agreed[0] < agreed[1] < agreed[2] < 1


def held_out(truth, seed=0, strength=1.5):
    """Return probabilities of a model that knows the truth in part."""
    noise = np.random.RandomState(seed).normal(size=truth.shape)
    return 1 / (1 + np.exp(-(strength * (2 * truth - 1) + noise)))


def auc_of(found, truth):
    cells = found.labels.cells()
    return roc_auc_score(truth[cells.rows, cells.cols], cells.values)


def test_a_model_counts_by_as_much_as_it_agrees_with_the_votes():
    votes, truth, _ = planted(n=1000, n_voters=5, share=0.4, right=0.75)
    alone = aggregate_votes(votes)
    good = aggregate_votes(votes, y_proba=held_out(truth))
    noise = aggregate_votes(votes, y_proba=held_out(np.full(truth.shape, 0.5)))
    upside_down = aggregate_votes(votes, y_proba=1 - held_out(truth))
    assert good.converged and noise.converged and upside_down.converged
    assert auc_of(good, truth) > auc_of(alone, truth) + 0.05
    assert abs(auc_of(noise, truth) - auc_of(alone, truth)) < 0.01
    np.testing.assert_allclose(
        upside_down.labels.values, alone.labels.values, rtol=0, atol=0.02
    )
    # What the model says does not need to be calibrated.
    sharp = held_out(truth) ** 3
    sharp = aggregate_votes(votes, y_proba=sharp)
    assert auc_of(sharp, truth) > auc_of(alone, truth) + 0.04


def test_a_model_that_says_the_same_of_all_cells_changes_nothing():
    votes, _, _ = planted()
    same = aggregate_votes(votes, y_proba=np.full(votes.shape[1:], 0.2), tol=1e-9)
    alone = aggregate_votes(votes, tol=1e-9)
    np.testing.assert_allclose(
        same.labels.values, alone.labels.values, rtol=0, atol=1e-3
    )


def test_probabilities_count_in_voted_cells_alone():
    votes, truth, _ = planted(share=0.3)
    voted = (~np.isnan(votes)).any(0)
    proba = held_out(truth)
    found = aggregate_votes(votes, y_proba=proba)
    junk = np.where(voted, proba, np.nan)
    assert aggregate_votes(votes, y_proba=junk).labels == found.labels
    assert aggregate_votes(votes, y_proba=proba[voted]).labels == found.labels
    extreme = aggregate_votes(votes, y_proba=(proba > 0.5).astype(float))
    assert ((extreme.labels.values > 0) & (extreme.labels.values < 1)).all()
    assert message_of(aggregate_votes, votes, y_proba=proba[:5]) == (
        "`y_proba` accepts shape (80, 3), a probability per cell, or "
        f"({voted.sum()},), one per voted cell; got shape (5, 3)."
    )
    junk[voted] = 1.5
    row, col = np.argwhere(voted)[0]
    assert message_of(aggregate_votes, votes, y_proba=junk) == (
        "`y_proba` accepts probabilities from 0 to 1 in cells with a vote; got 1.5 at "
        f"sample {row}, label {col}."
    )


RECORDS = dict(
    votes=[1, 0], samples=[0, 1], labels=[0, 0], voters=["a", "b"], shape=(2, 1)
)
BAD = {
    "no voters": (
        {"voters": None},
        "1-D `votes` need `samples`, `labels` and `voters`, one entry per vote; got "
        "voters=None.",
    ),
    "lengths": (
        {"voters": ["a"]},
        "`samples`, `labels`, `voters` and `votes` must have one entry per vote; got "
        "2, 2, 1 and 2.",
    ),
    "fraction": (
        {"votes": [0.5, 1]},
        "`votes` accepts 1, 0, and NaN, -1 or None for a record that decides nothing; "
        "got 0.5 in record 0.",
    ),
    "missing voter": (
        {"voters": ["a", None]},
        "`voters` accepts a name per vote; got None in record 1.",
    ),
    "twice": (
        {"samples": [1, 1], "voters": ["a", "a"], "label_names": ["war"]},
        "`votes` accepts one vote per voter and cell; got two by 'a' for sample 1, "
        "label 'war'.",
    ),
    "no shape": (
        {"shape": None},
        "`shape` is needed, unless both `sample_ids` and `label_names` are given: "
        "rows without a record would be lost.",
    ),
    "out of range": (
        {"samples": [0, 2]},
        "`samples` accepts positions from 0 to 1; got 2 in record 1.",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_bad_records_raise(changes, message):
    given_records = {**RECORDS, **changes}
    assert message_of(aggregate_votes, **given_records) == message


def test_bad_matrices_raise():
    assert message_of(aggregate_votes, {"a": ANN, "b": ANN[:3]}) == (
        "`votes` must have the same shape for each voter; got (4, 2) for 'a' and "
        "(3, 2) for 'b'."
    )
    assert message_of(aggregate_votes, {}) == (
        "`votes` needs one voter or more; got none."
    )
    assert message_of(aggregate_votes, [ANN], voters=["a"]) == (
        "`samples`, `labels`, `voters`, `shape`, `sample_ids` and `label_names` go "
        "with 1-D `votes`; got a label matrix per voter."
    )
    frames = {
        "a": pd.DataFrame(ANN, columns=["x", "y"]),
        "b": pd.DataFrame(BOB, columns=["y", "x"]),
    }
    assert message_of(aggregate_votes, frames).startswith(
        "`votes['b']` must have the labels of `votes['a']`, in the same order; label 0 "
        "is 'y' and must be 'x'."
    )
    assert message_of(aggregate_votes, {"a": ANN, "b": [[2, 0]]}) == (
        "`votes['b']` accepts 1, 0, and NaN, -1 or None in unlabeled cells; got 2 at "
        "sample 0, label 0. A column of ids or counts is no label: leave it out, or, "
        "in a data frame, make it the index."
    )
    weighted = MaskedLabels.from_dense([[1]], weights=[[2]])
    assert message_of(aggregate_votes, {"a": weighted}) == (
        "`votes` accepts labels without weights, since a vote counts by its voter's "
        "quality; got weights for 'a'. Pass `labels.without_weights()`."
    )


def test_the_page_on_weak_labels_runs_in_its_order(capsys):
    page = Path(__file__).resolve().parents[1] / "docs" / "weak_labels.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
    assert len(blocks) == 6
    names = {}
    for block in blocks:
        exec(compile(block, "weak_labels.md", "exec"), names)
    assert repr(names["asked"]) in page.read_text()
    assert "['rule' 'ann' 'bob']\n" in capsys.readouterr().out
    assert names["labels"].n_labeled.tolist() == [1, 1]
    assert names["labels"].soft
    sensitivity = names["found"].sensitivity
    assert sensitivity[0, 0] < min(sensitivity[1:, 0])
