"""The page in the browser: its requests, and the page itself in a real browser."""

import contextlib
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.annotation.browser._app import App
from sklearn_masked.annotation.session import MIN_SECONDS, Session

NAMES = ["<b>war</b>", "crime", "rain"]
TEXTS = [f"text {i} <script>document.title='x'</script> war 雨" for i in range(40)]
HOST, TOKEN = "127.0.0.1:5000", "secret"


class Model:
    """Predicts the same for all."""

    def get_params(self, deep=True):
        return {}

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return [[0.5] * 3 for _ in X]


class Clock:
    """Time that passes so quickly that no key comes too early."""

    now = 0.0

    def __call__(self):
        Clock.now += 2 * MIN_SECONDS
        return Clock.now


@pytest.fixture
def loop(tmp_path):
    with LabelingLoop(
        Model(), TEXTS, folder=tmp_path / "f", label_names=NAMES, random_state=0
    ) as loop:
        yield loop


@pytest.fixture
def app(loop):
    return make_app(loop)


def make_app(loop, max_labels=9):
    def make_session(annotator, **more):
        return Session(
            loop,
            TEXTS,
            annotator=annotator,
            n_round=8,
            max_labels=max_labels,
            clock=Clock(),
            **more,
        )

    return App(make_session, {NAMES[0]: "war 雨"}, TOKEN, [HOST])


def call(app, method="POST", path="/act", body=b"", **headers):
    """Return status, headers and body of the answer to a request."""
    told = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "HTTP_HOST": HOST,
        "HTTP_AUTHORIZATION": f"Bearer {TOKEN}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **headers,
    }
    environ = {name: value for name, value in environ.items() if value is not None}
    parts = app(environ, lambda *given: told.append(given))
    [(status, headers)] = told
    return int(status.split()[0]), dict(headers), b"".join(parts)


def act(app, action="look", annotator="", **more):
    """Return status and state after an action; wait for a question to look at."""
    asked = {"action": action, "annotator": annotator, **more}
    for _ in range(2000):
        status, headers, body = call(app, body=json.dumps(asked).encode())
        state = json.loads(body)
        if action != "look" or status != 200 or not state["busy"]:
            break
        time.sleep(0.005)
    assert headers["Content-Type"] == "application/json"
    return status, state


def submit(app, state, annotator=""):
    marked = [is_marked for _, is_marked in state["question"]["labels"]]
    asked = {"number": state["number"], "marked": marked, "annotator": annotator}
    return act(app, "submit", **asked)


def text_of(state):
    return "".join(part for part, _ in state["question"]["text"])


def test_marked_labels_are_answered_yes_and_the_others_no(app, loop):
    _, state = act(app)
    assert [name for name, _ in state["question"]["labels"]] == NAMES
    number = state["number"]
    for _ in range(2):  # sent twice, it is the same
        status, state = act(app, "mark", number=number, nth=1, value=True)
    assert status == 200 and [on for _, on in state["question"]["labels"]] == [0, 1, 0]
    status, state = submit(app, state)
    assert status == 200 and state["number"] == number + 1 and state["given"] == 1
    assert [(one.label, one.value) for one in loop.answers()] == list(
        zip(NAMES, [0, 1, 0], strict=True)
    )
    assert state["message"].startswith("Yes: crime. No to the other 2.")


def test_what_is_said_is_on_disk_when_the_page_is_told(app, loop):
    _, state = act(app)
    submit(app, state)
    log = (loop.folder / "answers.jsonl").read_text(encoding="utf-8")
    assert log.count('"value":0') + log.count('"value": 0') == 3


def test_one_label_at_a_time(loop):
    app = make_app(loop, max_labels=None)
    _, state = act(app)
    assert not state["many"] and len(state["question"]["labels"]) == 1
    act(app, "answer", number=state["number"], value=1)
    assert [one.value for one in loop.answers()] == [1]


def test_an_answer_is_taken_back_and_asked_again(app, loop):
    _, first = act(app)
    _, second = act(app, "skip", number=first["number"])
    assert [one.value for one in loop.answers()] == [None] * 3
    _, again = act(app, "undo", number=second["number"])
    assert text_of(again) == text_of(first) and not loop.answers()
    assert again["message"].startswith("Taken back")


@pytest.mark.parametrize("action", ["submit", "skip", "undo", "others", "mark"])
def test_what_comes_late_changes_nothing(app, loop, action):
    _, first = act(app)
    _, second = submit(app, first)
    before = loop.answers()
    status, state = act(
        app, action, number=first["number"], marked=[False] * 3, nth=0, value=True
    )
    assert status == 409 and loop.answers() == before
    assert state["question"] == second["question"]
    assert state["message"].startswith("The page was not up to date")


def test_marks_that_another_window_made_are_not_submitted_unseen(app, loop):
    _, seen = act(app)
    act(app, "mark", number=seen["number"], nth=0, value=True)
    _, state = submit(app, seen)
    assert not loop.answers() and state["question"]["labels"][0][1]


def test_two_annotators_answer_at_once_each_under_their_name(app, loop):
    for name in ("ann", "bob", "ann"):
        _, state = act(app, annotator=name)
        submit(app, state, annotator=name)
    names = [one.annotator for one in loop.answers()]
    assert names == ["ann"] * 3 + ["bob"] * 3 + ["ann"] * 3
    assert len(app.sessions) == 2


def test_one_model_is_trained_for_all_and_everybody_hears_on_what(app, loop):
    told = set()
    for turn in range(14):
        name = ("ann", "bob")[turn % 2]
        _, state = act(app, annotator=name)
        _, state = submit(app, state, annotator=name)
        told |= {state["activity"], state["notice"]}
    ann, bob = app.sessions
    assert ann.trainer is bob.trainer and ann.scorer is bob.scorer
    while ann.trainer.busy:
        told.add(act(app, annotator="bob")[1]["notice"])
    heard = [
        re.search(r"(?:training on|learned from) (\d+) answers", one) for one in told
    ]
    assert min(int(one[1]) for one in heard if one) >= 12


def test_words_of_the_labels_are_told_and_markup_stays_text(app):
    _, state = act(app)
    hits = [part for part, is_hit in state["question"]["text"] if is_hit]
    assert set(hits) == {"war", "雨"} and "<script>" in text_of(state)
    for path, kind in (("/", "html"), ("/page.js", "javascript"), ("/page.css", "css")):
        status, headers, body = call(app, "GET", path, HTTP_AUTHORIZATION=None)
        assert status == 200 and kind in headers["Content-Type"]
        assert b"text 0" not in body and TOKEN.encode() not in body
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        for unsafe in (b"innerHTML", b"insertAdjacent", b"eval(", b"//cdn"):
            assert unsafe not in body


def test_why_and_report_are_told(app):
    _, state = act(app)
    assert act(app, "why")[1]["message"].startswith("Why? ")
    submit(app, state)
    assert "answers" in act(app, "report")[1]["page"]


REFUSED = {
    "another host": (403, {"HTTP_HOST": "evil.example:5000"}),
    "no host": (403, {"HTTP_HOST": None}),
    "another origin": (403, {"HTTP_ORIGIN": "http://evil.example"}),
    "no origin": (403, {"HTTP_ORIGIN": "null"}),
    "wrong token": (401, {"HTTP_AUTHORIZATION": "Bearer secre"}),
    "token that is no ASCII": (401, {"HTTP_AUTHORIZATION": "Bearer sécret"}),
    "no token": (401, {"HTTP_AUTHORIZATION": None}),
    "another page": (404, {"path": "/etc/passwd"}),
    "a page above": (404, {"path": "/../page.js"}),
    "another method": (405, {"method": "GET"}),
    "no JSON": (400, {"body": b"{"}),
    "no text": (400, {"body": b"\xff\xfe"}),
    "no object": (400, {"body": b"[]"}),
    "too much": (413, {"CONTENT_LENGTH": str(1 << 20)}),
    "a length that is no number": (413, {"CONTENT_LENGTH": "-1"}),
    "a name that is a number": (400, {"body": b'{"annotator": 3}'}),
    "a name that cannot be shown": (400, {"body": b'{"annotator": "a\\u0000"}'}),
    "a long name": (400, {"body": json.dumps({"annotator": "a" * 81}).encode()}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_requests_that_are_not_served_change_nothing(app, loop, case):
    wanted, given = REFUSED[case]
    body = {"body": b'{"action": "skip", "number": 1}', **given}
    status, headers, said = call(app, **body)
    assert status == wanted and list(json.loads(said)) == ["error"]
    assert not app.sessions and not loop.answers()
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("action", ["delete", None, 3, "answer", ["skip"]])
def test_an_action_that_there_is_not_is_refused(app, loop, action):
    _, state = act(app)
    status, said = act(app, action, number=state["number"], value=1)
    assert status == 400 and said["error"].startswith("There is nothing to do for")
    assert not loop.answers()


@pytest.mark.parametrize("nth", [-1, 3, 1.0, True, None, "1"])
def test_a_label_that_is_not_there_is_not_marked(app, nth):
    _, state = act(app)
    _, state = act(app, "mark", number=state["number"], nth=nth, value=True)
    assert not any(on for _, on in state["question"]["labels"])
    assert state["message"] == "There is no such label here: nothing was marked."


# The page in a real browser

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-sync --disable-background-networking --disable-component-update "
    "--remote-debugging-pipe"
).split()


class Chromium:
    """A browser without a window, driven over a pair of pipes."""

    def __init__(self, program, folder):
        fcntl = pytest.importorskip("fcntl", reason="pipes to a browser need POSIX")
        (reads, self.out), (self.back, writes) = os.pipe(), os.pipe()
        # Above those that the browser expects, 3 and 4.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (reads, writes)]
        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            preexec_fn=lambda: [os.dup2(ends[0], 3), os.dup2(ends[1], 4)],
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (reads, writes, *ends):
            os.close(end)
        self.n_sent, self.rest = 0, b""

    def send(self, method, session=None, **params):
        """Send a command and return its result."""
        self.n_sent += 1
        command = {"id": self.n_sent, "method": method, "params": params}
        if session is not None:
            command["sessionId"] = session
        os.write(self.out, json.dumps(command).encode() + b"\0")
        while True:
            *messages, self.rest = self.rest.split(b"\0")
            for i, message in enumerate(messages):
                told = json.loads(message)
                if told.get("id") == self.n_sent:
                    self.rest = b"\0".join([*messages[i + 1 :], self.rest])
                    assert "error" not in told, told["error"]
                    return told["result"]
            assert select.select([self.back], [], [], 30)[0], "the browser is silent"
            self.rest += os.read(self.back, 1 << 16)

    def open(self, url):
        return Page(self, url)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.back)


class Page:
    """A page of the browser, which no other shares its storage with."""

    def __init__(self, browser, url):
        self.browser = browser
        context = browser.send("Target.createBrowserContext")["browserContextId"]
        target = browser.send("Target.createTarget", url=url, browserContextId=context)
        attached = browser.send(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self.session = attached["sessionId"]

    def send(self, method, **params):
        return self.browser.send(method, self.session, **params)

    def run(self, code):
        told = self.send("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def text(self, name):
        return self.run(f"document.getElementById({name!r}).innerText")

    def press(self, *keys):
        for key in keys:
            for kind in ("keyDown", "keyUp"):
                self.send("Input.dispatchKeyEvent", type=kind, key=key)

    def until(self, code, seconds=30):
        end = time.monotonic() + seconds
        while not self.run(code):
            assert time.monotonic() < end, (code, self.run("document.body.innerText"))
            time.sleep(0.02)

    def loaded(self):
        self.until("document.getElementById('join')?.hidden === false")

    def join(self, name):
        self.loaded()
        self.run(
            f"document.getElementById('name').value = {name!r}; "
            "document.querySelector('#join button').click()"
        )
        self.until("document.querySelectorAll('#labels button').length == 3")

    def answer(self, *keys):
        """Press keys when the text can have been read; wait until that is saved."""
        before = self.run("state.number")
        time.sleep(2 * MIN_SECONDS)
        self.press(*keys)
        self.until(f"state.number > {before} && state.question")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium on this machine")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@contextlib.contextmanager
def served(folder):
    """Run the program as a person does; give the process and the address."""
    pytest.importorskip("waitress", reason="the extra `browser` is not installed")
    folder.joinpath("texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    folder.joinpath("labels.txt").write_text(
        f"{NAMES[0]}: war 雨\n" + "\n".join(NAMES[1:]), encoding="utf-8"
    )
    command = "-m sklearn_masked.annotate texts.txt --labels labels.txt --browser"
    process = subprocess.Popen(
        [sys.executable, "-W", "error", *command.split()],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    try:
        said = ""
        for line in process.stdout:
            said += line
            found = re.search(r"Open (http://\S+)", line)
            if found:
                break
        else:
            raise AssertionError(said)
        yield process, found[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_day_of_labeling_in_the_browser(tmp_path, browser):
    with served(tmp_path) as (process, address):
        ann, bob = browser.open(address), browser.open(address)
        ann.join("ann"), bob.join("bob")
        # Markup in texts and names is shown, and does nothing.
        assert (
            "<script>" in ann.text("text") and ann.run("document.title") == "Labeling"
        )
        assert "<b>war</b>" in ann.text("labels")
        assert (
            ann.run("document.querySelectorAll('#text script, #labels b').length") == 0
        )
        assert ann.run("document.querySelector('#text mark').innerText") == "war"
        first = ann.text("text")
        ann.answer("2", "Enter")
        assert ann.text("message").startswith("Yes: crime. No to the other 2.")
        bob.answer("s")
        ann.answer("u")
        assert ann.text("text") == first
        pressed = "document.querySelectorAll('[aria-pressed=true]')[0].innerText"
        assert "crime" in ann.run(pressed)
        ann.answer("1", "Enter")
        ann.press("r")
        ann.until("document.getElementById('page').open")
        assert "answers" in ann.text("shown")
        process.kill()
        process.wait()
        ann.press("Escape")
        ann.run("document.getElementById('page').close()")
        ann.press("s")
        ann.until("!document.getElementById('error').hidden")
        assert "is not saved" in ann.text("error")
    with served(tmp_path) as (process, new):
        # The address of before bears another token.
        old = new.partition("#")[0] + "#" + address.partition("#")[2]
        stranger = browser.open(old)
        stranger.loaded()
        stranger.run("document.querySelector('#join button').click()")
        stranger.until("!document.getElementById('error').hidden")
        assert "printed last" in stranger.text("error")
        ann = browser.open(new)
        ann.join("ann")
        # One answer of three labels, one skip of three: no more and no fewer.
        assert "6 answers in all" in ann.text("progress")
        ann.answer("Enter")
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait(60) == 0
    assert "3 in this session, 9 in all; saved." in said
    table = (tmp_path / "texts-answers" / "labels.csv").read_text(encoding="utf-8")
    assert table.count(",ann,") == 6 and table.count(",bob,") == 3


def test_the_page_is_refused_where_it_cannot_be_served(tmp_path, capsys, monkeypatch):
    from sklearn_masked.annotate import main

    (tmp_path / "texts.txt").write_text("a\nb\n")
    (tmp_path / "labels.txt").write_text("war\n")
    monkeypatch.chdir(tmp_path)
    command = ["texts.txt", "--labels", "labels.txt"]
    assert main([*command, "--port", "5000"]) == 2
    assert capsys.readouterr().err == "error: --port is for --browser.\n"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main([*command, "--browser"]) == 2
    assert capsys.readouterr().err == (
        "error: asking in the browser needs waitress: pip install "
        "'sklearn-masked[browser]'\n"
    )
