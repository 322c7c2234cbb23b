"""The server of the page, on this machine alone."""

import contextlib
import secrets
import signal
import warnings
from collections.abc import Callable

from ..session import Refused, Session, plain, say
from ._app import App


def label_in_browser(
    make_session: Callable[..., Session], words: dict[str, str], *, port: int = 0
) -> list[Session]:
    """Serve the page until the program is interrupted.

    Parameters
    ----------
    make_session : callable
        Takes the name of an annotator, or None, and keyword arguments of Session.
    words : dict of str to str
        Of each label, words to underline in the texts.
    port : int, default=0
        Where to listen; 0 takes a free one.

    Returns
    -------
    list of Session
        One per annotator who came.
    """
    from waitress.server import create_server

    token, hosts = secrets.token_urlsafe(32), []
    app = App(make_session, words, token, hosts)
    try:
        server = create_server(app, host="127.0.0.1", port=port, threads=4)
    except OSError as error:
        raise Refused(f"port {port} cannot be served: {plain(error)}") from None
    port = server.effective_port
    hosts += [f"{name}:{port}" for name in ("127.0.0.1", "localhost")]
    say(f"Open http://127.0.0.1:{port}/#{token}")
    say("Ctrl-C here ends it. Answers are saved as they are given.")
    with warnings.catch_warnings(), _ended_by_sigterm():
        warnings.showwarning = app.note_warning
        server.run()  # returns when it is interrupted
    server.close()
    return app.sessions


@contextlib.contextmanager
def _ended_by_sigterm():
    """Let SIGTERM end the server as Ctrl-C does."""

    def end(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
