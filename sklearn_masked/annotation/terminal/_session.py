"""A session: the questions in their order, the answers, and the training meanwhile."""

import time
import warnings
from typing import NamedTuple

from ...exceptions import FewerCellsWarning
from ._background import Background
from ._pace import Pace
from ._wording import count, plain

WORDS = {1: "yes", 0: "no", None: "skipped"}
# Nobody reads a text that quickly: a key held down, or pressed twice.
MIN_SECONDS = 0.15
# After that many answers, what was said of the background has been read.
_SEEN = 6
_PER_LABEL, _FEWEST, _MOST = 3, 24, 60


class Question(NamedTuple):
    """One cell: whether this label applies to this text."""

    sample: int
    label: int


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
        Questions in a round; None for three a label, between 24 and 60.
    order : {"label", "loop"}, default="label"
        Whether a round goes label by label, or as the loop ranks its cells.
    wake : callable, default=None
        Called when something has happened in the background.
    clock : callable, default=time.monotonic
        Returns seconds.

    Attributes
    ----------
    question : Question or None
        What is asked now.
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
        order="label",
        wake=None,
        clock=time.monotonic,
    ):
        self.loop, self.texts, self.annotator = loop, texts, annotator
        by_labels = min(max(_PER_LABEL * len(loop.label_names), _FEWEST), _MOST)
        self.n_round = by_labels if n_round is None else n_round
        self.order = order
        self._clock = clock
        self.pace = Pace(clock)
        self.chooser, self.trainer = Background(wake), Background(wake)
        self._questions, self._n_asked, self._last_label = [], 0, None
        self.message = "One key answers, and the answer is saved at once. ? shows help."
        self.notice, self._n_noticed, self._is_good_news = "", 0, False
        self.finished = False
        self._n_before, self._n_given = len(loop.answers()), 0
        self._n_untrained = self._untrained()
        self._n_training = 0
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
        return max(0, self._n_before + self._n_given)

    def _choose(self):
        self._n_asked = 0
        self.chooser.start(
            lambda: self.loop.next_batch(self.n_round, annotator=self.annotator)
        )

    def _take_round(self, done):
        if done.error is not None:
            self._notify(f"No questions could be chosen: {plain(done.error)}")
            return
        cells = zip(done.result["sample"], done.result["label"], strict=True)
        new = [Question(int(sample), int(label)) for sample, label in cells]
        new = [one for one in new if one not in self._questions]
        if self.order == "label":
            # A stable sort: within a label, as the loop ranks them. The label that
            # the person has in mind comes first.
            new.sort(key=lambda one: (one.label != self._last_label, one.label))
        if not self._questions:
            self._shown_at = self._clock()
        self._questions += new
        self.finished = not self._questions

    @property
    def is_new_label(self):
        """Whether the question is about another label than the one before."""
        return self.question is not None and self._last_label not in (
            None,
            self.question.label,
        )

    # What is answered

    def answer(self, value):
        """Save an answer to the question: 1, 0 or None; tell whether it was.

        It is on disk when this returns. One that comes too quickly to be meant is not
        taken.
        """
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
        sample, label = self.question
        try:
            self.loop.answer(sample, label, value, annotator=self.annotator)
        except OSError as error:
            self.message = f"NOT SAVED, please answer again: {plain(error)}"
            return False
        self.message = f"{self._name(label)}: {WORDS[value]}.  (u takes it back)"
        self._note(1)
        self._last_label = label
        del self._questions[0]
        self._n_asked += 1
        self._go_on()
        return True

    def undo(self):
        """Take back the last answer, and ask again."""
        try:
            undone = self.loop.undo(annotator=self.annotator)
        except OSError as error:
            self.message = f"NOT TAKEN BACK, please press u again: {plain(error)}"
            return
        if undone is None:
            self.message = "There is nothing to take back."
            return
        sample = undone.sample
        if isinstance(sample, str):
            [sample] = self.loop.positions([sample])
        label = self.loop.label_names.index(undone.label)
        again = Question(int(sample), label)
        self._questions = [again] + [one for one in self._questions if one != again]
        self.finished = False
        self._n_asked = max(0, self._n_asked - 1)
        self._shown_at = self._clock()
        self._note(-1)
        self.message = f"Taken back: {self._name(label)}, {WORDS[undone.value]}."

    def _note(self, change):
        self.pace.note(change)
        self._n_given += change
        self._n_untrained += 1  # a model that has seen what was taken back is stale

    def _name(self, label):
        name = self.loop.label_names[label]
        return name if len(name) <= 40 else name[:37] + "..."

    def _go_on(self):
        """After an answer: the next question, and what runs in the background."""
        self._shown_at = self._clock()
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
            return f"training on {count(self._n_training, 'answer')}"
        return ""

    def train(self):
        """Begin to train a model on the answers so far, unless one is in training."""
        if self.trainer.busy or not self.loop.labels.n_cells:
            return
        self._n_training = self.loop.labels.n_cells
        self._n_untrained = 0
        self.trainer.start(self.loop.fit)

    def poll(self):
        """Take up what has happened in the background."""
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
                learned_from = count(self._n_training, "answer")
                self._notify(f"The model has learned from {learned_from}.", True)
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
                n_answers = count(self._n_training, "answer")
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
