"""A labeling session, apart from what shows it: a terminal, or a page."""

from ._background import Background
from ._pace import Pace
from ._session import MIN_SECONDS, Question, Session
from ._wording import Refused, count, note, plain, say
from ._words import marked, pattern

__all__ = [
    "MIN_SECONDS",
    "Background",
    "Pace",
    "Question",
    "Refused",
    "Session",
    "count",
    "marked",
    "note",
    "pattern",
    "plain",
    "say",
]
