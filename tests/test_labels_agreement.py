"""Agreement of voters: alpha per label and kappa per pair, against slow oracles."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from sklearn_masked import MaskedLabels
from sklearn_masked.labels import vote_agreement

NAN = np.nan


def planted(seed=0, n=60, n_labels=3, n_voters=4, share=0.7, right=0.8, positive=0.4):
    rng = np.random.RandomState(seed)
    truth = rng.rand(n, n_labels) < positive
    votes = np.where(rng.rand(n_voters, n, n_labels) < right, truth, ~truth)
    return np.where(rng.rand(*votes.shape) < share, votes, NAN)


def slow_alpha(votes):
    """Krippendorff's alpha from the coincidences of pairs of votes, in loops."""
    coincidence = np.zeros((2, 2))
    for cell in votes.T:
        cell = cell[~np.isnan(cell)].astype(int)
        for one, other in itertools.permutations(range(len(cell)), 2):
            coincidence[cell[one], cell[other]] += 1 / (len(cell) - 1)
    n, (n_0, n_1) = coincidence.sum(), coincidence.sum(axis=0)
    return 1 - (n - 1) * coincidence[0, 1] / (n_0 * n_1)


def test_alpha_and_kappa_equal_the_slow_definitions():
    votes = planted()
    found = vote_agreement(votes)
    for label in range(3):
        assert found.alpha[label] == pytest.approx(slow_alpha(votes[:, :, label]))
        several = (~np.isnan(votes[:, :, label])).sum(0) > 1
        assert found.n_cells[label] == several.sum()
    assert len(found.kappa) == 6 * 3
    for (one, other), label, n, kappa in zip(
        found.pair_voters, found.pair_label, found.pair_cells, found.kappa, strict=True
    ):
        both = votes[[one, other], :, label]
        both = both[:, ~np.isnan(both).any(axis=0)]
        assert n == both.shape[1]
        assert kappa == pytest.approx(cohen_kappa_score(*both))


def test_records_and_matrices_in_any_order_agree_alike():
    votes = planted()
    voter, rows, cols = np.nonzero(~np.isnan(votes))
    order = np.random.RandomState(1).permutation(len(voter))
    voter, rows, cols = voter[order], rows[order], cols[order]
    names = np.array(["zoe", "ann", "rule", "bob"], dtype=object)
    found = vote_agreement(
        votes[voter, rows, cols],
        samples=rows,
        labels=cols,
        voters=names[voter],
        shape=votes.shape[1:],
    )
    plain = vote_agreement(list(map(MaskedLabels.from_dense, votes)))
    np.testing.assert_allclose(found.alpha, plain.alpha)
    np.testing.assert_allclose(found.alpha_low, plain.alpha_low)

    def kappas(one, names):
        voters = map(frozenset, names[one.pair_voters])
        return dict(zip(zip(voters, one.pair_label, strict=True), one.kappa))  # noqa: B905

    assert kappas(found, found.voters) == pytest.approx(kappas(plain, names))


def test_intervals_cover_the_planted_agreement():
    right, positive, n_labels = 0.85, 0.3, 300
    votes = planted(n=100, n_labels=n_labels, right=right, positive=positive)
    says_1 = positive * right + (1 - positive) * (1 - right)
    true = 1 - right * (1 - right) / (says_1 * (1 - says_1))
    found = vote_agreement(votes)
    for low, high in (
        (found.alpha_low, found.alpha_high),
        (found.kappa_low, found.kappa_high),
    ):
        assert 0.92 < np.mean((low <= true) & (true <= high)) < 0.98
    assert (found.alpha_low <= found.alpha).all()
    narrow = vote_agreement(votes, confidence_level=0.5)
    assert (narrow.alpha_low > found.alpha_low).all()


def test_agreement_without_a_disagreement_has_an_interval():
    ann = [[1.0], [0], [1], [0], [1]]
    found = vote_agreement({"ann": ann, "bob": ann})
    assert found.alpha == found.alpha_high == 1 and found.kappa == 1
    assert found.alpha_low < 0.9 and found.kappa_low < 0.9


def test_labels_without_votes_to_compare_have_no_agreement():
    ann = [[1, 1, NAN, 1], [0, 1, NAN, NAN], [NAN, 1, NAN, NAN]]
    bob = [[1, 1, NAN, NAN], [1, 1, NAN, 0], [1, 1, NAN, NAN]]
    found = vote_agreement({"ann": ann, "bob": bob})
    assert found.n_cells.tolist() == [2, 3, 0, 0]
    assert np.isfinite(found.alpha).tolist() == [True, False, False, False]
    assert np.isnan(found.alpha_low[1:]).all() and np.isnan(found.alpha_high[1:]).all()
    assert found.pair_label.tolist() == [0, 1] and np.isnan(found.kappa[1])
    empty = vote_agreement([], samples=[], labels=[], voters=[], shape=(2, 3))
    assert np.isnan(empty.alpha).all() and len(empty.kappa) == 0


def test_an_agreement_is_a_table_with_names():
    votes = {
        "ann": MaskedLabels.from_dense([[1, 0], [0, NAN]], label_names=["war", "tax"]),
        "bob": MaskedLabels.from_dense([[1, 1], [0, 1]], label_names=["war", "tax"]),
    }
    found = vote_agreement(votes)
    frame = found.to_frame()
    assert frame["measure"].tolist() == ["alpha", "alpha", "kappa", "kappa"]
    assert frame["label"].tolist() == ["war", "tax", "war", "tax"]
    assert frame["voter"].isna().tolist() == [True, True, False, False]
    assert frame["voter"].tolist()[2:] == ["ann", "ann"]
    assert frame["other"].tolist()[2:] == ["bob", "bob"]
    assert frame["n_cells"].tolist() == [2, 1, 2, 1]
    assert repr(found) == (
        "VoteAgreement(2 voters, 2 labels, 3 cells with two votes or more)"
    )
    assert "ann" in found._repr_html_()


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_confidence_level_that_is_none_raises(level):
    with pytest.raises(ValueError) as caught:
        vote_agreement([[[1]]], confidence_level=level)
    assert str(caught.value) == (
        "`confidence_level` accepts a number between 0 and 1, both excluded; got "
        f"{level}."
    )
