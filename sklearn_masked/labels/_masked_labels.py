"""MaskedLabels: the builders, and the way to data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import scipy.sparse as sp
from numpy.typing import ArrayLike

from .._typing import LabelsLike, MatrixLike, Names
from ._dense import read_dense
from ._merge import merge_labels
from ._records import build_from_dicts, build_from_records
from ._sparse import read_sparse
from ._store import LabelStore
from ._votes import join_votes
from .names import table_columns


class MaskedLabels(LabelStore):
    """Labels of which only some cells are known, stored by the cell.

    Make one with a builder: :meth:`from_dense`, :meth:`from_sparse`,
    :meth:`from_cells`, :meth:`from_frame`, :meth:`from_dicts`, :meth:`from_votes` or
    :meth:`merge`. Unlabeled cells survive whatever is done with it: slices, splits,
    pickles.

    Attributes
    ----------
    shape : tuple of int
        Number of samples and of labels.
    fill : {"unlabeled", "negative"}
        What a cell is that is not stored. Counts, slices, comparison and metrics do
        not depend on it; memory follows what is stored.
    soft : bool
        Whether values are probabilities of being positive, anywhere from 0 to 1,
        instead of 1 and 0. Soft labels are for training: whatever evaluates refuses
        them, also where all values are 0 and 1. See :meth:`hard`.
    indptr, indices, values : int64, int32 and int8 arrays
        CSR of the stored cells, columns increasing in each row. For
        ``fill="unlabeled"`` values are 1 positive and 0 negative; for
        ``fill="negative"``, 1 positive and -1 unlabeled. For soft labels, which have
        ``fill="unlabeled"``, values are float64 from 0 to 1. Read-only.
    weights : float64 array of shape (n_stored,) or None
        Weight of each stored cell. Cells of weight 0 are not labeled.
    label_names : object array of shape (n_labels,) or None
        Names of the labels, of any kind: strings, integers. Read-only.

    Notes
    -----
    ``a == b`` is one bool for the whole, so that scikit-learn may compare parameters
    and a test may write ``assert a == b``. ``numpy.asarray(labels)`` is a 1-D array of
    row views, never numbers: scikit-learn recodes arrays of numbers column by column,
    which turns unlabeled cells into labels.

    Labels that were made from a pandas DataFrame, or with `sample_ids`, know the ids of
    their rows: where X has the same ids in another order, a
    :class:`~sklearn_masked.exceptions.RowOrderWarning` says so.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import MaskedLabels
    >>> labels = MaskedLabels.from_dense([[1, np.nan], [np.nan, 0], [-1, 1]])
    >>> labels
    MaskedLabels(3 x 2, 3 labeled cells: 2 positive, 1 negative)
    >>> labels.n_labeled
    array([1, 2])
    >>> labels[1:].to_dense()
    array([[nan,  0.],
           [nan,  1.]])
    """

    @classmethod
    def _of(cls, store):
        """Return what a reader stored as labels for users."""
        if isinstance(store, cls):
            return store
        labels = object.__new__(cls)
        labels.__dict__ = dict(vars(store))
        return labels

    @classmethod
    def from_dense(
        cls,
        y: MatrixLike,
        *,
        weights: MatrixLike = None,
        label_names: Names = None,
        soft: bool = False,
    ) -> MaskedLabels:
        """Return the labeled cells of a dense array.

        Parameters
        ----------
        y : array-like or data frame of shape (n_samples, n_labels)
            1 positive, 0 negative, NaN, -1, None or pandas' NA unlabeled. A data frame
            may be one of pandas, polars or pyarrow.
        weights : array-like or data frame of shape (n_samples, n_labels), default=None
            Weight of each cell; 0 is as good as unlabeled.
        label_names : sequence of length n_labels, default=None
            Names of the labels, which those of a data frame's columns must be. None
            takes the columns' names as they are, of any kind; 0 to n - 1 in order, a
            frame's columns that got no names, are none.
        soft : bool, default=False
            Whether values may be anything from 0 to 1: the probability that the cell
            is positive, for training alone.

        Returns
        -------
        MaskedLabels

        Raises
        ------
        ValueError
            If a cell holds another value, a weight of a labeled cell is negative, NaN
            or infinite, a shape does not fit, names repeat, or names of y, of the
            weights and `label_names` differ or have another order.

        Warns
        -----
        RowOrderWarning
            If weights and y have the same row index in another order.

        Examples
        --------
        >>> from sklearn_masked import MaskedLabels
        >>> MaskedLabels.from_dense([[1, None], [-1, 0]], label_names=["war", "crime"])
        MaskedLabels(2 x 2, 2 labeled cells: 1 positive, 1 negative)
        """
        return cls._of(read_dense(y, weights, label_names, soft))

    @classmethod
    def from_sparse(
        cls,
        y: LabelsLike,
        *,
        implicit: Literal["negative", "unlabeled"],
        label_names: Names = None,
        soft: bool = False,
    ) -> MaskedLabels:
        """Return a scipy sparse matrix, saying what its cells are that are not stored.

        Parameters
        ----------
        y : sparse matrix or array of shape (n_samples, n_labels)
            Stored 1 positive, stored 0 negative, stored NaN or -1 unlabeled.
        implicit : {"negative", "unlabeled"}
            What a cell is that is not stored.
        label_names : sequence of length n_labels, default=None
            Names of the labels.
        soft : bool, default=False
            Whether values may be anything from 0 to 1: the probability that the cell
            is positive, for training alone. Goes with
            ``implicit="unlabeled"``.

        Returns
        -------
        MaskedLabels
            With ``fill=implicit``: memory follows what is stored, either way.

        Raises
        ------
        TypeError
            If y is not sparse.
        ValueError
            If a cell holds another value or is stored twice, y is of a format that
            pads with zeros (dia, bsr) where a stored zero means a negative, or soft
            labels have ``implicit="negative"``.

        Examples
        --------
        >>> import scipy.sparse as sp
        >>> from sklearn_masked import MaskedLabels
        >>> y = sp.coo_array(([1, 0], ([0, 1], [2, 0])), shape=(2, 3))
        >>> MaskedLabels.from_sparse(y, implicit="unlabeled").to_dense()
        array([[nan, nan,  1.],
               [ 0., nan, nan]])
        >>> MaskedLabels.from_sparse(y, implicit="negative").to_dense()
        array([[0., 0., 1.],
               [0., 0., 0.]])
        """
        if implicit not in ("negative", "unlabeled"):
            raise ValueError(
                f'`implicit` accepts "negative" or "unlabeled"; got {implicit!r}.'
            )
        if not sp.issparse(y):
            raise TypeError(
                f"`y` must be a scipy sparse matrix or array; got {type(y).__name__}. "
                "For a dense one call MaskedLabels.from_dense."
            )
        if soft and implicit == "negative":
            raise ValueError(
                '`implicit` accepts "unlabeled" for soft labels; got "negative". Store '
                "a 0 in the cells that are negative."
            )
        return cls._of(read_sparse(y, implicit, label_names, soft))

    @classmethod
    def from_cells(
        cls,
        samples: ArrayLike,
        labels: ArrayLike,
        values: ArrayLike,
        *,
        shape: tuple[int, int] | None = None,
        sample_ids: Names = None,
        label_names: Names = None,
        weights: ArrayLike | None = None,
        on_conflict: Literal["raise", "last", "majority", "mean"] = "raise",
        soft: bool = False,
    ) -> MaskedLabels:
        """Return labels from records, one per decision.

        Parameters
        ----------
        samples : array-like of shape (n_records,)
            Rows by position, or ids to look up in `sample_ids`.
        labels : array-like of shape (n_records,)
            Labels by position, or names to look up in `label_names`.
        values : array-like of shape (n_records,)
            1 or 0; NaN, -1 or None for a record that decides nothing.
        shape : (int, int), default=None
            Number of samples and of labels; where None, the lengths of `sample_ids`
            and `label_names`.
        sample_ids : sequence, default=None
            The ids of the rows of X, in the order of X.
        label_names : sequence, default=None
            Names of the labels, in the order of the columns.
        weights : array-like of shape (n_records,), default=None
            Weight of each record.
        on_conflict : {"raise", "last", "majority", "mean"}, default="raise"
            What to do where several records speak of one cell: refuse, take the last
            one, or take the value of more weight (a draw leaves the cell unlabeled;
            the weight of the cell, where there are weights, is that of the winners).
            "mean", for soft labels, takes the weighted mean of the values: the share
            of votes (the weight of the cell, where there are weights, is their sum).
        soft : bool, default=False
            Whether values may be anything from 0 to 1: the probability that the cell
            is positive, for training alone.

        Returns
        -------
        MaskedLabels
            A cell without a record is unlabeled.

        Raises
        ------
        ValueError
            If an id or name is unknown or repeated, a position is out of range, a
            value is none of those above, or records speak of one cell twice.

        Examples
        --------
        >>> from sklearn_masked import MaskedLabels
        >>> MaskedLabels.from_cells(
        ...     ["a17", "a3"], ["crime", "war"], [1, 0],
        ...     sample_ids=["a3", "a5", "a17"], label_names=["war", "crime"],
        ... ).to_dense()
        array([[ 0., nan],
               [nan, nan],
               [nan,  1.]])
        """
        store = build_from_records(
            samples,
            labels,
            values,
            shape,
            sample_ids,
            label_names,
            weights,
            on_conflict,
            soft,
        )
        return cls._of(store)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        sample: str | None = None,
        label: str | None = None,
        value: str | None = None,
        weight: str | None = None,
        sample_ids: Names = None,
        label_names: Names = None,
        on_conflict: Literal["raise", "last", "majority", "mean"] = "raise",
        soft: bool = False,
    ) -> MaskedLabels:
        """Return the labels of a data frame, wide or long.

        Parameters
        ----------
        frame : DataFrame of pandas or polars, or Table of pyarrow
            Wide, a column per label; or long, a row per decision, if `sample`, `label`
            and `value` name its columns.
        sample, label, value, weight : str, default=None
            Columns of a long frame.
        sample_ids : sequence, default=None
            For a long frame, the ids of the rows of X, in the order of X. The rows of
            a wide frame are taken in their order.
        label_names : sequence, default=None
            The labels, in the order in which they become columns: of a wide frame the
            columns to take, all of them if None; of a long one its names of labels.
        on_conflict : {"raise", "last", "majority", "mean"}, default="raise"
            As in :meth:`from_cells`.
        soft : bool, default=False
            Whether values may be anything from 0 to 1: the probability that the cell
            is positive, for training alone.

        Returns
        -------
        MaskedLabels

        Raises
        ------
        ValueError
            If a column is missing, `sample_ids` goes with a wide frame or lacks for a
            long one, and as in :meth:`from_dense` and :meth:`from_cells`.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_masked import MaskedLabels
        >>> votes = pd.DataFrame(
        ...     {"id": [7, 9], "topic": ["war", "crime"], "yes": [True, False]}
        ... )
        >>> MaskedLabels.from_frame(
        ...     votes, sample="id", label="topic", value="yes",
        ...     sample_ids=[9, 8, 7], label_names=["crime", "war"],
        ... ).to_frame()
           crime   war
        0      0  <NA>
        1   <NA>  <NA>
        2   <NA>     1
        """
        named = [sample, label, value]
        if all(column is None for column in [*named, weight]):
            return cls._from_wide_frame(frame, sample_ids, label_names, soft)
        if any(column is None for column in named):
            raise ValueError(
                "A long frame needs `sample`, `label` and `value`, the names of its "
                f"columns; got sample={sample!r}, label={label!r}, value={value!r}."
            )
        _check_columns(frame, [c for c in [*named, weight] if c is not None])
        if sample_ids is None or label_names is None:
            raise ValueError(
                "A long frame needs `sample_ids`, the ids of the rows of X in their "
                "order, and `label_names`: rows are joined by id, never by order."
            )
        return cls.from_cells(
            frame[sample].to_numpy(),
            frame[label].to_numpy(),
            frame[value].to_numpy(),
            sample_ids=sample_ids,
            label_names=label_names,
            weights=None if weight is None else frame[weight].to_numpy(),
            on_conflict=on_conflict,
            soft=soft,
        )

    @classmethod
    def _from_wide_frame(cls, frame, sample_ids, label_names, soft):
        if sample_ids is not None:
            raise ValueError(
                "`sample_ids` goes with a long frame; the rows of a wide one are taken "
                "in their order. Pass frame.reindex(sample_ids) to join by its index."
            )
        if label_names is not None:
            label_names = list(label_names)
            _check_columns(frame, label_names)
            # pyarrow takes several columns by another name than pandas and polars.
            select = getattr(frame, "select", frame.__getitem__)
            frame = select(label_names)
        return cls.from_dense(frame, label_names=label_names, soft=soft)

    @classmethod
    def from_dicts(
        cls,
        records: Sequence[Mapping[Any, Any]],
        *,
        label_names: Names = None,
        soft: bool = False,
    ) -> MaskedLabels:
        """Return labels from a dict a sample, name of the label to value.

        Parameters
        ----------
        records : sequence of dict
            A key that is absent, or None, NaN or -1, leaves the cell unlabeled.
        label_names : sequence, default=None
            Names of the labels, in the order of the columns; the keys in the order
            in which they come first if None.
        soft : bool, default=False
            Whether values may be anything from 0 to 1: the probability that the cell
            is positive, for training alone.

        Returns
        -------
        MaskedLabels

        Raises
        ------
        TypeError
            If a record is no dict.
        ValueError
            If a key is none of `label_names`, or a value none of those above.

        Examples
        --------
        >>> from sklearn_masked import MaskedLabels
        >>> MaskedLabels.from_dicts([{"war": 1}, {}, {"crime": 0}]).to_dense()
        array([[ 1., nan],
               [nan, nan],
               [nan,  0.]])
        """
        return cls._of(build_from_dicts(records, label_names, soft))

    @classmethod
    def from_votes(
        cls,
        votes: Any,
        *,
        samples: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        voters: ArrayLike | None = None,
        shape: tuple[int, int] | None = None,
        sample_ids: Names = None,
        label_names: Names = None,
    ) -> MaskedLabels:
        """Return soft labels made of votes of several people or rules per cell.

        The labels of :func:`~sklearn_masked.labels.aggregate_votes`, which also gives
        how good each voter is, and says what is estimated and how.

        Parameters
        ----------
        votes : array-like of shape (n_votes,), dict or sequence of label matrices
            1 or 0; NaN, -1 or None where a voter abstains. 1-D, a vote per entry; or a
            label matrix per voter, such as ``{"ann": y_ann, "rule": y_rule}``.
        samples, labels, voters : array-like of shape (n_votes,), default=None
            Of 1-D votes, rows and labels by position, or ids and names to look up in
            `sample_ids` and `label_names`; and names of the voters.
        shape, sample_ids, label_names : default=None
            Of 1-D votes, as in :meth:`from_cells`.

        Returns
        -------
        MaskedLabels
            Soft: the probability that each cell is positive. A cell without a vote is
            unlabeled.

        Raises
        ------
        ValueError
            If a vote has another value, a voter votes twice on a cell, an id or name
            is unknown, or names or shapes of the voters' matrices differ.

        Warns
        -----
        ConvergenceWarning
            If the estimation has not converged.

        Examples
        --------
        >>> from sklearn_masked import MaskedLabels
        >>> MaskedLabels.from_votes(
        ...     [1, 1, 0, 0], samples=[0, 0, 0, 2], labels=[1, 1, 1, 0],
        ...     voters=["ann", "bob", "rule", "ann"], shape=(3, 2),
        ... )
        MaskedLabels(3 x 2, 2 soft cells: 1.0 positive, 1.0 negative)
        """
        given = votes, samples, labels, voters, shape, sample_ids, label_names
        return cls._of(join_votes(*given).labels)

    @classmethod
    def merge(
        cls,
        *labels: Any,
        sample_ids: Names = None,
        label_names: Names = None,
        on_conflict: Literal["raise", "last", "majority", "mean"] = "raise",
    ) -> MaskedLabels:
        """Return the union of several sets of labels.

        They may be those of several annotators for the same samples, or of several
        sources, each labeled for classes of its own: labels are joined by name and
        samples by id, and a cell that no set knows is unlabeled. Where a set has no
        names, or no ids, all must have equally many labels, or samples, which are
        joined by position.

        Parameters
        ----------
        *labels : MaskedLabels
            Ids of their samples are the `sample_ids` that they were made with, those of
            :meth:`with_sample_ids`, or the index of a pandas DataFrame.
        sample_ids : sequence, default=None
            The ids of the rows of X, in the order of X: each set's must be among them.
            None takes those of the sets in the order in which they come first, which
            the attribute `sample_ids` of the union tells.
        label_names : sequence, default=None
            The labels, in the order in which they become columns: each set's must be
            among them. None takes those of the sets in the order in which they come
            first.
        on_conflict : {"raise", "last", "majority", "mean"}, default="raise"
            Where two of them know a cell: refuse if they differ, let the last one
            win, or take the value of more weight. Equal values are no conflict; the
            weight of such a cell is the last one's, or for "majority" the sum. "mean",
            where one of them is soft, is that of :meth:`from_cells`.

        Returns
        -------
        MaskedLabels
            With ``fill="unlabeled"``: merging costs as much as there are labeled
            cells, also where they were not stored. Sets with ``fill="negative"`` and
            the same labels, of which each sample is in one alone, stay as they are
            stored. Soft if one of them is.

        Raises
        ------
        TypeError
            If one of them is not MaskedLabels.
        ValueError
            If sets without names or ids differ in shape, two know a cell otherwise,
            `label_names` or `sample_ids` lack one, or an id stands twice in one set.

        Warns
        -----
        RowOrderWarning
            If samples are joined by position, since a set has no ids, and two others
            have the same ids in another order.

        Examples
        --------
        >>> from sklearn_masked import MaskedLabels
        >>> ann = MaskedLabels.from_dense([[1, None], [None, 0]])
        >>> bob = MaskedLabels.from_dense([[1, 0], [None, None]])
        >>> MaskedLabels.merge(ann, bob).to_dense()
        array([[ 1.,  0.],
               [nan,  0.]])

        A source that was labeled for war, and one for spam and war:

        >>> news = MaskedLabels.from_dense([[1], [0]], label_names=["war"])
        >>> mail = MaskedLabels.from_dense([[1, None]], label_names=["spam", "war"])
        >>> both = MaskedLabels.merge(
        ...     news.with_sample_ids(["n1", "n2"]), mail.with_sample_ids(["m1"]))
        >>> both.to_frame(sample_ids=both.sample_ids)
             war  spam
        n1     1  <NA>
        n2     0  <NA>
        m1  <NA>     1
        """
        return cls._of(merge_labels(labels, sample_ids, label_names, on_conflict))


def _check_columns(frame, columns):
    for column in columns:
        if column not in table_columns(frame):
            raise ValueError(
                f"`frame` has no column {column!r}; it has {table_columns(frame)}."
            )
