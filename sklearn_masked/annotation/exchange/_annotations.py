"""Answers of annotators as columns, and what becomes labels of them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from ..._typing import Names
from ...labels import MaskedLabels
from ._gather import columns_of_labels, columns_of_parts
from ._join import join
from ._rows import EPOCH, SKIPPED, iter_records

OPTIONAL = ("annotators", "timestamps", "weights", "skips")


class Annotations:
    r"""Answers of annotators, a row an answer: immutable, by id and never by position.

    Made by :func:`read_annotations` or :meth:`from_labels`. A row is a yes, a no or a
    skip of one annotator about one label of one sample; a skip may concern all labels
    of its sample. A cell without a row is unlabeled.

    Attributes
    ----------
    ids : object array of shape (n_rows,)
        Ids of the samples, as text.
    labels : object array of shape (n_rows,)
        Names of labels; None where a whole sample was skipped.
    answers : int8 array of shape (n_rows,)
        1 yes, 0 no, -1 skipped.
    skipped : bool array of shape (n_rows,)
        Where the answer is a skip.
    annotators : object array of shape (n_rows,)
        Names, as text; None where the source names none.
    timestamps : datetime64[us] array of shape (n_rows,) or None
        Time of each answer, UTC, NaT where there is none; None if none has one.
    weights : float64 array of shape (n_rows,) or None
        Weight of each answer; None if no record has one.
    numbers : int32 array of shape (n_rows,) or None
        Where the records stand in the source: their lines, or their numbers from 1 in
        a JSON array.
    unit : {"line", "record"} or None
        What `numbers` counts.
    label_names : list of str
        The labels that occur, sorted.
    n_records, n_not_reviewed : int
        Records read, and how many of these hold no answer at all.
    source : str or None
        Name of the file.

    Examples
    --------
    >>> import io
    >>> from sklearn_masked.annotation import read_annotations
    >>> answers = read_annotations(io.StringIO(
    ...     "sample,label,value\na,sports,yes\na,economy,no\nb,sports,skip\n"
    ... ), "csv")
    >>> answers
    Annotations(3 records: 1 yes, 1 no, 1 skipped, 0 not reviewed)
    >>> answers.to_labels(["a", "b", "c"]).to_dense()
    array([[ 0.,  1.],
           [nan, nan],
           [nan, nan]])
    """

    def __init__(self, parts: Any) -> None:
        for name, part in parts.items():
            if isinstance(part, np.ndarray):
                part.flags.writeable = False
            setattr(self, f"_{name}", part)

    @classmethod
    def from_labels(
        cls,
        labels: MaskedLabels,
        sample_ids: Names,
        label_names: Names = None,
    ) -> Annotations:
        """Return the labeled cells of labels as answers.

        Parameters
        ----------
        labels : MaskedLabels of shape (n_samples, n_labels)
            Confirmed negatives become answers, unlabeled cells none.
        sample_ids : sequence of length n_samples
            Ids of the rows, text or integers, all different.
        label_names : sequence of length n_labels, default=None
            Names of the labels, if `labels` has none.

        Returns
        -------
        Annotations
            A row a labeled cell.
        """
        return cls(columns_of_labels(labels, sample_ids, label_names))

    @classmethod
    def concat(cls, *parts: Any) -> Annotations:
        """Return the answers of several files, one after another.

        Parameters
        ----------
        *parts : Annotations
            In the order in which the last answer counts, where there are no times.

        Returns
        -------
        Annotations
            All answers, without `source` and `numbers`.
        """
        for part in parts:
            if not isinstance(part, Annotations):
                raise TypeError(
                    f"`concat` accepts Annotations; got {type(part).__name__}."
                )
        return cls(columns_of_parts(parts))

    # Its columns

    def _row(self, entries):
        """Return a column of entries as one of rows."""
        return entries if self._entry is None else entries[self._entry]

    @property
    def ids(self) -> np.ndarray:
        """Ids of the samples, object array of shape (n_rows,)."""
        return _objects(self._ids)[self._row(self._id_codes)]

    @property
    def labels(self) -> np.ndarray:
        """Names of the labels, object array; None for a skip of a whole sample."""
        return np.append(self._label_names, None)[self._label_codes]

    @property
    def answers(self) -> np.ndarray:
        """1 yes, 0 no, -1 skipped, int8 array."""
        return self._values

    @property
    def skipped(self) -> np.ndarray:
        """Where the answer is a skip, bool array."""
        return self._values == SKIPPED

    @property
    def annotators(self) -> np.ndarray:
        """Names of the annotators, object array; None where there is none."""
        return np.append(self._annotator_names, None)[self._row(self._annotator_codes)]

    @property
    def timestamps(self) -> np.ndarray | None:
        """Times of the answers in UTC, datetime64[us] array, or None."""
        if self._times is None:
            return None
        return self._row(self._times).view("datetime64[us]")

    @property
    def weights(self) -> np.ndarray | None:
        """Weights of the answers, float64 array, or None."""
        return None if self._weights is None else self._row(self._weights)

    @property
    def numbers(self) -> np.ndarray | None:
        """Lines or numbers of the records, int32 array, or None."""
        return None if self._numbers is None else self._row(self._numbers)

    @property
    def unit(self) -> str:
        """What `numbers` counts: "line" or "record"."""
        return self._unit

    @property
    def label_names(self) -> list[Any]:
        """The labels that occur, sorted."""
        return sorted(self._label_names)

    @property
    def n_records(self) -> int:
        """Records read."""
        return self._n_records

    @property
    def n_not_reviewed(self) -> int:
        """Records that hold no answer."""
        return self._n_not_reviewed

    @property
    def source(self) -> str | None:
        """Name of the file, or None."""
        return self._source

    # How it looks

    def __len__(self) -> int:
        return len(self._values)

    def summary(self) -> dict[str, int]:
        """Return the counts as a dict.

        Returns
        -------
        dict of int
            `records` of the source; answers `yes`, `no` and `skipped`; records
            `not_reviewed`.
        """
        no, yes = (int((self._values == value).sum()) for value in (0, 1))
        return {
            "records": self.n_records,
            "yes": yes,
            "no": no,
            "skipped": len(self) - yes - no,
            "not_reviewed": self.n_not_reviewed,
        }

    def __repr__(self) -> str:
        counts = self.summary()
        n_records = counts.pop("records")
        counts = (f"{n} {name.replace('_', ' ')}" for name, n in counts.items())
        return (
            f"Annotations({n_records} record{'' if n_records == 1 else 's'}: "
            f"{', '.join(counts)})"
        )

    def __eq__(self, other: object) -> bool:
        """Return whether both have the same answers, in whatever order."""
        if not isinstance(other, Annotations):
            return NotImplemented
        return len(self) == len(other) and _sorted(self) == _sorted(other)

    __hash__: ClassVar[None]  # type: ignore[assignment]
    __hash__ = None

    # What becomes of it

    def to_records(self) -> Any:
        """Return the answers as a list of dicts.

        Returns
        -------
        list of dict
            `sample`, `label`, `value` (1, 0 or None for a skip), and those of
            `annotator`, `timestamp` (aware datetime) and `weight` that are known.
        """
        return list(iter_records(self))

    def to_frame(self) -> Any:
        """Return the answers as a pandas DataFrame in long form.

        Returns
        -------
        DataFrame
            Columns `sample`, `label`, `value` (nullable Int8, NA for a skip),
            `annotator`, and `timestamp` and `weight` where any answer has one.
        """
        import pandas as pd

        skipped = self._values == SKIPPED
        value = pd.arrays.IntegerArray(np.where(skipped, 0, self._values), skipped)
        columns = {
            "sample": self.ids,
            "label": self.labels,
            "value": value,
            "annotator": self.annotators,
        }
        if self._times is not None:
            columns["timestamp"] = pd.DatetimeIndex(self.timestamps, tz="UTC")
        if self._weights is not None:
            columns["weight"] = self.weights
        return pd.DataFrame(columns)

    def without(self, *columns: Any) -> Annotations:
        """Return the same answers less what some form cannot carry.

        Parameters
        ----------
        *columns : {"annotators", "timestamps", "weights", "skips"}
            What to leave out.

        Returns
        -------
        Annotations
            Without these.
        """
        for name in columns:
            if name not in OPTIONAL:
                raise ValueError(
                    f"`without` accepts names among {OPTIONAL}; got {name!r}."
                )
        parts = self._parts()
        if "annotators" in columns:
            parts["annotator_names"] = np.empty(0, object)
            parts["annotator_codes"] = np.full(len(self._annotator_codes), -1, np.int32)
        if "timestamps" in columns:
            parts["times"] = None
        if "weights" in columns:
            parts["weights"] = None
        answers = Annotations(parts)
        return answers._take(self._values != SKIPPED) if "skips" in columns else answers

    def _has(self, column):
        """Return whether any answer has what is in OPTIONAL."""
        return {
            "annotators": lambda: (self._annotator_codes >= 0).any(),
            "timestamps": lambda: self._times is not None,
            "weights": lambda: self._weights is not None,
            "skips": lambda: (self._values == SKIPPED).any(),
        }[column]()

    def _parts(self):
        return {name.removeprefix("_"): part for name, part in self.__dict__.items()}

    def _take(self, kept):
        """Return the same with some of the rows."""
        kept = np.flatnonzero(kept)
        entry = kept.astype(np.int32) if self._entry is None else self._entry[kept]
        rows = {"label_codes": self._label_codes[kept], "values": self._values[kept]}
        return Annotations({**self._parts(), "entry": entry, **rows})

    def disagreements(self) -> Annotations:
        """Return the answers about cells to which some said yes and some no.

        Returns
        -------
        Annotations
            Of these cells, all answers but skips.
        """
        answered = self._values != SKIPPED
        cells = self._row(self._id_codes).astype(np.int64) * (
            len(self._label_names) + 1
        )
        cells += self._label_codes
        _, cells = np.unique(cells, return_inverse=True)
        n_cells = int(cells.max(initial=-1)) + 1
        yes = np.bincount(cells[self._values == 1], minlength=n_cells) > 0
        no = np.bincount(cells[self._values == 0], minlength=n_cells) > 0
        return self._take(answered & (yes & no)[cells])

    def to_labels(
        self,
        sample_ids: Names,
        label_names: Names = None,
        *,
        on_conflict: Literal["raise", "last", "majority"] = "raise",
        unknown_samples: Literal["raise", "drop"] = "raise",
    ) -> MaskedLabels:
        """Return the answers as labels of the samples, joined by id.

        Ids are compared as text, so that 17 of a JSON file, "17" of a CSV file and
        the integer 17 are one. Cells without an answer are unlabeled; a skip is none,
        and takes none back.

        Parameters
        ----------
        sample_ids : sequence of length n_samples
            Ids of the samples in the order of X, text or integers, all different.
        label_names : sequence, default=None
            The labels, in the order of the columns. None takes the labels that occur,
            sorted.
        on_conflict : {"raise", "last", "majority"}, default="raise"
            What to do where a cell has several answers. "raise" lets pass what
            different annotators agree on, and refuses all else, a record that stands
            there twice too. "last" goes by the time of the answers, or by their order
            in the file where a cell's answers have none. "majority" counts the last
            answer of each annotator, and each nameless one, by weight; a tie is
            unlabeled.
        unknown_samples : {"raise", "drop"}, default="raise"
            What to do with answers about samples that are not in `sample_ids`.

        Returns
        -------
        MaskedLabels of shape (n_samples, n_labels)
            Weighted, if the answers are: a majority by the sum of its votes.

        Raises
        ------
        ValueError
            If an id or a label is unknown or stands twice in `sample_ids` or
            `label_names`, or if a cell has several answers. The message names the id,
            the file and the line.
        """
        return join(self, sample_ids, label_names, on_conflict, unknown_samples)


def _objects(strings):
    return np.fromiter(strings, dtype=object, count=len(strings))


def _sorted(annotations):
    rows = (
        (
            record["sample"],
            record["label"] or "",
            -1 if record["value"] is None else record["value"],
            record.get("annotator", ""),
            "annotator" in record,
            record.get("timestamp", EPOCH),
            "timestamp" in record,
            record.get("weight", 1.0),
        )
        for record in iter_records(annotations)
    )
    return sorted(rows)
