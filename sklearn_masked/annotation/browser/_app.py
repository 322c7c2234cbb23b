"""The web application: the page, and what it sends and is told, as JSON."""

import hmac
import json
import threading
from http import HTTPStatus
from importlib.resources import files

from ..session import Background, marked, pattern

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
_HEADERS = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
]
_LONGEST_BODY, _LONGEST_NAME, _MOST_PEOPLE = 1 << 16, 80, 50
_BEHIND = "The page was not up to date: nothing was answered. Please look again."


class Refusal(Exception):
    """A request that is not served, with the status and a sentence."""

    def __init__(self, status, said):
        super().__init__(said)
        self.status = status


class App:
    """A WSGI application: a session per annotator, one request at a time.

    Parameters
    ----------
    make_session : callable
        Takes the name of an annotator, or None, and keyword arguments of Session.
    words : dict of str to str
        Of each label, words to underline in the texts.
    token : str
        What each request must bear, but for the page itself, which holds no data.
    hosts : list of str
        The values of the header `Host` that are served; more may be added.
    """

    def __init__(self, make_session, words, token, hosts):
        self._make_session, self._words = make_session, words
        self._token, self.hosts = f"Bearer {token}", hosts
        self._lock, self._seats = threading.Lock(), {}
        self._shared = Background(), Background()

    @property
    def sessions(self):
        """The sessions of all annotators."""
        return [seat.session for seat in self._seats.values()]

    def note_warning(self, message, category, *_):
        """Show a warning to everybody; for `warnings.showwarning`."""
        for session in self.sessions:
            session.note_warning(message, category)

    def __call__(self, environ, start_response):
        """Serve a request."""
        try:
            status, kind, body = self._serve(environ)
        except Refusal as error:
            status, kind = error.status, "application/json"
            body = json.dumps({"error": str(error)}).encode()
        status = HTTPStatus(status)
        headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", headers + _HEADERS)
        return [body]

    def _serve(self, environ):
        """Return status, kind and body of the answer to a request."""
        if environ.get("HTTP_HOST") not in self.hosts:
            raise Refusal(403, "This address is not served; use the one printed.")
        path, method = environ.get("PATH_INFO"), environ["REQUEST_METHOD"]
        if path in _FILES and method == "GET":
            name, kind = _FILES[path]
            return 200, kind, files(__package__).joinpath(name).read_bytes()
        if path != "/act":
            raise Refusal(404, "There is no such page.")
        if method != "POST":
            raise Refusal(405, "This takes POST.")
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and origin not in [f"http://{one}" for one in self.hosts]:
            raise Refusal(403, "Another page may not answer here.")
        given = environ.get("HTTP_AUTHORIZATION", "").encode()
        if not hmac.compare_digest(given, self._token.encode()):
            raise Refusal(401, "Open the address that the program printed last.")
        asked = _read(environ)
        with self._lock:
            status, state = self._seat_of(asked).act(asked)
        return status, "application/json", json.dumps(state).encode()

    def _seat_of(self, asked):
        """Return the seat of who asks; a new one if they come for the first time."""
        name = asked.get("annotator", "")
        is_name = isinstance(name, str) and len(name) <= _LONGEST_NAME
        if not is_name or not (name.isprintable() and name == name.strip()):
            raise Refusal(
                400,
                f"A name must be at most {_LONGEST_NAME} characters that can be shown, "
                f"without spaces at its ends; got {name!r}.",
            )
        if name not in self._seats:
            if len(self._seats) >= _MOST_PEOPLE:
                raise Refusal(403, f"{_MOST_PEOPLE} people are here already.")
            session = self._make_session(name or None, shared=self._shared)
            self._seats[name] = Seat(session, self._words)
        return self._seats[name]


class Seat:
    """What one annotator sees, numbered, so that a late request changes nothing."""

    def __init__(self, session, words):
        self.session, self._words = session, words
        self._number, self._shown = 0, None

    def act(self, asked):
        """Do what was asked for, if it is about what is shown; return status, state."""
        session, action = self.session, asked.get("action")
        session.poll()
        status, page = 200, None
        if action == "report":
            page = session.report()
        elif action == "why":
            session.why()
        elif action != "look":
            if asked.get("number") == self._update():
                self._change(action, asked)
            else:
                session.message, status = _BEHIND, 409
        return status, {**self._state(), "page": page}

    def _change(self, action, asked):
        session = self.session
        many = session.max_labels is not None
        if action == "mark" and many:
            self._mark(asked)
        elif action == "submit" and many:
            if asked.get("marked") != [is_marked for _, is_marked in self._labels()]:
                session.message = _BEHIND
            else:
                session.submit()
        elif action == "answer" and not many and asked.get("value") in (0, 1):
            session.answer(int(asked["value"]))
        elif action == "skip":
            session.answer(None)
        elif action == "undo":
            session.undo()
        elif action == "others" and many:
            session.ask_others()
        else:
            raise Refusal(400, f"There is nothing to do for {action!r}.")

    def _mark(self, asked):
        """Mark a label, or mark it no more; sent twice, it is the same."""
        labels, nth = self._labels(), asked.get("nth")
        if type(nth) is not int or not 0 <= nth < len(labels):
            self.session.message = "There is no such label here: nothing was marked."
        elif labels[nth][1] != bool(asked.get("value")):
            self.session.toggle(nth)

    def _labels(self):
        """Return the name of each label of the question, and whether it is marked."""
        session = self.session
        labels = session.question.labels if session.question else ()
        names = session.loop.label_names
        return [(names[label], label in session.marked) for label in labels]

    def _update(self):
        """Return the number of the question; it grows whenever another is asked."""
        if self.session.question != self._shown:
            self._number, self._shown = self._number + 1, self.session.question
        return self._number

    def _state(self):
        session = self.session
        return {
            "number": self._update(),
            "many": session.max_labels is not None,
            "question": self._question(),
            "message": session.message,
            "notice": session.notice,
            "activity": session.activity,
            "finished": session.finished,
            "busy": session.chooser.busy,
            "given": session.pace.n,
            "per_minute": session.pace.a_minute,
            "in_all": session.n_all,
        }

    def _question(self):
        session, labels = self.session, self._labels()
        if session.question is None:
            return None
        hits = pattern(" ".join(self._words.get(name, "") for name, _ in labels))
        return {
            "text": marked(session.texts[session.question.sample], hits),
            "labels": labels,
            "place": session.place,
        }


def _read(environ):
    """Return the body of a request, a JSON object."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > _LONGEST_BODY:
        raise Refusal(413, f"At most {_LONGEST_BODY} bytes are read.")
    try:
        asked = json.loads(environ["wsgi.input"].read(int(length)))
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise Refusal(400, "A JSON object is expected.")
    return asked
