"""The questions of a loop: which cells it hands out, and which it waits for."""

import uuid
from typing import Any

import numpy as np

from ...labels.names import check_same_names
from .._audit import audit_cells
from .._query import check_count
from .._table import CellTable, query_table
from ._answers import check_annotator, now
from ._choose_batch import (
    choose_cells,
    choose_screens,
    model_proba,
    read_seeds,
)
from ._open_cells import packed, table_rows


class Asking:
    """What :class:`LabelingLoop` does with questions."""

    def next_batch(
        self,
        n_cells: int = 20,
        *,
        annotator: str | None = None,
        proba: np.ndarray | None = None,
        **options: Any,
    ) -> CellTable:
        """Hand out the next cells to ask an annotator for.

        A batch is saved: as long as cells of it are neither answered, skipped nor
        released, these are handed out again, in their order, after a restart too. Only
        then come new ones: chosen by the model; before there is one, by the seeds;
        where neither says enough, by chance. With a model, labels without any positive
        keep an even share of cells by the seeds. Never a cell that is labeled, that
        this annotator answered or skipped (anybody, if no name is given), or that
        waits for somebody else. The same answers, batches and model give the same
        cells.

        Parameters
        ----------
        n_cells : int, default=20
            How many cells at most.
        annotator : str, default=None
            Who will answer.
        proba : array of shape (n_samples, n_labels), default=None
            Probabilities of the pool, if they were computed elsewhere; no seeds then.
        **options : keyword arguments
            Of :func:`query_cells` where there is a model, such as `max_per_sample`.

        Returns
        -------
        CellTable of at most n_cells rows
            As of :func:`query_cells`: `sample` and `label` are positions.

        Raises
        ------
        AnswerNotSavedError
            If the batch could not be saved, as when the disk is full: no answer could
            be, either.

        Warns
        -----
        FewerCellsWarning
            If fewer cells are left.
        """
        check_count(n_cells, "n_cells")
        with self._guard:
            waiting = self._waiting(annotator)
            if waiting:
                return self._asked.table(waiting[:n_cells], self.label_names)
        return self._choose(choose_cells, annotator, proba, n_cells, options)

    def next_screens(
        self,
        n_samples: int = 20,
        *,
        max_labels: int = 9,
        annotator: str | None = None,
        proba: np.ndarray | None = None,
        **options: Any,
    ) -> CellTable:
        """Hand out the next samples to read, each with the labels to answer at once.

        As :meth:`next_batch`, but several cells of a sample: those that the model, or
        before there is one the seeds, find likely; without either, random ones. The
        answers to a screen are best given in one call of :meth:`answer`, with
        ``together=True``.

        Parameters
        ----------
        n_samples : int, default=20
            How many samples at most.
        max_labels : int, default=9
            Labels to show with a sample at most.
        annotator, proba : see next_batch
        **options : keyword arguments
            Of :func:`query_samples` where there is a model, such as `reading_cost`.

        Returns
        -------
        CellTable
            As of :func:`query_samples`: the cells of a sample stand together.

        Raises
        ------
        AnswerNotSavedError
            As in :meth:`next_batch`.

        Warns
        -----
        FewerCellsWarning
            If fewer samples are left.
        """
        check_count(n_samples, "n_samples")
        check_count(max_labels, "max_labels")
        with self._guard:
            waiting = self._waiting(annotator)
            if waiting:
                rows = list(dict.fromkeys(row for row, _ in waiting))[:n_samples]
                cells = [cell for row in rows for cell in waiting if cell[0] == row]
                return self._asked.table(cells, self.label_names)
        options = {"max_labels": max_labels, **options}
        return self._choose(choose_screens, annotator, proba, n_samples, options)

    def _waiting(self, annotator):
        check_annotator(annotator)
        return self._asked.open_cells(annotator)

    def _choose(self, choose, annotator, proba, n, options):
        """Choose new cells, save that they are asked for, and return them."""
        with self._guard:
            labels, closed = self.labels, self._closed(annotator)
            n_entries = self._n_read
        # Answers may come in meanwhile, from another thread.
        seeds = None
        if proba is None:
            seeds = self._read_seeds()
            fitted = self._last_fitted()
            if fitted is not None:
                proba = model_proba(fitted.predictor, fitted.rows, labels.n_labels)
        rng = np.random.default_rng([self.random_state, n_entries])
        options = {"strategy": self.strategy, **options}
        table = choose(labels, closed, proba, seeds, n, rng, **options)
        return self._hand_out(table, annotator, n_entries)

    def review_batch(
        self, n_cells: int = 20, *, annotator: str | None = None, cv: Any = 5
    ) -> CellTable:
        """Hand out the labeled cells that look most like mistakes, to be asked again.

        They are ranked by :func:`audit_cells` with predictions of the estimator that
        did not see them. An answer is given as to any other cell: one that confirms
        the label is saved too, and no cell comes up for review twice. As long as cells
        of an earlier batch wait for this annotator, these are handed out instead.

        Parameters
        ----------
        n_cells : int, default=20
            How many cells at most.
        annotator : str, default=None
            Who will answer: best somebody else than before.
        cv : int or splitter, default=5
            The folds of the rows that have a labeled cell.

        Returns
        -------
        CellTable of at most n_cells rows
            As of :meth:`next_batch`, with reason "review"; `utility` is how much the
            predictions contradict the label, between 0 and 1.

        Raises
        ------
        AnswerNotSavedError
            As in :meth:`next_batch`.
        """
        check_count(n_cells, "n_cells")
        check_annotator(annotator)
        with self._guard:
            waiting = self._asked.open_cells(annotator)
            if waiting:
                return self._asked.table(waiting[:n_cells], self.label_names)
            labels, n_entries = self.labels, self._n_read
            closed = self._asked.reviewed | self._asked.all_open()
        ranked = audit_cells(self._held_out_proba(labels, cv), labels).table
        cells = zip(ranked["sample"].tolist(), ranked["label"].tolist(), strict=True)
        chosen = [at for at, cell in enumerate(cells) if cell not in closed]
        ranked = ranked[chosen[:n_cells]]
        part = {name: ranked[name] for name in ("sample", "label", "probability")}
        part["utility"] = 1 - ranked["self_confidence"]
        part["reason"] = "review"
        table = query_table([part], labels.label_names)
        return self._hand_out(table, annotator, n_entries)

    def _closed(self, annotator):
        """Return the cells that an annotator is not to be asked for."""
        seen = self._ledger.seen.get(annotator, set())
        if annotator is None:  # it may be anybody who answers
            seen = self._ledger.cells.keys()
        return seen | self._asked.all_open()

    def _hand_out(self, table, annotator, n_entries):
        """Save a batch, less what was answered or asked for since n_entries."""
        rows = table_rows(table)
        with self._guard:
            taken = self._asked.all_open()
            taken |= {
                cell
                for cell in rows
                if any(one.n >= n_entries for one in self._ledger.standing(cell))
            }
            rows = {cell: row for cell, row in rows.items() if cell not in taken}
            rows = self._one_of_equal(rows)
            if rows:
                asked = packed(map(self._cell_id, rows), rows.values())
                entry = {"id": uuid.uuid4().hex, "asked": asked, "annotator": annotator}
                self._log.append([{**entry, "time": now()}], "batch")
            self._read_log()
            return self._asked.table(list(rows), self.label_names)

    def _one_of_equal(self, rows):
        """Return the cells of a batch, only of the first of equal texts."""
        first = {}
        for row, _ in rows:
            for other in self.duplicates.get(row, (row,)):
                first.setdefault(other, row)
        return {cell: said for cell, said in rows.items() if first[cell[0]] == cell[0]}

    def _read_seeds(self):
        if not self._seeds_read:
            self._seed_queries = read_seeds(
                self._seeds, self.X, self._texts, self.label_names
            )
            self._seeds_read = True  # words are looked up once
        return self._seed_queries

    def release(self, table: CellTable | None = None) -> None:
        """Ask no more for cells that were handed out: any annotator may get them.

        Parameters
        ----------
        table : CellTable, default=None
            Which; all that wait for an answer if None.

        Raises
        ------
        AnswerNotSavedError
            As in :meth:`next_batch`.
        """
        with self._guard:
            cells = self._asked.all_open()
            if table is not None:
                names = getattr(table, "label_names", None)
                check_same_names(names, self.label_names, "table", "the loop")
                cells = cells & table_rows(table).keys()
            if cells:
                entry = {"id": uuid.uuid4().hex, "time": now()}
                released = [self._cell_id(cell) for cell in sorted(cells)]
                self._log.append([{**entry, "released": released}], "release")
            self._read_log()
