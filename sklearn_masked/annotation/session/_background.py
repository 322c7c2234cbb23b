"""Work that goes on while a person reads: one job at a time, in a thread."""

import threading
from queue import Empty, SimpleQueue
from typing import NamedTuple


class Done(NamedTuple):
    """What became of a job: its result, or what it raised."""

    result: object
    error: Exception | None


class Background:
    """Run a job in a thread, and keep what became of it until it is asked for.

    The thread does not keep the program from ending.

    Parameters
    ----------
    wake : callable, default=None
        Called without arguments, in the thread, when a job is done.

    Attributes
    ----------
    about : object
        What was said of the last job when it was started.
    """

    def __init__(self, wake=None):
        self.wake, self.about = wake, None
        self._thread = None
        self._done = SimpleQueue()

    @property
    def busy(self):
        """Whether a job is running, or what became of it was not taken yet."""
        return self._thread is not None

    def start(self, job, about=None):
        """Start a job, a callable without arguments; `about` is kept.

        Raises
        ------
        RuntimeError
            If there is one already.
        """
        if self.busy:
            raise RuntimeError("A job is running already; take what became of it.")
        self.about = about
        self._thread = threading.Thread(target=self._run, args=(job,), daemon=True)
        self._thread.start()

    def _run(self, job):
        try:
            done = Done(job(), None)
        except Exception as error:  # whatever it is, labeling goes on
            done = Done(None, error)
        self._done.put(done)
        if self.wake is not None:
            self.wake()

    def take(self, timeout=0):
        """Return what became of the job, once; None as long as it runs.

        Parameters
        ----------
        timeout : float, default=0
            How many seconds to wait for it.

        Returns
        -------
        Done or None
        """
        try:
            done = self._done.get(timeout=timeout) if timeout else self._done.get(False)
        except Empty:
            return None
        self._thread = None
        return done
