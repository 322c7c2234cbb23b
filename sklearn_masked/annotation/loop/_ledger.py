"""What the answers come to: who said what of which cell, and what the cell is then."""

from typing import NamedTuple

from ...labels import MaskedLabels

POLICIES = ("unlabeled", "majority", "last", "raise")


class Answer(NamedTuple):
    """What a person said of a cell."""

    id: str
    sample: object  # the id of the sample, or its position where there are no ids
    label: str
    value: int | None  # 1 yes, 0 no, None skipped
    annotator: str | None
    time: str
    n: int  # place among all answers
    # Why the cell was asked for; "implied" if another answer says so. None if it was
    # answered without being asked for.
    reason: str | None = None
    propensity: float | None = None  # of cells by chance
    screen: str | None = None  # of answers given together, the same id


class Ledger:
    """The answers that stand, by cell and annotator.

    An annotator's later answer to a cell stands for the earlier one; undone, the
    earlier one stands again.
    """

    def __init__(self):
        self.by_id = {}  # id -> (cell, Answer), undone ones too
        self.cells = {}  # cell -> {annotator: [Answer, ...]}, the last one stands
        self.seen = {}  # annotator -> cells answered or skipped
        self._standing = {}  # annotator -> {id: None}, in order
        self._undone = set()
        self._screens = {}  # screen -> ids of its answers, in order

    # Both may be done again after an interrupt, and come to the same.

    def add(self, cell, answer):
        """Take an answer up."""
        said = self.cells.setdefault(cell, {}).setdefault(answer.annotator, [])
        if not said or said[-1].id != answer.id:
            said.append(answer)
        self.seen.setdefault(answer.annotator, set()).add(cell)
        self._standing.setdefault(answer.annotator, {})[answer.id] = None
        self.by_id[answer.id] = (cell, answer)
        if answer.screen is not None:
            self._screens.setdefault(answer.screen, {})[answer.id] = None

    def undo(self, answer_id):
        """Let an answer count no more."""
        cell, answer = self.by_id[answer_id]
        self._standing[answer.annotator].pop(answer_id, None)
        by_annotator = self.cells.get(cell, {})
        said = by_annotator.get(answer.annotator, [])
        if answer in said:
            said.remove(answer)
        if not said:
            self.seen[answer.annotator].discard(cell)
            by_annotator.pop(answer.annotator, None)
        if not by_annotator:
            self.cells.pop(cell, None)
        self._undone.add(answer_id)

    def is_undone(self, answer_id):
        """Tell whether an answer was undone."""
        return answer_id in self._undone

    def last(self, annotator):
        """Return the id of the last answer of an annotator that stands, or None."""
        return next(reversed(self._standing.get(annotator, {})), None)

    def together(self, answer_id):
        """Return the ids of the answers given together with one, itself among them."""
        screen = self.by_id[answer_id][1].screen
        return [answer_id] if screen is None else list(self._screens[screen])

    def said(self, cell, annotator):
        """Return the answer of an annotator to a cell that stands, or None."""
        said = self.cells.get(cell, {}).get(annotator)
        return said[-1] if said else None

    def standing(self, cell):
        """Return the answers to a cell that stand, one an annotator, in their order."""
        said = self.cells.get(cell, {}).values()
        return sorted((one[-1] for one in said), key=lambda answer: answer.n)


def decide(answers, policy):
    """Return 1, 0 or None, unlabeled, for the answers to one cell.

    A skip is no vote. None is the answer wherever the policy does not say which.
    """
    votes = [answer.value for answer in answers if answer.value is not None]
    if len(set(votes)) < 2:
        return votes[0] if votes else None
    if policy == "last":
        return votes[-1]
    if policy == "majority" and 2 * sum(votes) != len(votes):
        return int(2 * sum(votes) > len(votes))
    if policy == "raise":
        raise _disagreement(answers)
    return None


def _disagreement(answers):
    said = ", ".join(
        f"{answer.annotator or 'one without a name'} {'yes' if answer.value else 'no'}"
        for answer in answers
        if answer.value is not None
    )
    return ValueError(
        f"Annotators disagree on sample {answers[0].sample!r}, label "
        f"{answers[0].label!r}: {said}; let one change the answer, or take another "
        '`on_disagreement` than "raise".'
    )


def decided_labels(ledger, policy, shape, label_names):
    """Return the labels: cells that are skipped or in dispute are unlabeled."""
    rows, cols, values = [], [], []
    for row, col in ledger.cells:
        value = decide(ledger.standing((row, col)), policy)
        if value is not None:
            rows.append(row)
            cols.append(col)
            values.append(value)
    return MaskedLabels.from_cells(
        rows, cols, values, shape=shape, label_names=label_names
    )


class QueryLabels(MaskedLabels):
    """Labels for a query alone, in which some unlabeled cells are not to be asked for.

    They are stored as labeled, so that no query takes them, and count as neither
    positive nor negative. Nothing is trained or scored with these.
    """

    @classmethod
    def close(cls, labels, cells):
        """Return labels in which these cells, a set of (row, col), are closed."""
        known = labels.cells()
        taken = set(zip(known.rows.tolist(), known.cols.tolist(), strict=True))
        closed = sorted(cells - taken)
        part = MaskedLabels.from_cells(
            [row for row, _ in closed],
            [col for _, col in closed],
            [0] * len(closed),
            shape=labels.shape,
            label_names=labels.label_names,
        )
        both = MaskedLabels.merge(labels, part)
        query = cls(
            both.indptr,
            both.indices,
            both.values,
            both.shape,
            label_names=both.label_names,
        )
        query.answered = labels
        return query

    @property
    def n_positive(self):
        """Positive cells of each label."""
        return self.answered.n_positive

    @property
    def n_negative(self):
        """Negative cells of each label, closed ones not among them."""
        return self.answered.n_negative
