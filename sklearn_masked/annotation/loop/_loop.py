"""A labeling loop that loses no answer: pool, answers, labels and model in a folder."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, Self

from ..._files import make_folder, read_json, remove_parts, write_atomically
from ..._typing import MatrixLike, Names
from .._label_relations import LabelRelations
from .._query import check_count
from .._selection_weights import CHOSEN_NEGATIVE_WEIGHT, check_weight
from .._strategies import parse_strategy
from ._answers import Answers
from ._batches import Asking
from ._choose_batch import check_seeds
from ._label_changes import change_label, names_in_log, record_changes
from ._ledger import POLICIES, Ledger
from ._lock import FolderLock
from ._log import AnswerLog
from ._model import (
    fit_decisions,
    fit_model,
    fitted_at,
    held_out_proba,
    load_model,
    save_model,
)
from ._open_cells import Asked
from ._report import LoopReport, make_report
from ._salvage import SalvageReport, salvage
from ._score import SHARES, forecast, score_labels
from ._settings import (
    NAMES,
    SampleIds,
    Settings,
    check_names,
    check_new,
    tell_set_aside,
)
from ._texts import Texts, are_texts, equal_texts


class LabelingLoop(Asking, Answers):
    """Ask for cells, keep the answers, train on them, and ask again.

    Everything lives in a folder, where an answer is safe once :meth:`answer` returns:
    the process may be killed at any point, and the loop goes on from the folder. One
    process at a time works with a folder; within it, threads may.

    Parameters
    ----------
    estimator : estimator, Pipeline or None
        With `fit(X, labels)` on :class:`~sklearn_masked.MaskedLabels` and
        `predict_proba`. Cloned for each fit. None for
        :class:`~sklearn_masked.MaskedMultiLabelClassifier`, on TF-IDF where X are
        texts, with `seeds` as its `label_features`; torch is loaded when it is first
        fitted.
    X : array-like, sparse matrix, DataFrame or list of texts, n_samples rows
        The pool. It is not saved.
    folder : str or Path
        Made if there is none; gone on with if it is one of a loop.
    label_names : sequence of str
        The labels. A folder's may grow: new ones follow those that it has. The model
        knows them from the next `fit` on.
    sample_ids : sequence of str or int, of length n_samples, default=None
        Ids of the rows of X, by which answers are saved: X may change its order, and
        gain and lose rows. Without, their positions, and X itself must stay the same.
    strategy : str or dict, default="default"
        As in :func:`query_cells`.
    seeds : dict of label name to str, list of str or matrix, default=None
        For the first cells of a label, as long as it has no positive: words or example
        texts (if X are texts), or rows of features like those of X. A label of texts
        that is not among them is looked up by its name; one of which no word is known
        begins with cells by chance.
    on_disagreement : {"unlabeled", "majority", "last", "raise"}, default="unlabeled"
        What a cell is on which annotators disagree; a draw of "majority" leaves it
        unlabeled, "raise" refuses to give labels. Every answer is kept anyway.
    chosen_negative_weight : float, default=0.2
        Weight in a fit of a negative that the loop did not ask for by chance, but for
        what seeds or a model say of it: see :func:`weigh_chosen_negatives`. 1 gives
        the labels no weights, for estimators that take none.
    share_duplicates : bool, default=False
        Whether an answer about a text holds for all texts of X that differ from it in
        case, spaces and punctuation alone: these are answered with it, with the reason
        "duplicate", unless they have an answer already, and asked once.
    random_state : int, default=None
        Decides the next cells, together with the answers so far. If None, drawn once
        and saved in the folder.

    Attributes
    ----------
    labels : MaskedLabels of shape (n_samples, n_labels)
        What the answers say. A cell that is skipped, in dispute or never asked for is
        unlabeled.
    training_labels : MaskedLabels of shape (n_samples, n_labels)
        The same cells with the weights that `fit` gives them.
    model : estimator or None
        The last one fitted. It takes rows like those of X: texts, if these are.
    label_names : list of str
        The labels, in their order.
    folder : Path
        Where everything is.
    duplicates : dict of int to list of int
        With `share_duplicates`, of each row that has equal ones, all of these.
    set_aside : list of str or int
        Ids of samples with answers that are not among `sample_ids`. Their answers stay
        in the log and count again in a pool that has them.

    Raises
    ------
    FolderInUseError
        If another process, or another loop, works with the folder.
    DamagedLogError
        If the file of answers was changed by something else, is missing or lacks
        answers that were saved; see :meth:`salvage`.
    ValueError
        If the folder is about other samples or labels (without `sample_ids`, more
        samples at the end are accepted), or holds files of something else under the
        names of a loop's.

    Warns
    -----
    SamplesSetAsideWarning
        If samples with answers are not among `sample_ids`.
    TornAnswerWarning
        If a crash cut the last line short, which had not been acknowledged.
    UnreadableModelWarning
        When the model of the folder is first needed, if it cannot be read.
    UnknownSeedWarning
        When the first batch is chosen, if seeds have no word of the texts.

    See Also
    --------
    query_cells, seed_cells : What chooses the cells.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_masked import MaskedMultiOutputClassifier
    >>> from sklearn_masked.annotation import LabelingLoop
    >>> texts = ["the war goes on", "a thief was arrested", "rain and sun", "a robbery"]
    >>> seeds = {"war": "war battle", "crime": ["arrested", "robbery"]}
    >>> model = make_pipeline(
    ...     TfidfVectorizer(), MaskedMultiOutputClassifier(LogisticRegression())
    ... )
    >>> folder = tempfile.mkdtemp()
    >>> names = ["war", "crime"]
    >>> truth = [[1, 0], [0, 1], [0, 0], [0, 1]]  # what a person would say
    >>> with LabelingLoop(
    ...     model, texts, folder=folder, label_names=names, seeds=seeds, random_state=0
    ... ) as loop:
    ...     batch = loop.next_batch(4)
    ...     for sample, label in zip(batch["sample"][:3], batch["label"]):
    ...         _ = loop.answer(sample, label, truth[sample][label])
    ...     _ = loop.answer(batch["sample"][3], batch["label"][3], "skip")
    ...     print(loop.labels)
    MaskedLabels(4 x 2, 3 labeled cells: 2 positive, 1 negative)
    >>> with LabelingLoop.open(folder, model, texts) as loop:  # after a crash, say
    ...     print(loop.labels.n_cells, len(loop.fit().next_batch(2)))
    3 2
    """

    def __init__(
        self,
        estimator: Any,
        X: MatrixLike,
        *,
        folder: str | Path,
        label_names: Sequence[Any],
        sample_ids: Names | int = None,
        strategy: str | dict[str, Any] = "default",
        seeds: dict[str, Any] | None = None,
        on_disagreement: Literal[
            "unlabeled", "majority", "last", "raise"
        ] = "unlabeled",
        chosen_negative_weight: float = CHOSEN_NEGATIVE_WEIGHT,
        label_parents: dict[str, str] | None = None,
        exclusive_labels: Sequence[Sequence[str]] | None = None,
        share_duplicates: bool = False,
        random_state: int | None = None,
    ) -> None:
        self._prepare(
            estimator, X, label_names, sample_ids, strategy, seeds, on_disagreement
        )
        self.relations: LabelRelations = LabelRelations(
            self.label_names, label_parents, exclusive_labels
        )
        self.label_parents: dict[str, str] = dict(label_parents or {})
        self.exclusive_labels: list[list[str]] = [
            list(group) for group in exclusive_labels or []
        ]
        self._share(share_duplicates)
        check_weight(chosen_negative_weight, "chosen_negative_weight")
        self.chosen_negative_weight: float = float(chosen_negative_weight)
        if random_state is not None and (
            isinstance(random_state, bool)
            or not isinstance(random_state, Integral)
            or random_state < 0
        ):
            raise ValueError(
                "`random_state` accepts None or an integer from 0, which a file can "
                f"hold; got {random_state!r}."
            )
        self._enter(Path(folder), random_state)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        estimator: Any,
        X: MatrixLike,
        *,
        sample_ids: Names = None,
        seeds: dict[str, Any] | None = None,
    ) -> LabelingLoop:
        """Go on with the loop of a folder, with its labels and settings.

        Parameters
        ----------
        folder : str or Path
            Of a loop.
        estimator, X, sample_ids, seeds : see LabelingLoop
            What a folder does not hold.

        Returns
        -------
        LabelingLoop

        Raises
        ------
        FileNotFoundError
            If it is not the folder of a loop.
        """
        settings = Settings(Path(folder)).values
        if settings is None:
            raise FileNotFoundError(
                f"`folder` must be that of a labeling loop; {folder} has no "
                "settings.json. LabelingLoop(...) makes a new one."
            )
        return cls(
            estimator,
            X,
            folder=folder,
            label_names=settings["label_names"],
            sample_ids=sample_ids,
            strategy=settings["strategy"],
            seeds=seeds,
            on_disagreement=settings["on_disagreement"],
            chosen_negative_weight=settings.get(
                "chosen_negative_weight", CHOSEN_NEGATIVE_WEIGHT
            ),
            label_parents=settings.get("label_parents"),
            exclusive_labels=settings.get("exclusive_labels"),
            share_duplicates=settings.get("share_duplicates", False),
            random_state=settings["random_state"],
        )

    @classmethod
    def salvage(cls, folder: str | Path) -> SalvageReport:
        """Keep the whole lines of a damaged or shortened file of answers.

        For a folder that is refused with :class:`DamagedLogError` and has no better
        copy. The file as it was is kept as `answers.damaged.jsonl`; each line whose
        checksum holds goes on to count, in its order. Where the file is sound, nothing
        is changed.

        Parameters
        ----------
        folder : str or Path
            Of a loop; no process may work with it.

        Returns
        -------
        SalvageReport
            What is lost, and for which cells; printed, a few lines of text.

        Raises
        ------
        FileNotFoundError
            If it is not the folder of a loop.
        FolderInUseError
            If another process works with it.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sklearn_masked.annotation import LabelingLoop
        >>> texts, folder = ["a war", "a theft", "rain"], tempfile.mkdtemp()
        >>> with LabelingLoop(None, texts, folder=folder, label_names=["war"]) as loop:
        ...     _ = loop.answer([0, 1, 2], ["war"] * 3, ["yes", "no", "skip"])
        >>> log = Path(folder, "answers.jsonl")
        >>> damaged = log.read_text().replace('"value":0', '"value":1')
        >>> _ = log.write_text(damaged)
        >>> report = LabelingLoop.salvage(folder)
        >>> report.n_kept, report.n_lost, report.lines, report.cells
        (2, 1, [2], [(1, 'war')])
        >>> with LabelingLoop.open(folder, None, texts) as loop:
        ...     print(loop.labels)
        MaskedLabels(3 x 1, 1 labeled cell: 1 positive, 0 negative)
        """
        return salvage(Path(folder))

    @classmethod
    def rename_label(cls, folder: str | Path, name: str, new: str) -> None:
        """Give a label of a folder another name; its answers stay with it.

        Parameters
        ----------
        folder : str or Path
            Of a loop; no process may work with it.
        name, new : str
            Its name, and one that no label of the folder has or had.

        Raises
        ------
        FileNotFoundError, FolderInUseError
            As of :meth:`salvage`.
        ValueError
            If there is no such label, or the new name is taken.
        """
        if new is None:
            raise ValueError("`new` accepts a name; `drop_label` drops a label.")
        change_label(Path(folder), name, new)

    @classmethod
    def drop_label(cls, folder: str | Path, name: str) -> None:
        """Drop a label of a folder: its answers stay in the log, and count no more.

        The model and the scores are removed, which know the label.

        Parameters
        ----------
        folder : str or Path
            Of a loop; no process may work with it.
        name : str
            Of the label.

        Raises
        ------
        FileNotFoundError, FolderInUseError
            As of :meth:`salvage`.
        ValueError
            If there is no such label, or no other.
        """
        change_label(Path(folder), name, None)

    def _prepare(
        self, estimator, X, label_names, sample_ids, strategy, seeds, on_disagreement
    ):
        """Check what needs no folder, so that a mistake makes none."""
        self.estimator: Any = estimator
        self.X: Any = X
        self.label_names: list[Any] = check_names(label_names)
        self._columns = {name: col for col, name in enumerate(self.label_names)}
        self._samples = SampleIds(X, sample_ids)
        parse_strategy(strategy, 1)
        self.strategy: str | dict[str, Any] = strategy
        if on_disagreement not in POLICIES:
            raise ValueError(
                '`on_disagreement` accepts "unlabeled", "majority", "last" and '
                f'"raise"; got {on_disagreement!r}.'
            )
        self.on_disagreement: str = on_disagreement
        check_seeds(seeds, self.label_names)
        self._seeds, self._seeds_read, self._seed_queries = seeds, False, None
        self._texts = Texts(X) if are_texts(X) else None
        self._guard = threading.RLock()  # for what the log and memory say together
        self._kept, self._asked_for, self._n_read = Ledger(), Asked(), 0
        self._set_aside = {}  # ids with answers that X lacks, as an ordered set
        self._chosen = set()  # cells answered that chance did not ask for
        self._labels = self._fitted = None
        self._labels_at = -1

    def _share(self, share_duplicates):
        if not isinstance(share_duplicates, bool):
            raise TypeError(
                f"`share_duplicates` accepts True or False; got {share_duplicates!r}."
            )
        if share_duplicates and self._texts is None:
            raise ValueError(
                "`share_duplicates` accepts True where X are texts; got rows of "
                "features."
            )
        self.share_duplicates = share_duplicates
        self.duplicates = equal_texts(self.X) if share_duplicates else {}

    def _enter(self, folder, random_state):
        make_folder(folder)
        self.folder: Path = folder
        settings = Settings(folder)
        if settings.values is None:
            check_new(folder)
        self._lock = FolderLock(folder)
        try:
            settings = Settings(folder)  # another process may have begun meanwhile
            is_new = settings.values is None
            if not is_new:
                settings.check(self._samples, self.label_names)
                if random_state is None:
                    random_state = settings.values["random_state"]
            if random_state is None:
                random_state = secrets.randbits(32)
            self.random_state: int = int(random_state)
            changes = (settings.values or {}).get("changes", [])
            self._log_columns = names_in_log(self.label_names, changes)
            self._log = AnswerLog(folder / "answers.jsonl", is_new)
            record_changes(self._log, settings.values or {})
            self._read_log()
            tell_set_aside(folder, self.set_aside, bool(self._kept.by_id))
            remove_parts(folder, NAMES)
            settings.write(
                self._samples,
                self.label_names,
                strategy=self.strategy,
                on_disagreement=self.on_disagreement,
                chosen_negative_weight=self.chosen_negative_weight,
                label_parents=self.label_parents,
                exclusive_labels=self.exclusive_labels,
                share_duplicates=self.share_duplicates,
                random_state=self.random_state,
            )
        except BaseException:
            self._lock.close()
            raise

    @property
    def set_aside(self) -> list[Any]:
        """Ids of samples with answers that are not among `sample_ids`."""
        return list(self._set_aside)

    def close(self) -> None:
        """Let others have the folder; this loop takes no more answers."""
        self._log.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    # The model

    @property
    def model(self) -> Any:
        """The last model fitted, read from the folder when it is first asked for."""
        fitted = self._last_fitted()
        return None if fitted is None else fitted.model

    def _last_fitted(self):
        if self._fitted is None:
            self._fitted = load_model(self.folder, self.X)
        return self._fitted

    def fit(self) -> Self:
        """Fit a model on the labeled cells, and save it.

        It may run in a thread of its own while answers come in; those that are not
        there when it begins wait for the next fit.

        Returns
        -------
        LabelingLoop
            Itself; `model` is the fitted estimator, `model.joblib` in the folder its
            copy.

        Raises
        ------
        ValueError
            If no cell is labeled.

        Warns
        -----
        ModelNotSavedWarning
            If the model could not be written, as when the disk is full: it serves this
            process all the same.
        """
        with self._guard:
            labels, n_entries = self.training_labels, self._n_read
        data = self.X, self._texts, labels, self._descriptions()
        fitted = fit_model(self.estimator, *data, self._seed())
        self._log.check_open()  # the folder may be another's by now
        self._fitted = fitted
        save_model(self.folder, fitted.model, n_entries)
        return self

    def fit_decisions(self, *, cv: Any = 3, **params: Any) -> Any:
        """Fit a model that decides: its `predict` has a threshold tuned for each label.

        The thresholds are best for the labeled cells, of which those that a strategy
        has sought are no sample of the pool.

        Parameters
        ----------
        cv : int or splitter, default=3
            The folds that the thresholds are tuned on.
        **params : keyword arguments
            Others of
            :class:`~sklearn_masked.thresholds.MaskedTunedThresholdClassifierCV`;
            ``scoring="fbeta"``, the F1 score, if not among them.

        Returns
        -------
        MaskedTunedThresholdClassifierCV or Pipeline that ends in one
            It takes rows like those of X. Neither kept nor saved by the loop.

        Raises
        ------
        ValueError
            If no cell is labeled.

        Warns
        -----
        UserWarning
            If labels have too few cells of a class for a threshold of their own.
        """
        with self._guard:
            labels = self.training_labels
        data = self.X, self._texts, labels, self._descriptions()
        return fit_decisions(self.estimator, *data, cv, self._seed(), params)

    def _seed(self):
        return self.random_state % 2**32

    def _held_out_proba(self, labels, cv, share=1.0):
        """Return a probability a labeled cell, by models that did not see its row."""
        data = self.X, self._texts, labels, self._descriptions()
        return held_out_proba(self.estimator, *data, cv, self._seed(), share)

    def _descriptions(self):
        """Return the seeds, where the default model is to be fitted with them."""
        return self._read_seeds() if self.estimator is None else None

    def report(self, *, cv: Any = None, n_more_cells: int | None = None) -> LoopReport:
        """Return where the loop stands, printed as a table.

        Parameters
        ----------
        cv : int or splitter, default=None
            If given, the labels are scored by cross-validation of the rows that have a
            labeled cell, and the scores saved in the folder; an integer is the number
            of stratified folds. If None, the last scores are shown. Cells that a
            strategy has sought are not a sample of the pool, and neither are their
            scores: the cells with reason "random" are, and have a score of their own.
        n_more_cells : int, default=None
            With `cv`, also estimate what so many more labeled cells would add to the
            macro average precision, by models of a quarter and of half of the cells
            (:func:`~sklearn_masked.inspection.extrapolate_learning_curve`).

        Returns
        -------
        LoopReport
        """
        path = self.folder / "scores.json"
        scores = read_json(path)
        if cv is not None:
            scores = self._score(cv, n_more_cells, scores)
            text = json.dumps(scores).encode()
            self._log.check_open()
            write_atomically(path, lambda file: file.write(text))
        n_fitted = fitted_at(self.folder)
        with self._guard:
            n_open = len(self._asked.all_open())
            n_since = None if n_fitted is None else self._n_answers_since(n_fitted)
            return make_report(self._ledger, self.labels, scores, n_open, n_since)

    def _score(self, cv, n_more_cells, before):
        """Return the scores of held-out cells, after those of earlier calls."""
        if n_more_cells is not None:
            check_count(n_more_cells, "n_more_cells")
        with self._guard:
            labels, weighted = map(
                self._asked_alone, (self.labels, self.training_labels)
            )
            random_cells = self._random_cells(labels)
        proba = self._held_out_proba(weighted, cv)
        scores = score_labels(proba, labels, random_cells)
        if n_more_cells is not None:
            probas = [self._held_out_proba(weighted, cv, one) for one in SHARES[:-1]]
            n_train = [share * labels.n_cells for share in SHARES]
            rise = forecast([*probas, proba], n_train, labels, n_more_cells)
            scores |= {"n_more_cells": n_more_cells, "rise": rise}
        history = (before or {}).get("history", [])
        history = [one for one in history if one[0] < labels.n_cells]
        now = [labels.n_cells, *scores["macro_average_precision"]]
        return {**scores, "history": [*history, now]}

    def _n_answers_since(self, n_entries):
        entries = self._log.entries[n_entries : self._n_read]
        return sum("value" in entry or "undo" in entry for entry in entries)
