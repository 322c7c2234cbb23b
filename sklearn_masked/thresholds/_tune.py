"""The choice of each label's threshold, with fallbacks."""

from typing import NamedTuple

import numpy as np

from ..metrics.label_table import label_column
from ._constraints import lower_bound
from ._curves import LabelCells, split_labels
from ._objectives import best_threshold, make_objective
from ._prevalence import reweighed
from ._reachable import REACHABLE, Reachable
from ._settings import CONSTRAINED

TUNED, FEW, UNAUDITED, CONSTANT, UNDEFINED, UNMET, NO_TARGET = (
    "tuned",
    "few cells",
    "no audited positive",
    "constant scores",
    "undefined score",
    "target not met",
    "no target",
)
_SHARES = ("prevalence", "precision", "precision_low", "recall", "recall_low")


class Choice(NamedTuple):
    """The threshold of a label and how it came about."""

    threshold: float
    reason: str
    score: float = np.nan
    level: float = np.nan  # confidence of the test that a promise passed
    grid: np.ndarray = np.empty(0)
    curve: np.ndarray = np.empty(0)
    reachable: Reachable = Reachable()


class Tuner:
    """Chooses thresholds from scored cells."""

    def __init__(self, parts, joined, settings):
        if settings.constrained or settings.pool_folds:
            parts = [joined]
        prevalences = settings.traffic.prevalences
        self.settings = settings
        self.folds = [split_labels(part, prevalences) for part in parts]
        self.pooled_folds = [
            split_labels(reweighed(part, prevalences).pooled())[0] for part in parts
        ]
        self.cells = split_labels(joined, prevalences)
        self.confidence = self._confidence()
        self._pooled = {}

    def _confidence(self):
        """Return the confidence of a single label's promise and bounds."""
        settings = self.settings
        if settings.confidence is None or settings.confidence_over == "label":
            return settings.confidence
        # Bonferroni: numbers of cells and targets, and no score, decide which count.
        n_tested = sum(
            not self._is_few(cells) and self._has_target(label)
            for label, cells in enumerate(self.cells)
        )
        return 1 - (1 - settings.confidence) / max(n_tested, 1)

    def _is_few(self, cells):
        settings = self.settings
        return (
            cells.n_positive < settings.min_positive
            or cells.n_negative < settings.min_negative
        )

    def _is_unaudited(self, cells):
        """Return whether the prevalence may be 0, so that no precision can be shown."""
        audited = cells.prevalence is not None and cells.prevalence.audit is not None
        asked = self.settings.scoring == "recall_at_precision" and self.confidence
        return bool(audited and asked) and not cells.prevalence.audit.hits.any()

    def _has_target(self, label):
        target = self.settings.target
        return target is None or not np.isnan(target[label])

    @property
    def only_pool(self):
        """True for one label, whose fallback is of its own cells."""
        pooled = self.settings.fallback in ("auto", "pooled")
        return len(self.cells) == 1 and pooled and not self.settings.constrained

    def choose(self, label):
        """Return the `Choice` of a label."""
        cells = self.cells[label]
        if not self._has_target(label):
            choice = Choice(self.settings.default, NO_TARGET)
        elif self._is_few(cells) and not self.only_pool:
            choice = Choice(self._fallback(label), FEW)
        elif self._is_unaudited(cells):
            choice = Choice(self._fallback(label), UNAUDITED)
        else:
            choice = self._tune([fold[label] for fold in self.folds], label)
            if choice.reason != TUNED:
                choice = choice._replace(threshold=self._fallback(label))
        if choice.reason == UNMET:
            find = REACHABLE[self.settings.scoring]
            target = self.settings.target[label]
            reachable = find(cells, target, self.confidence)
            choice = choice._replace(reachable=reachable)
        if choice.reason != TUNED:
            choice = choice._replace(score=self._score(cells, label, choice.threshold))
        return choice

    def _tune(self, folds, label):
        """Return the choice from a label's cells, or from those of all labels."""
        settings = self.settings
        if settings.constrained:
            target = settings.target[label]
            find = CONSTRAINED[settings.scoring]
            threshold, level = find(folds[0], target, self.confidence)
            if threshold is None:
                return Choice(np.nan, UNMET, level=level)
            score = self._score(folds[0], label, threshold)
            return Choice(threshold, TUNED, score, level, *self._promise(folds[0]))
        both = [f for f in folds if f.both_sides or self._counts_one_side(f)]
        spread = [f for f in both if not np.isclose(f.scores[0], f.scores[-1])]
        if not spread:
            return Choice(np.nan, CONSTANT if both else FEW)
        found = best_threshold(spread, self._objective(label), settings.thresholds)
        threshold, score, grid, curve = found
        if np.isnan(score):
            return Choice(np.nan, UNDEFINED)
        return Choice(threshold, TUNED, score, np.nan, grid, curve)

    def _counts_one_side(self, fold):
        # A fold without positives has no F1, but what its decisions cost is known:
        # unless positives and negatives are to be reweighed against each other.
        costs = (
            isinstance(self.settings.scoring, str) and self.settings.scoring == "cost"
        )
        return costs and len(fold.scores) > 0 and fold.prevalence is None

    def _objective(self, label):
        settings = self.settings
        costs = None if settings.costs is None else settings.costs[label]
        return make_objective(settings.scoring, settings.beta, costs)

    def _promise(self, cells):
        """Return all thresholds and the share that is promised, for `cv_results_`."""
        scores = cells.distinct()
        recall = self.settings.scoring == "precision_at_recall"
        share = (cells.recall if recall else cells.precision)(cells.at(scores))
        return scores, share.value

    def _fallback(self, label):
        """Return the threshold of a label that has none of its own."""
        settings = self.settings
        fallback = settings.fallback
        if fallback == "auto":
            fallback = "safe" if settings.constrained else "pooled"
        if fallback == "pooled":
            return self._pooled_threshold(label)
        named = {
            "safe": settings.safe_side,
            "default": settings.default,
            "never": np.inf,
            "always": -np.inf,
        }
        return named[fallback] if isinstance(fallback, str) else float(fallback)

    def _pooled_threshold(self, label):
        """Return the threshold of the cells of all labels together."""
        settings = self.settings
        key = tuple(
            None if of is None else np.asarray(of[label]).tobytes()
            for of in (settings.target, settings.costs)
        )
        if key not in self._pooled:
            choice = self._tune(self.pooled_folds, label)
            if choice.reason != TUNED:
                safe = settings.safe_side if settings.constrained else settings.default
                choice = choice._replace(threshold=safe)
            self._pooled[key] = choice.threshold
        return self._pooled[key]

    def _score(self, cells: LabelCells, label, threshold):
        """Return the objective of a threshold on all cells of a label."""
        if not len(cells.scores):
            return np.nan
        counts = cells.counts(np.array([threshold]))
        if not self.settings.constrained:
            return float(self._objective(label)(counts)[0])
        tp, fp, fn, _ = (float(count[0]) for count in counts)
        whole = tp + (fn if self.settings.scoring == "recall_at_precision" else fp)
        return tp / whole if whole > 0 else np.nan

    def columns(self, choices, names, seen=None):
        """Return the report's columns; `seen` are cells scored after refitting."""
        columns = {
            "label": label_column(len(choices), names),
            "threshold": np.array([choice.threshold for choice in choices]),
            "reason": np.array([choice.reason for choice in choices]),
        }
        rows = [
            self._bought(cells, choice)
            for cells, choice in zip(self.cells, choices, strict=True)
        ]
        for name in ("labeled", "positive", "predicted"):
            columns[name] = np.array([row[name] for row in rows], dtype=np.int64)
        for name in _SHARES:
            columns[name] = np.array([row[name] for row in rows], dtype=np.float64)
        columns["score"] = np.array([choice.score for choice in choices])
        for name in Reachable._fields:
            found = [getattr(choice.reachable, name) for choice in choices]
            columns[name] = np.array(found, dtype=np.float64)
        again = np.full((2, len(choices)), np.nan)
        if seen is not None:
            again = self._seen_shares(seen, columns["threshold"])
        return columns | {"precision_refit": again[0], "recall_refit": again[1]}

    def _seen_shares(self, seen, thresholds):
        """Return precision and recall of thresholds on cells, shape (2, n_labels)."""
        shares = np.full((2, len(thresholds)), np.nan)
        parts = split_labels(seen, self.settings.traffic.prevalences)
        for label, (cells, threshold) in enumerate(zip(parts, thresholds, strict=True)):
            first = cells.at(np.array([threshold]))
            for row, share in enumerate((cells.precision(first), cells.recall(first))):
                if share.hits[0] + share.misses[0] > 0:
                    shares[row, label] = share.value[0]
        return shares

    def _bought(self, cells, choice):
        """Return what a threshold gives on the cells of a label."""
        first = cells.at(np.array([choice.threshold]))
        row = {
            "labeled": len(cells.scores),
            "positive": cells.n_positive,
            "predicted": len(cells.scores) - int(first[0]),
            "prevalence": cells.share_of_positives,
        }
        level = choice.level
        if np.isnan(level) and self.confidence is not None:
            level = self.confidence
        for name in ("precision", "recall"):
            share = getattr(cells, name)(first)
            known = share.hits[0] + share.misses[0] > 0
            row[name] = share.value[0] if known else np.nan
            low = known and not np.isnan(level)
            row[f"{name}_low"] = lower_bound(share, level)[0] if low else np.nan
        return row
