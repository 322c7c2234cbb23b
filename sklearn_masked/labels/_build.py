"""The builders of MaskedLabels, and the ways back out of it."""

import numpy as np
import scipy.sparse as sp

# `_check` needs the class that these methods belong to: it is imported when called.


class Builders:
    """What :class:`MaskedLabels` is made from, and what it turns into."""

    @classmethod
    def from_dense(cls, y, *, weights=None, label_names=None):
        """Return the labelled cells of a dense array.

        Parameters
        ----------
        y : array-like or DataFrame of shape (n_samples, n_labels)
            1 positive, 0 negative, NaN, -1, None or pandas' NA unlabelled.
        weights : array-like of shape (n_samples, n_labels), default=None
            Weight of each cell; 0 is as good as unlabelled.
        label_names : sequence of length n_labels, default=None
            Names of the labels; a DataFrame's columns if None.

        Returns
        -------
        MaskedLabels
        """
        from ._check import frame_names, frame_values, read_dense

        if hasattr(y, "columns") and hasattr(y, "to_numpy"):
            label_names = frame_names(y) if label_names is None else label_names
            y = frame_values(y)
        return read_dense(y, weights, label_names)

    @classmethod
    def from_sparse(cls, y, *, implicit, label_names=None):
        """Return a scipy sparse matrix, saying what its cells are that are not stored.

        Parameters
        ----------
        y : sparse matrix or array of shape (n_samples, n_labels)
            Stored 1 positive, stored 0 negative, stored NaN or -1 unlabelled.
        implicit : {"negative", "unlabeled"}
            What a cell is that is not stored.
        label_names : sequence of length n_labels, default=None
            Names of the labels.

        Returns
        -------
        MaskedLabels
            With ``fill=implicit``: memory follows what is stored, either way.
        """
        from ._check import read_sparse

        if implicit not in ("negative", "unlabeled"):
            raise ValueError(
                f'`implicit` accepts "negative" or "unlabeled"; got {implicit!r}.'
            )
        if not sp.issparse(y):
            raise TypeError(
                f"`y` must be a scipy sparse matrix or array; got {type(y).__name__}. "
                "For a dense one call MaskedLabels.from_dense."
            )
        return read_sparse(y, implicit, label_names)

    @classmethod
    def from_cells(
        cls,
        samples,
        labels,
        values,
        *,
        shape=None,
        sample_ids=None,
        label_names=None,
        weights=None,
        on_conflict="raise",
    ):
        """Return labels from records, one a decision.

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
        on_conflict : {"raise", "last", "majority"}, default="raise"
            What to do where several records speak of one cell: refuse, take the last
            one, or take the value of more weight (a draw leaves the cell unlabelled;
            the weight of the cell, where there are weights, is that of the winners).

        Returns
        -------
        MaskedLabels
            A cell without a record is unlabelled.

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
        from ._records import build_from_records

        return build_from_records(
            samples,
            labels,
            values,
            shape,
            sample_ids,
            label_names,
            weights,
            on_conflict,
        )

    @classmethod
    def from_frame(
        cls,
        frame,
        *,
        sample=None,
        label=None,
        value=None,
        weight=None,
        sample_ids=None,
        label_names=None,
        on_conflict="raise",
    ):
        """Return the labels of a pandas DataFrame, wide or long.

        Parameters
        ----------
        frame : DataFrame
            Wide, a column a label; or long, a row a decision, if `sample`, `label`
            and `value` name its columns.
        sample, label, value, weight : str, default=None
            Columns of a long frame.
        sample_ids : sequence, default=None
            For a long frame, the ids of the rows of X, in the order of X.
        label_names : sequence, default=None
            For a long frame, the names of the labels, in the order of the columns.
        on_conflict : {"raise", "last", "majority"}, default="raise"
            As in :meth:`from_cells`.

        Returns
        -------
        MaskedLabels
        """
        named = [sample, label, value]
        if all(column is None for column in [*named, weight]):
            return cls.from_dense(frame, label_names=label_names)
        if any(column is None for column in named):
            raise ValueError(
                "A long frame needs `sample`, `label` and `value`, the names of its "
                f"columns; got sample={sample!r}, label={label!r}, value={value!r}."
            )
        for column in [*named, weight]:
            if column is not None and column not in frame.columns:
                raise ValueError(
                    f"`frame` has no column {column!r}; it has "
                    f"{[str(name) for name in frame.columns]}."
                )
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
        )

    @classmethod
    def from_dicts(cls, records, *, label_names=None):
        """Return labels from a dict a sample, name of the label to value.

        Parameters
        ----------
        records : sequence of dict
            A key that is absent, or None, NaN or -1, leaves the cell unlabelled.
        label_names : sequence, default=None
            Names of the labels, in the order of the columns; the keys in the order
            in which they come first if None.

        Returns
        -------
        MaskedLabels
        """
        records = list(records)
        for i, record in enumerate(records):
            if not hasattr(record, "items"):
                raise TypeError(
                    "`records` accepts a dict a sample; got "
                    f"{type(record).__name__} at sample {i}."
                )
        if label_names is None:
            label_names = list(dict.fromkeys(k for r in records for k in r))
        return cls.from_cells(
            [i for i, record in enumerate(records) for _ in record],
            [name for record in records for name in record],
            [value for record in records for value in record.values()],
            shape=(len(records), len(label_names)),
            label_names=label_names,
        )

    @classmethod
    def merge(cls, *labels, on_conflict="raise"):
        """Return the union of labels of the same samples, of several annotators say.

        Parameters
        ----------
        *labels : MaskedLabels
            Of one shape and the same names.
        on_conflict : {"raise", "last", "majority"}, default="raise"
            Where two of them know a cell: refuse if they differ, let the last one
            win, or take the value of more weight. Equal values are no conflict.

        Returns
        -------
        MaskedLabels
        """
        from ._records import merge_labels

        return merge_labels(labels, on_conflict)

    def to_dense(self):
        """Return float64 of shape (n_samples, n_labels), NaN in unlabelled cells."""
        filled = 0.0 if self.fill == "negative" else np.nan
        dense = np.full(self.shape, filled)
        rows = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        dense[rows, self.indices] = np.where(self.values == -1, np.nan, self.values)
        return dense

    def to_sparse(self):
        """Return the stored cells as float64 CSR, unlabelled ones as NaN.

        For ``fill="unlabeled"`` confirmed negatives are stored zeros: read it back
        with ``from_sparse(..., implicit="unlabeled")``, and never through arithmetic
        that drops them. For ``fill="negative"`` read it back with
        ``implicit="negative"``.
        """
        data = np.where(self.values == -1, np.nan, self.values.astype(float))
        parts = (data, self.indices.copy(), self.indptr.copy())
        return sp.csr_array(parts, shape=self.shape)

    def to_frame(self, *, sample_ids=None, long=False):
        """Return a pandas DataFrame.

        Parameters
        ----------
        sample_ids : sequence of length n_samples, default=None
            Ids of the rows; their positions if None.
        long : bool, default=False
            A row a labelled cell (sample, label, value, and weight where there are
            weights) instead of a column a label (Int8, NA where unlabelled).

        Returns
        -------
        DataFrame
        """
        import pandas as pd

        ids = np.arange(len(self)) if sample_ids is None else np.asarray(sample_ids)
        if len(ids) != len(self):
            raise ValueError(
                f"`sample_ids` must name the {len(self)} samples; got {len(ids)}."
            )
        names = (
            np.arange(self.n_labels) if self.label_names is None else self.label_names
        )
        if not long:
            frame = pd.DataFrame(self.to_dense(), index=ids, columns=names)
            return frame.astype("Int8")
        cells = self.cells()
        columns = {
            "sample": ids[cells.rows],
            "label": names[cells.cols],
            "value": cells.values,
        }
        if cells.weights is not None:
            columns["weight"] = cells.weights
        return pd.DataFrame(columns)
