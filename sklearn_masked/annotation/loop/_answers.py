"""The answers of a loop: how they come in, and what they say."""

import uuid
from datetime import UTC, datetime
from numbers import Integral
from typing import Any

import numpy as np

from ..._typing import Names
from ...exceptions import DamagedLogError
from ...labels import MaskedLabels
from .._selection_weights import is_chosen, weigh
from ._ledger import Answer, decided_labels
from ._open_cells import unpacked

_WORDS = {"yes": 1, "no": 0, "skip": None}


class Answers:
    """What :class:`LabelingLoop` does with answers."""

    # What was answered

    def _read_log(self):
        """Bring memory up to the log, whatever interrupted this the last time."""
        with self._guard:
            while self._n_read < len(self._log.entries):
                self._take_up(self._log.entries[self._n_read])
                self._n_read += 1

    def _take_up(self, entry):
        """Take up an entry of the log; done twice, it comes to the same."""
        if "undo" in entry:
            if entry["undo"] not in self._kept.by_id:
                return  # the answer was lost from a log that was salvaged
            cell, _ = self._kept.by_id[entry["undo"]]
            self._kept.undo(entry["undo"])
            self._asked_for.undone(cell, self._kept.standing(cell))
        elif "asked" in entry:
            given = map(unpacked, entry["asked"])
            rows = {self._known_cell(one, name): row for one, name, row in given}
            rows.pop(None, None)
            self._asked_for.ask(entry["n"], entry["annotator"], rows)
        elif "released" in entry:
            cells = {self._known_cell(*cell_id) for cell_id in entry["released"]}
            self._asked_for.release(cells - {None})
        elif "label" in entry:
            cell = self._known_cell(entry["sample"], entry["label"])
            if cell is None:
                if self._samples.row(entry["sample"]) is None:
                    self._set_aside[entry["sample"]] = None
                return
            answer = Answer(*(entry.get(name) for name in Answer._fields))
            answer = answer._replace(label=self.label_names[cell[1]])
            if is_chosen(answer.reason):
                self._chosen.add(cell)
            self._kept.add(cell, answer)
            self._asked_for.answered(cell)

    def _known_cell(self, sample, label):
        """Return the cell of an entry that is being taken up, None if it is gone.

        Labels may have been dropped, and samples with ids removed from the pool.

        Labels may have had another name when the entry was written.
        """
        row, known = self._samples.row(sample), label in self._log_columns
        if row is None and known and self._samples.given:
            return None  # a sample that was removed from the pool
        if row is None or not known:
            raise DamagedLogError(
                f"{self._log.path}, line {self._n_read + 1}, speaks of sample "
                f"{sample!r}, label {label!r}, which this loop does not have."
            )
        col = self._log_columns[label]
        return None if col is None else (row, col)

    def _cell_id(self, cell):
        """Return (id of the sample, name of the label), as the log has them."""
        return self._samples.of(cell[0]), self.label_names[cell[1]]

    @property
    def _ledger(self):
        self._read_log()  # an interrupt may have come before it was
        return self._kept

    @property
    def _asked(self):
        self._read_log()
        return self._asked_for

    def answer(
        self,
        sample: Any,
        label: Any,
        value: Any,
        *,
        annotator: str | None = None,
        answer_id: str | None = None,
        together: bool = False,
    ) -> list[Answer]:
        """Save an answer, or several; when this returns, they are on disk.

        The same answer of the same annotator to the same cell is saved once, however
        often it is given, unless the cell was asked for again in between; another one
        stands for the earlier one, which the log keeps.

        Parameters
        ----------
        sample : int, str, or array-like of these
            A position in the pool, as in :meth:`next_batch`, or an id that is a str.
            An integer is a position always.
        label : int, str, or array-like of these
            A position, or a name.
        value : {1, 0, None, "yes", "no", "skip"}, or list or array of these
            None is a skip: no vote for either, the cell stays as it is, and the
            annotator is not asked again.
        annotator : str, default=None
            Who answers.
        answer_id : str, default=None
            An id for a single answer, chosen by who gives it: given again after an
            unknown outcome, it is not saved twice.
        together : bool, default=False
            Whether the answers were given as one, such as those to the labels of one
            screen: they keep a common `screen`, and :meth:`undo` takes all back.

        Returns
        -------
        list of Answer
            Those that were saved. By `label_parents` and `exclusive_labels`, an answer
            says something of other labels of its sample: that is saved with it, as an
            answer with the reason "implied", unless the cell has an answer already;
            and with `share_duplicates` for equal texts, with the reason "duplicate".

        Raises
        ------
        AnswerNotSavedError
            If the file could not be written, as when the disk is full; nothing has
            changed then, and the answer may be given again.
        ValueError
            If there is no such sample or label, the value is another, or the id was
            used for another answer.
        """
        single = _is_single(sample) and _is_single(label)
        if single:
            sample, label, value = [sample], [label], [value]
        elif answer_id is not None:
            raise ValueError("`answer_id` is for a single answer; got several answers.")
        check_annotator(annotator)
        if any(map(_is_single, (sample, label, value))):
            raise ValueError(
                "`sample`, `label` and `value` must be of one length, or each single; "
                f"got {sample!r}, {label!r} and {value!r}."
            )
        samples, labels, values = list(sample), list(label), list(value)
        if not len(samples) == len(labels) == len(values):
            raise ValueError(
                "`sample`, `label` and `value` must have one entry an answer; got "
                f"{len(samples)}, {len(labels)} and {len(values)}."
            )
        cells = [
            (self._row(one), self._column(other))
            for one, other in zip(samples, labels, strict=True)
        ]
        values = [_checked_value(one) for one in values]
        given = zip(cells, values, strict=True)
        given = [(cell, value, annotator, answer_id) for cell, value in given]
        return self._save(given, together)

    def _save(self, given, together):
        """Append those among (cell, value, annotator, id) that say something new."""
        with self._guard:
            entries, newest = [], {}
            for cell, value, annotator, answer_id in given:
                if answer_id is not None and self._is_known(
                    answer_id, cell, value, annotator
                ):
                    continue
                key = cell, annotator
                if key not in newest:
                    said = self._ledger.said(cell, annotator)
                    # Who is asked again and says the same has answered again.
                    known = said is not None and not self._asked.is_open(cell)
                    newest[key] = said.value if known else "nothing"
                if newest[key] != value or answer_id is not None:
                    newest[key] = value
                    entries.append(self._entry(cell, value, annotator, answer_id))
            groups = [entries] if together else [[entry] for entry in entries]
            entries = [entry for group in groups for entry in self._closed_group(group)]
            if entries:
                self._log.append(entries, "answer")
                self._read_log()
            return [self._ledger.by_id[entry["id"]][1] for entry in entries]

    def _closed_group(self, group):
        """Return entries given together, and what follows from them after them.

        They are in this order on disk, so that what a crash leaves of them has the
        answers before what follows from these.
        """
        given = {}
        for entry in group:
            row, col = self._known_cell(entry["sample"], entry["label"])
            given.setdefault(row, {})[col] = entry["value"]
        follows = []
        for row, values in given.items():
            decided = {col: value for col, value in values.items() if value is not None}
            implied = self.relations.implied(decided)
            others = [one for one in self.duplicates.get(row, ()) if one not in given]
            follows += [
                ((row, col), value, "implied") for col, value in implied.items()
            ]
            follows += [
                ((other, col), value, "duplicate")
                for other in others
                for col, value in (values | implied).items()
            ]
        more = [
            self._entry(cell, value, group[0]["annotator"], None, reason)
            for cell, value, reason in follows
            if not self._ledger.standing(cell)
        ]
        if len(group) + len(more) > 1:
            screen = uuid.uuid4().hex
            group = [{**entry, "screen": screen} for entry in group + more]
        return group

    def _entry(self, cell, value, annotator, answer_id, reason=None):
        sample, label = self._cell_id(cell)
        why = self._asked.why(cell) if reason is None else {"reason": reason}
        return {
            "id": uuid.uuid4().hex if answer_id is None else answer_id,
            "sample": sample,
            "label": label,
            "value": value,
            "annotator": annotator,
            "time": now(),
            # Why it was asked for: cells by chance make unbiased estimates possible.
            **why,
        }

    def _is_known(self, answer_id, cell, value, annotator):
        """Tell whether an id was saved already; raise if with another answer."""
        if not isinstance(answer_id, str) or not answer_id:
            raise TypeError(f"`answer_id` accepts a string; got {answer_id!r}.")
        if answer_id not in self._ledger.by_id:
            return False
        known, answer = self._ledger.by_id[answer_id]
        if (known, answer.value, answer.annotator) != (cell, value, annotator):
            raise ValueError(
                f"`answer_id` {answer_id!r} is that of another answer: sample "
                f"{answer.sample!r}, label {answer.label!r}, value {answer.value!r}."
            )
        return True

    def undo(
        self, *, annotator: str | None = None, answer_id: str | None = None
    ) -> list[Answer]:
        """Take back the last answer of an annotator that stands, or the one of an id.

        What was given together with it, or is implied by it, is taken back too.

        Parameters
        ----------
        annotator : str, default=None
            Whose answer.
        answer_id : str, default=None
            Which, if not the last one. One that is undone already stays so.

        Returns
        -------
        list of Answer
            What was undone, in the order it was given; empty if there was nothing. An
            answer before it to the same cell, if there is one, stands again.

        Raises
        ------
        AnswerNotSavedError
            As in :meth:`answer`.
        ValueError
            If there is no answer of that id.
        """
        check_annotator(annotator)
        with self._guard:
            if answer_id is None:
                answer_id = self._ledger.last(annotator)
                if answer_id is None:
                    return []
            elif answer_id not in self._ledger.by_id:
                raise ValueError(
                    f"`answer_id` must be that of an answer; got {answer_id!r}."
                )
            ids = self._ledger.together(answer_id)
            standing = [one for one in ids if not self._ledger.is_undone(one)]
            if standing:
                # The last one first: what a crash leaves undone can be undone still.
                self._log.append(
                    [
                        {"id": uuid.uuid4().hex, "undo": one, "time": now()}
                        for one in reversed(standing)
                    ],
                    "undo",
                )
            return [self._ledger.by_id[one][1] for one in standing or [answer_id]]

    def answers(self) -> list[Answer]:
        """Return the answers that stand, skips too, in the order they were given.

        Returns
        -------
        list of Answer
            Named tuples of id, sample (its id, or position where there are no ids),
            label, value (1, 0, None), annotator, time, n. Annotators who disagree
            each have theirs.
        """
        standing = self._standing()
        return sorted((one for some in standing for one in some), key=lambda one: one.n)

    def disagreements(self) -> Any:
        """Return the answers to each cell on which annotators disagree.

        Returns
        -------
        list of list of Answer
            One list a cell.
        """
        return [
            some for some in self._standing() if {0, 1} <= {one.value for one in some}
        ]

    def _standing(self):
        """Return the answers that stand, one list a cell."""
        with self._guard:
            return [self._ledger.standing(cell) for cell in self._ledger.cells]

    def _random_cells(self, labels):
        """Return which of the labeled cells were asked for by chance, bool."""
        cells = labels.cells()
        return np.array(
            [
                any(one.reason == "random" for one in self._ledger.standing(cell))
                for cell in zip(cells.rows.tolist(), cells.cols.tolist(), strict=True)
            ],
            dtype=bool,
        )

    @property
    def labels(self) -> MaskedLabels:
        """What the answers say, as MaskedLabels."""
        with self._guard:
            ledger = self._ledger
            if self._labels_at != self._n_read:
                shape = (self._samples.n, len(self.label_names))
                self._labels = decided_labels(
                    ledger, self.on_disagreement, shape, self.label_names
                )
                self._labels_at = self._n_read
            return self._labels

    def _asked_alone(self, labels):
        """Return labels less the cells that are answered as those of equal texts.

        An equal text in another fold would tell a model what it is to predict.
        """
        if not self.duplicates:
            return labels
        cells = labels.cells()
        places = zip(cells.rows.tolist(), cells.cols.tolist(), strict=True)
        kept = [
            any(one.reason != "duplicate" for one in self._ledger.standing(cell))
            for cell in places
        ]
        weights = None if cells.weights is None else cells.weights[kept]
        return MaskedLabels.from_cells(
            cells.rows[kept],
            cells.cols[kept],
            cells.values[kept],
            shape=labels.shape,
            weights=weights,
            label_names=self.label_names,
        )

    @property
    def training_labels(self) -> MaskedLabels:
        """The labels with the weights that `fit` gives them, to train elsewhere."""
        with self._guard:
            labels, chosen = self.labels, np.array(list(self._chosen)).reshape(-1, 2)
        return weigh(labels, *chosen.T, self.chosen_negative_weight)

    # What an answer is about

    def positions(self, sample_ids: Names | int) -> np.ndarray:
        """Return the positions of samples in the pool.

        Parameters
        ----------
        sample_ids : sequence of str or int
            Ids.

        Returns
        -------
        intp array of shape (n_ids,)

        Raises
        ------
        ValueError
            If there is no such id.
        """
        rows = [self._samples.row(one) for one in _plain(sample_ids)]
        if None in rows:
            one = _plain(sample_ids)[rows.index(None)]
            raise ValueError(
                f"samples must be named by the ids of the {self._samples.n} samples of "
                f"the pool; got {one!r}."
            )
        return np.array(rows, dtype=np.intp)

    def _row(self, sample):
        if isinstance(sample, str) and self._samples.given:
            return int(self.positions([sample])[0])
        if isinstance(sample, Integral) and not isinstance(sample, bool):
            if 0 <= sample < self._samples.n:
                return int(sample)
        raise ValueError(
            f"`sample` accepts positions from 0 to {self._samples.n - 1}, and ids that "
            f"are text where `sample_ids` were given; got {sample!r}."
        )

    def _column(self, label):
        if isinstance(label, Integral) and not isinstance(label, bool):
            if 0 <= label < len(self.label_names):
                return int(label)
        elif label in self._columns:
            return self._columns[label]
        raise ValueError(
            f"`label` accepts positions from 0 to {len(self.label_names) - 1} and "
            f"names, such as {self.label_names[0]!r}; got {label!r}."
        )


def _is_single(entry):
    return isinstance(entry, str) or np.ndim(entry) == 0


def _plain(entries):
    return [one.item() if isinstance(one, np.generic) else one for one in entries]


def _checked_value(value):
    if value is None or isinstance(value, str) and value in _WORDS:
        return _WORDS.get(value)
    if isinstance(value, bool | np.bool_ | Integral) and value in (0, 1):
        return int(value)
    raise ValueError(
        f'`value` accepts 1 or "yes", 0 or "no", None or "skip"; got {value!r}.'
    )


def check_annotator(annotator):
    """Raise unless it is a name or None."""
    if annotator is not None and (not isinstance(annotator, str) or not annotator):
        raise TypeError(f"`annotator` accepts a name or None; got {annotator!r}.")


def now():
    """Return the time, as the log has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
