"""A session: the questions in their order, the answers, and the training meanwhile."""

import time
import warnings
from typing import NamedTuple

from ...exceptions import FewerCellsWarning
from ._background import Background
from ._pace import Pace
from ._wording import count, plain

WORDS = {1: "yes", 0: "no", None: "skipped"}
# Reasons of answers that follow from others.
_FOLLOW = ("implied", "duplicate")
# Why cells are asked for, in words; a number before it is the model's probability.
_WHY = {
    "random": "by chance",
    "likely": "likely",
    "similar": "its words",
    "uncertain": "unsure",
    "review": "contradicted",
}
# Nobody reads a text that quickly: a key held down, or pressed twice.
MIN_SECONDS = 0.15
# After that many answers, what was said of the background has been read.
_SEEN = 6
_PER_LABEL, _FEWEST, _MOST = 3, 24, 60
_SCREENS = 15
# Scores: from so many answers on, by so many folds, and what so many more may add.
_LEAST, _FOLDS, _MORE_CELLS = 50, 3, 100


class Question(NamedTuple):
    """One label of a text, or several: whether each applies to it."""

    sample: int
    labels: tuple

    def without(self, cells):
        """Return the question less some cells, given as (sample, label)."""
        left = (one for one in self.labels if (self.sample, one) not in cells)
        return Question(self.sample, tuple(left))

    def cells(self):
        """Return its cells, as (sample, label)."""
        return [(self.sample, label) for label in self.labels]


class Session:
    """What happens between a person and a :class:`LabelingLoop`, without a screen.

    Questions come in rounds. When three quarters of a round are answered, the model is
    trained in the background; when all are, the next round is chosen, in the
    background too. No method waits for either but :meth:`finish`.

    Parameters
    ----------
    loop : LabelingLoop
        Where answers go.
    texts : list of str
        The pool.
    annotator : str, default=None
        Who answers.
    n_round : int, default=None
        Questions in a round. None for 15 texts with several labels each; with one
        label per question, for three per label, between 24 and 60.
    max_labels : int or None, default=None
        Labels of a text to ask for at once. None asks for one.
    order : {"label", "loop"}, default="label"
        With one label per question, whether a round goes label by label, or as the
        loop ranks its cells.
    notice : str, default=""
        What to tell first.
    wake : callable, default=None
        Called when something has happened in the background.
    shared : pair of Background, default=None
        What trains and what scores, where several sessions share a loop: one of them
        at a time begins either, and hears of it. None takes two of its own.
    clock : callable, default=time.monotonic
        Returns seconds.

    Attributes
    ----------
    question : Question or None
        What is asked now.
    marked : set of int
        Labels of the question that are marked, to be answered by :meth:`submit`.
    message : str
        What came of the last key.
    notice : str
        What was last heard from the background.
    finished : bool
        Whether no cell is left to ask for.
    """

    def __init__(
        self,
        loop,
        texts,
        *,
        annotator=None,
        n_round=None,
        max_labels=None,
        order="label",
        notice="",
        wake=None,
        shared=None,
        clock=time.monotonic,
    ):
        self.loop, self.texts, self.annotator = loop, texts, annotator
        if n_round is None:
            n_round = min(max(_PER_LABEL * len(loop.label_names), _FEWEST), _MOST)
            n_round = n_round if max_labels is None else _SCREENS
        self.n_round, self.max_labels, self.order = n_round, max_labels, order
        self.marked = set()
        self._clock = clock
        self.pace = Pace(clock)
        self.chooser = Background(wake)
        self.trainer, self.scorer = shared or (Background(wake), Background(wake))
        self._n_scored = 0  # labeled cells of the last scores
        self._questions, self._n_asked, self._last_label = [], 0, None
        self.message = "One key answers, and the answer is saved at once. ? shows help."
        if max_labels is not None:
            self.message = "Mark what applies, then press Enter. ? shows help."
        self.notice, self._n_noticed, self._is_good_news = notice, 0, False
        self._why = {}  # cell -> (reason, probability) for which it is asked
        self.finished = False
        # Answers and skips of this session that stand, and by how many they changed.
        self.n_given, self._n_before, self._n_change = 0, len(loop.answers()), 0
        self._n_untrained = self._untrained()
        self._shown_at = clock()
        self._choose()

    # What is asked

    @property
    def question(self):
        """What is asked now, or None while the next round is chosen."""
        return self._questions[0] if self._questions else None

    @property
    def place(self):
        """(number of the question in its round, questions in it)."""
        return self._n_asked + 1, self._n_asked + len(self._questions)

    @property
    def n_all(self):
        """Answers and skips that stand, of everybody, those of before too."""
        return max(0, self._n_before + self._n_change)

    @property
    def knows_screens(self):
        """Whether several labels of a text were answered at once before."""
        return any(one.screen is not None for one in self.loop.answers())

    def _choose(self):
        self._n_asked = 0
        self.chooser.start(self._next)

    def _next(self):
        if self.max_labels is None:
            return self.loop.next_batch(self.n_round, annotator=self.annotator)
        options = {"max_labels": self.max_labels, "annotator": self.annotator}
        return self.loop.next_screens(self.n_round, **options)

    def _take_round(self, done):
        if done.error is not None:
            self._notify(f"No questions could be chosen: {plain(done.error)}")
            return
        places = (done.result[name].tolist() for name in ("sample", "label"))
        cells = list(zip(*places, strict=True))
        told = zip(done.result["reason"], done.result["probability"], strict=True)
        self._why |= dict(zip(cells, told, strict=True))
        known = {cell for one in self._questions for cell in one.cells()}
        new = self._as_questions([cell for cell in cells if cell not in known])
        if self.max_labels is None and self.order == "label":
            # A stable sort: within a label, as the loop ranks them. The label that
            # the person has in mind comes first.
            new.sort(key=lambda one: (one.labels[0] != self._last_label, one.labels))
        if not self._questions:
            self._show()
        self._questions += new
        self.finished = not self._questions

    def _as_questions(self, cells):
        """Return the questions that ask for these cells, (sample, label)."""
        if self.max_labels is None:
            return [Question(sample, (label,)) for sample, label in cells]
        by_sample = {}
        for sample, label in cells:
            by_sample.setdefault(sample, []).append(label)
        # In the order of the file of labels, where the eye finds each again.
        return [
            Question(sample, tuple(sorted(labels[i : i + self.max_labels])))
            for sample, labels in by_sample.items()
            for i in range(0, len(labels), self.max_labels)
        ]

    def _show(self, marked=()):
        """Note that another question is seen from now on."""
        self._shown_at = self._clock()
        self.marked = set(marked)

    @property
    def is_new_label(self):
        """Whether the question is about another label than the one before."""
        return self.question is not None and self._last_label not in (
            None,
            self.question.labels[0],
        )

    # What is answered

    def answer(self, value):
        """Save an answer to all labels of the question: 1, 0 or None.

        It is on disk when this returns; tell whether it was saved. One that comes too
        quickly to be meant is not taken.
        """
        if not self._may_answer():
            return False
        return self._save([value] * len(self.question.labels))

    def toggle(self, nth):
        """Mark a label of the question, the first is 0, or mark it no more.

        What the label says of others on the screen is marked with it.
        """
        if not self._may_answer():
            return
        if nth >= len(self.question.labels):
            self.message = f"There is no label {nth + 1} here: nothing was marked."
            return
        label = self.question.labels[nth]
        value = int(label not in self.marked)
        said = {**self.loop.relations.implied({label: value}), label: value}
        for col in self.question.labels:
            if said.get(col) == 1:
                self.marked.add(col)
            elif said.get(col) == 0:
                self.marked.discard(col)
        self.message = "Enter answers: yes to what is marked, no to the others here."

    def ask_others(self):
        """Ask next for labels of the text that are not on the screen."""
        if not self._may_answer():
            return
        sample, shown = self.question
        dense = self.loop.labels[[sample]].to_dense()[0]
        later = {
            label
            for one in self._questions
            for _, label in one.cells()
            if one.sample == sample
        }
        others = [
            (sample, label)
            for label, value in enumerate(dense.tolist())
            if value != value and label not in later
        ]
        if not others:
            self.message = "All labels of this text are on the screen, or answered."
            return
        [again, *_] = self._as_questions(others)
        self._questions.insert(1, again)
        self.message = f"Other labels of this text come next: {len(again.labels)}."

    def why(self):
        """Say why the labels on the screen are asked about."""
        if self.question is None:
            return
        by_reason = {}
        for cell in self.question.cells():
            reason, proba = self._why.get(cell, (None, float("nan")))
            known = "" if proba != proba else f" {proba:.2f}"
            some = by_reason.setdefault(_WHY.get(reason, "asked by you"), [])
            some.append(f"{self._name(cell[1])}{known}")
        said = (f"{why}: {', '.join(some)}" for why, some in by_reason.items())
        self.message = f"Why? {'; '.join(said)}."

    def submit(self):
        """Save yes for the marked labels of the question, and no for its others."""
        if not self._may_answer():
            return False
        return self._save([int(one in self.marked) for one in self.question.labels])

    def _may_answer(self):
        """Tell whether there is a question that a person can have read."""
        if self.question is None:
            self.message = "There is no question: nothing was answered."
            if not self.finished and not self.chooser.busy:
                self._choose()  # it failed, and may go well now
            return False
        if self._clock() - self._shown_at < MIN_SECONDS:
            self.message = (
                "Not taken: the key came before the text could be read. Once more?"
            )
            return False
        return True

    def _save(self, values):
        sample, labels = self.question
        try:
            saved = self.loop.answer(
                [sample] * len(labels),
                list(labels),
                values,
                annotator=self.annotator,
                together=len(labels) > 1,
            )
        except OSError as error:
            self.message = f"NOT SAVED, please answer again: {plain(error)}"
            return False
        follows = [one for one in saved if one.reason in _FOLLOW]
        given = list(zip(labels, values, strict=True))
        self.message = f"{self._said(given, follows)}  (u takes it back)"
        self._note(1, len(labels) + len(follows))
        self._last_label = labels[-1]
        del self._questions[0]
        self._drop({self._cell(one) for one in follows})
        self._n_asked += 1
        self._go_on()
        return True

    def _said(self, given, follows):
        """Return answers in words: (label, value) given, and those that follow."""
        if len(given) == 1:
            [(label, value)] = given
            said = f"{self._name(label)}: {WORDS[value]}."
        else:
            yes = [self._name(label) for label, value in given if value]
            if given[0][1] is None:
                said = f"Skipped: all {len(given)}."
            elif not yes:
                said = f"No to all {len(given)}."
            else:
                n_no = len(given) - len(yes)
                said = f"Yes: {', '.join(yes)}. No to the other {n_no}."
                said = said if n_no else f"Yes to all {len(given)}."
        for value in (1, 0):
            implied = (one for one in follows if one.reason == "implied")
            names = [one.label for one in implied if one.value == value]
            if names:
                said += f" So also {WORDS[value]}: {', '.join(names)}."
        equal = {one.sample for one in follows if one.reason == "duplicate"}
        if equal:
            said += f" And for {count(len(equal), 'equal text')}."
        return said

    def _drop(self, cells):
        """Ask no more for cells, (sample, label), that were answered otherwise."""
        left = (one.without(cells) for one in self._questions)
        self._questions = [one for one in left if one.labels]

    def undo(self):
        """Take back the last answers given at once, and ask again."""
        try:
            undone = self.loop.undo(annotator=self.annotator)
        except OSError as error:
            self.message = f"NOT TAKEN BACK, please press u again: {plain(error)}"
            return
        if not undone:
            self.message = "There is nothing to take back."
            return
        given = [one for one in undone if one.reason not in _FOLLOW] or undone
        values = {self._cell(one): one.value for one in given}
        again = self._as_questions(list(values))
        self._drop(set(values))
        self._questions = again + self._questions
        self.finished = False
        self._n_asked = max(0, self._n_asked - 1)
        self._show({label for (_, label), value in values.items() if value})
        self._note(-1, -len(undone))
        said = [(label, value) for (_, label), value in values.items()]
        self.message = f"Taken back: {self._said(said, [])}"

    def _cell(self, answer):
        """Return the cell of an answer, (sample, label) by position."""
        sample = answer.sample
        if isinstance(sample, str):
            [sample] = self.loop.positions([sample])
        return int(sample), self.loop.label_names.index(answer.label)

    def _note(self, change, n_answers):
        self.pace.note(change)
        self.n_given = max(0, self.n_given + n_answers)
        self._n_change += n_answers
        self._n_untrained += 1  # a model that has seen what was taken back is stale

    def _name(self, label):
        name = self.loop.label_names[label]
        return name if len(name) <= 40 else name[:37] + "..."

    def _go_on(self):
        """After an answer: the next question, and what runs in the background."""
        self._show()
        self._n_noticed += 1
        if self._n_noticed >= _SEEN:
            self.notice = ""
        few_left = 4 * len(self._questions) <= self.n_round
        if few_left and 2 * self._n_untrained >= self.n_round:
            self.train()
        if not self._questions and not self.chooser.busy:
            self._choose()

    # What runs in the background

    @property
    def activity(self):
        """What goes on in the background, in words; "" if nothing does."""
        if self.question is None and self.chooser.busy:
            return "choosing the next questions"
        if self.trainer.busy:
            return f"training on {count(self.trainer.about, 'answer')}"
        return ""

    def train(self):
        """Begin to train a model on the answers so far, unless one is in training."""
        if self.trainer.busy or not self.loop.labels.n_cells:
            return
        self._n_untrained = 0
        self.trainer.start(self.loop.fit, about=self.loop.labels.n_cells)

    def _score(self):
        """Begin to score the answers, if there are enough more than the last time.

        That takes nine fits: once for every fifth more answers, it costs in all a few
        times what it costs for those of now.
        """
        n_cells = self.loop.labels.n_cells
        if not self.scorer.busy and n_cells >= max(_LEAST, 1.2 * self._n_scored):
            self._n_scored = n_cells
            self.scorer.start(
                lambda: self.loop.report(cv=_FOLDS, n_more_cells=_MORE_CELLS)
            )

    def _take_scores(self, done):
        if done.error is not None:
            self._notify(f"No scores, the answers are safe: {plain(done.error)}")
            return
        ap, low, high = done.result.macro_average_precision
        if ap == ap and (not self.notice or self._is_good_news):
            said = f"Average precision {ap:.2f} ({low:.2f} to {high:.2f})"
            rise = done.result.rise[0]
            if rise == rise:
                said += f", {_MORE_CELLS} more answers may add {rise:+.3f}"
            self._notify(f"{said}. r shows more.", True)

    def poll(self):
        """Take up what has happened in the background."""
        done = self.scorer.take()
        if done is not None:
            self._take_scores(done)
        done = self.chooser.take()
        if done is not None:
            self._take_round(done)
        done = self.trainer.take()
        if done is not None:
            self._take_model(done)

    def _take_model(self, done):
        if done.error is None:
            # What went wrong meanwhile is the more urgent to read.
            if not self.notice or self._is_good_news:
                learned_from = count(self.trainer.about, "answer")
                self._notify(f"The model has learned from {learned_from}.", True)
            self._score()
        else:
            self._n_untrained += 1
            self._notify(f"Training failed, the answers are safe: {plain(done.error)}")

    def _notify(self, text, is_good_news=False):
        self.notice, self._n_noticed = text, 0
        self._is_good_news = is_good_news

    def note_warning(self, message, category, *_):
        """Show a warning where it can be seen; for `warnings.showwarning`."""
        if category is not FewerCellsWarning:  # a last round is shorter
            self._notify(plain(message))

    def report(self):
        """Return the report of the loop as text."""
        return str(self.loop.report())

    def _untrained(self):
        """Return how many answers of earlier sessions no model has seen."""
        n_since = self.loop.report().n_since_fit
        return self._n_before if n_since is None else n_since

    @property
    def needs_training(self):
        """Whether there are answers that no model has seen, or is about to."""
        return self._n_untrained > 0 and self.loop.labels.n_cells > 0

    def finish(self, say):
        """Wait for the training, or train, so that the model has seen all answers.

        Parameters
        ----------
        say : callable
            Is given a line to show.

        Returns
        -------
        bool
            Whether it has.
        """
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: say(plain(message))
            while self.trainer.busy or self.needs_training:
                if not self.trainer.busy:
                    self.train()
                n_answers = count(self.trainer.about, "answer")
                say(
                    f"Training on {n_answers}... (Ctrl-C leaves it; the answers are "
                    "safe)"
                )
                done = None
                while done is None:  # an interrupt gets through between two waits
                    done = self.trainer.take(timeout=0.1)
                self._take_model(done)
                if done.error is not None:
                    say(self.notice)
                    return False
        return True
