"""Votes of several people or rules as soft labels, for users."""

from dataclasses import replace

from numpy.typing import ArrayLike

from .._typing import MatrixLike, Names
from ._dawid_skene import MAX_ITER, TOL
from ._masked_labels import MaskedLabels
from ._votes import VoteAggregation, join_votes


def aggregate_votes(
    votes: ArrayLike,
    *,
    samples: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    voters: ArrayLike | None = None,
    shape: tuple[int, int] | None = None,
    sample_ids: Names = None,
    label_names: Names = None,
    y_proba: MatrixLike | None = None,
    max_iter: int = MAX_ITER,
    tol: float = TOL,
) -> VoteAggregation:
    """Join votes of several people or rules per cell to soft labels.

    How good each voter is at each label is estimated together with the labels, from
    nothing but the votes. A cell without a vote stays unlabeled.

    Parameters
    ----------
    votes : array-like of shape (n_votes,), dict or sequence of label matrices
        1 or 0; NaN, -1 or None where a voter abstains. 1-D, a vote per entry, with
        `samples`, `labels` and `voters`; or a label matrix per voter, in any form that
        :func:`check_labels` takes: a dict by the voters' names, or a sequence, such as
        an array of shape (n_voters, n_samples, n_labels). A raw sparse matrix votes 0
        wherever it stores nothing; pass MaskedLabels where that is an abstention.
    samples, labels : array-like of shape (n_votes,), default=None
        Of 1-D votes, rows and labels by position, or ids and names to look up in
        `sample_ids` and `label_names`.
    voters : array-like of shape (n_votes,), default=None
        Of 1-D votes, names of the voters, of any kind.
    shape : (int, int), default=None
        Of 1-D votes, number of samples and of labels; where None, the lengths of
        `sample_ids` and `label_names`.
    sample_ids, label_names : sequence, default=None
        Of 1-D votes, the ids of the rows of X, in the order of X, and the names of the
        labels in the order of the columns.
    y_proba : array-like of shape (n_samples, n_labels) or (n_voted_cells,), \
default=None
        A model's probabilities, held out: of a model that was not trained on the votes
        of the same sample, as `cross_val_predict` makes them. They count next to the
        votes, by as much as they agree with them. What stands in cells without a vote
        is not read; 1-D, voted cells are in the order of rows, then labels.
    max_iter : int, default=1000
        The most iterations.
    tol : float, default=1e-4
        The largest change of a probability that ends the iterations.

    Returns
    -------
    VoteAggregation
        The soft labels, `labels`, and the voters' estimated quality.

    Raises
    ------
    ValueError
        If a vote has another value, a voter votes twice on a cell, an id or name is
        unknown, names or shapes of the voters' matrices differ, or `y_proba` has
        another shape or no probability in a voted cell.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` ends the iterations.

    See Also
    --------
    MaskedLabels.from_votes : The labels alone.
    MaskedLabels.from_cells : With ``soft=True, on_conflict="mean"``, shares of votes.

    Notes
    -----
    The model is that of Dawid and Skene (1979), per label: a prevalence, and a
    sensitivity and a specificity per voter; votes on a cell are independent given the
    truth, so that voters who copy from one another count too much. A voter's rate for a
    label is smoothed by 10 pseudo-votes of the voter's mean over labels, that by 100
    of the mean of all voters, that by 100 of a prior voter's, who knows the truth in
    0.6 of the cases and else says 1 as often as all do. Estimation begins with the
    prior and alternates between truth and rates; chance decides nothing, and time and
    memory follow the votes.

    With `y_proba`, a logistic regression of the truth on the model's log odds replaces
    the prevalence; it is estimated along with the rates, and its slope per label is
    smoothed around the mean over labels and is never negative. CROWDLAB (Goh, Tkachenko
    and Mueller, 2022) joins votes and a classifier for one class per sample.

    Where no two voters share a cell, agreement tells nothing and the prior remains: a
    lone vote gives a cell the probability of 0.6 times the vote plus 0.4 times the
    share of 1 among the votes on its label.

    References
    ----------
    A. P. Dawid and A. M. Skene, "Maximum likelihood estimation of observer error-rates
    using the EM algorithm", Applied Statistics 28(1), 1979.

    Examples
    --------
    >>> from sklearn_masked.labels import aggregate_votes
    >>> ann = [[1, None], [0, 1], [1, 0], [None, None]]
    >>> bob = [[1, 0], [0, 1], [0, None], [None, None]]
    >>> rule = [[1, 0], [None, 0], [1, 0], [None, None]]
    >>> found = aggregate_votes({"ann": ann, "bob": bob, "rule": rule})
    >>> found
    VoteAggregation(3 voters, 15 votes on 6 cells, converged in 8 iterations)
    >>> found.labels
    MaskedLabels(4 x 2, 6 soft cells: 2.8 positive, 3.2 negative)
    >>> found.voters[found.sensitivity[:, 0].argmin()]
    'bob'
    """
    given = votes, samples, labels, voters, shape, sample_ids, label_names
    found = join_votes(*given, max_iter=max_iter, tol=tol, y_proba=y_proba)
    return replace(found, labels=MaskedLabels._of(found.labels))
