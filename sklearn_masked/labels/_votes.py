"""Votes of several people or rules per cell, joined to soft labels."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._html import html_table
from ._cells import checked_ids, checked_names
from ._dawid_skene import MAX_ITER, TOL, Votes, dawid_skene
from ._entries import decisions, label_columns, one_a_record, sample_positions
from ._read import read_labels, refuse_soft
from ._records import checked_shape
from ._sparse import row_pointers
from ._store import LabelStore
from ._values import is_missing
from .names import check_same_columns, check_same_names, check_same_rows


@dataclass(frozen=True, eq=False, repr=False)
class VoteAggregation:
    """Soft labels made of votes, and how good each voter is: see `aggregate_votes`.

    Attributes
    ----------
    labels : MaskedLabels
        Soft: the probability that each cell is positive, where anybody voted.
    voters : object array of shape (n_voters,)
        The voters' names, in the order in which they come first.
    prevalence : float64 array of shape (n_labels,)
        Estimated share of positives among the cells with a vote.
    pair_voter, pair_label : int arrays of shape (n_pairs,)
        Positions of the voters and labels that have votes together.
    pair_votes : int array of shape (n_pairs,)
        Number of these votes.
    pair_sensitivity, pair_specificity : float64 arrays of shape (n_pairs,)
        Estimated shares of the positives that the voter calls 1, and of the negatives
        that the voter calls 0.
    n_iter : int
        Number of iterations.
    converged : bool
        Whether the last one changed no probability by more than `tol`.
    """

    labels: LabelStore
    voters: np.ndarray
    prevalence: np.ndarray
    pair_voter: np.ndarray
    pair_label: np.ndarray
    pair_votes: np.ndarray
    pair_sensitivity: np.ndarray
    pair_specificity: np.ndarray
    n_iter: int
    converged: bool

    @property
    def sensitivity(self) -> np.ndarray:
        """Sensitivity, (n_voters, n_labels); NaN where the voter has no vote."""
        return self._table(self.pair_sensitivity)

    @property
    def specificity(self) -> np.ndarray:
        """Specificity, (n_voters, n_labels); NaN where the voter has no vote."""
        return self._table(self.pair_specificity)

    def __repr__(self) -> str:
        return (
            f"VoteAggregation({len(self.voters)} voters, {self.pair_votes.sum()} votes "
            f"on {self.labels.n_cells} cells, {'' if self.converged else 'not '}"
            f"converged in {self.n_iter} iterations)"
        )

    def _table(self, values):
        table = np.full((len(self.voters), len(self.prevalence)), np.nan)
        table[self.pair_voter, self.pair_label] = values
        return table

    def _repr_html_(self) -> str:
        return html_table(self._columns(), len(self.pair_votes), repr(self))

    def to_frame(self) -> Any:
        """Return a pandas DataFrame: a row per voter and label that have votes."""
        import pandas as pd

        return pd.DataFrame(self._columns())

    def _columns(self):
        names = self.labels.label_names
        label = self.pair_label if names is None else names[self.pair_label]
        return {
            "voter": self.voters[self.pair_voter],
            "label": label,
            "n_votes": self.pair_votes,
            "sensitivity": self.pair_sensitivity,
            "specificity": self.pair_specificity,
        }


def join_votes(*given, max_iter=MAX_ITER, tol=TOL, y_proba=None):
    """Do the work of `aggregate_votes`; the labels are a :class:`LabelStore`."""
    return _aggregate(*read_votes(*given), max_iter, tol, y_proba=y_proba)


def read_votes(votes, samples, labels, voters, shape, sample_ids, label_names):
    """Return votes of any form as columns; then voters, shape, label names and ids."""
    if isinstance(votes, Mapping) or _are_matrices(votes):
        given = (samples, labels, voters, shape, sample_ids, label_names)
        if any(one is not None for one in given):
            raise ValueError(
                "`samples`, `labels`, `voters`, `shape`, `sample_ids` and "
                "`label_names` go with 1-D `votes`; got a label matrix per voter."
            )
        read = _of_matrices(votes)
    else:
        read = _of_records(
            votes, samples, labels, voters, shape, sample_ids, label_names
        )
    _refuse_second_votes(*read)
    return read


def _are_matrices(votes):
    """Return whether votes are a sequence of label matrices, and not of votes."""
    if getattr(votes, "ndim", 0) == 1 or isinstance(votes, LabelStore):
        return False
    first = next(iter(votes), None)
    return first is not None and np.ndim(first) > 0


def _of_matrices(votes):
    """Return votes of a label matrix per voter as parallel columns."""
    by_name = votes if isinstance(votes, Mapping) else dict(enumerate(votes))
    names = list(by_name)
    parts = [_matrix(one, f"`votes[{name!r}]`") for name, one in by_name.items()]
    if not parts:
        raise ValueError("`votes` needs one voter or more; got none.")
    first = parts[0]
    for name, other in zip(names, parts, strict=True):
        if other.shape != first.shape:
            raise ValueError(
                "`votes` must have the same shape for each voter; got "
                f"{first.shape} for {names[0]!r} and {other.shape} for {name!r}."
            )
        of = f"`votes[{names[0]!r}]`"
        check_same_names(other.label_names, first.label_names, f"votes[{name!r}]", of)
        check_same_rows(votes=first, others=other)
        if other.weights is not None:
            raise ValueError(
                "`votes` accepts labels without weights, since a vote counts by its "
                f"voter's quality; got weights for {name!r}. Pass "
                "`labels.without_weights()`."
            )
    cells = [part.cells() for part in parts]
    columns = (np.concatenate([one[i] for one in cells]) for i in range(3))
    voter = np.repeat(np.arange(len(parts)), [len(one.rows) for one in cells])
    store = first.shape, first.label_names, first._row_ids
    return *columns, voter, names, *store


def _matrix(votes, name):
    """Return one voter's votes as MaskedLabels; errors say whose they are."""
    try:
        labels = read_labels(votes)
        refuse_soft(labels)
    except ValueError as error:
        raise ValueError(str(error).replace("`y`", name)) from None
    return labels


def _of_records(votes, samples, labels, voters, shape, sample_ids, label_names):
    """Return 1-D votes as parallel columns, abstentions left out."""
    columns = {"samples": samples, "labels": labels, "voters": voters, "votes": votes}
    for name, column in columns.items():
        if column is None:
            raise ValueError(
                "1-D `votes` need `samples`, `labels` and `voters`, one entry per "
                f"vote; got {name}=None."
            )
    columns = {name: one_a_record(one, name) for name, one in columns.items()}
    if len({len(one) for one in columns.values()}) > 1:
        lengths = [len(one) for one in columns.values()]
        raise ValueError(
            "`samples`, `labels`, `voters` and `votes` must have one entry per vote; "
            f"got {lengths[0]}, {lengths[1]}, {lengths[2]} and {lengths[3]}."
        )
    values, known = decisions(
        columns["votes"], lambda i: f"in record {i}", parameter="votes"
    )
    shape = checked_shape(shape, sample_ids, label_names)
    names = checked_names(label_names, shape[1])
    rows = sample_positions(columns["samples"], sample_ids, shape[0])
    cols = label_columns(columns["labels"], names, shape[1])
    voter, found = _voter_positions(columns["voters"])
    columns = [one[known] for one in (rows, cols, values, voter)]
    return *columns, found, shape, names, checked_ids(sample_ids)


def _voter_positions(voters):
    """Return voters as positions, and their names in the order of appearance."""
    position, codes = {}, np.empty(len(voters), np.intp)
    for i, voter in enumerate(voters.tolist()):
        if is_missing(voter):
            raise ValueError(
                f"`voters` accepts a name per vote; got {voter!r} in record {i}."
            )
        codes[i] = position.setdefault(voter, len(position))
    return codes, list(position)


def _aggregate(
    rows, cols, values, voter, names, shape, label_names, ids, *how, y_proba=None
):
    """Return the aggregation of votes given as parallel columns."""
    keys, cell = np.unique(rows * np.int64(shape[1]) + cols, return_inverse=True)
    cell_row, cell_label = np.divmod(keys, max(shape[1], 1))
    pairs, pair = np.unique(voter * np.int64(shape[1]) + cols, return_inverse=True)
    pair_voter, pair_label = np.divmod(pairs, max(shape[1], 1))
    sizes = len(names), shape[1]
    proba = y_proba
    if y_proba is not None:
        proba = _proba_of_cells(y_proba, cell_row, cell_label, shape, label_names, ids)
    of_pairs = pair_voter, pair_label, *sizes
    given = Votes(cell, pair, values == 1, cell_label, *of_pairs, proba)
    fit = dawid_skene(given, *how)
    if not fit.converged:
        from sklearn.exceptions import ConvergenceWarning  # slow to import

        warnings.warn(
            f"The aggregation of votes had not converged after {fit.n_iter} "
            "iterations. Raise `max_iter` or `tol`.",
            ConvergenceWarning,
            stacklevel=4,
        )
    labels = LabelStore(
        row_pointers(cell_row, shape[0]),
        cell_label,
        fit.posterior,
        shape,
        label_names=label_names,
        row_ids=ids,
        soft=True,
    )
    return VoteAggregation(
        labels,
        np.fromiter(names, dtype=object, count=len(names)),
        fit.prevalence,
        pair_voter,
        pair_label,
        np.bincount(pair, minlength=len(pairs)),
        fit.sensitivity,
        fit.specificity,
        fit.n_iter,
        fit.converged,
    )


def _proba_of_cells(y_proba, rows, cols, shape, label_names, ids):
    """Return a model's probability per voted cell, of a matrix or one per cell."""
    check_same_columns(y_proba, label_names, "y_proba", "`votes`")
    check_same_rows(sample_ids=ids, y_proba=y_proba)
    array = np.asarray(y_proba, dtype=np.float64)
    if array.shape not in (tuple(shape), rows.shape):
        raise ValueError(
            f"`y_proba` accepts shape {tuple(shape)}, a probability per cell, or "
            f"{rows.shape}, one per voted cell; got shape {array.shape}."
        )
    values = array[rows, cols] if array.ndim == 2 else array
    bad = np.flatnonzero(~((values >= 0) & (values <= 1)))
    for i in bad[:1]:
        raise ValueError(
            "`y_proba` accepts probabilities from 0 to 1 in cells with a vote; got "
            f"{values[i]} at sample {rows[i]}, label {cols[i]}."
        )
    return values


def _refuse_second_votes(rows, cols, _, voter, names, shape, label_names, __):
    """Raise where a voter votes on one cell twice."""
    keys = (rows * np.int64(shape[1]) + cols) * np.int64(max(len(names), 1)) + voter
    order = np.argsort(keys, kind="stable")
    again = order[1:][keys[order][1:] == keys[order][:-1]]
    for i in again[:1]:
        label = cols[i] if label_names is None else repr(label_names[cols[i]])
        raise ValueError(
            f"`votes` accepts one vote per voter and cell; got two by "
            f"{names[voter[i]]!r} for sample {rows[i]}, label {label}."
        )
