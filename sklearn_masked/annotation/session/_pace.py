"""How many answers were given in a session, and how quickly."""

# Longer than that, a person was away.
_AWAY = 60.0


class Pace:
    """Count decisions and the time they took, breaks left out.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    """

    def __init__(self, clock):
        self._clock = clock
        self._last = clock()
        self.seconds = 0.0
        self.n = 0

    def note(self, change):
        """Take note of a decision given (1) or taken back (-1)."""
        now = self._clock()
        self.seconds += min(now - self._last, _AWAY)
        self._last = now
        self.n = max(0, self.n + change)

    @property
    def a_minute(self):
        """Decisions a minute; None before there are three."""
        if self.n < 3 or not self.seconds:
            return None
        return 60 * self.n / self.seconds
