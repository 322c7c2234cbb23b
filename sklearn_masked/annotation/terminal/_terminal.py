"""The terminal: keys in, the screen out."""

import asyncio
import contextlib
import signal
import warnings

from prompt_toolkit.application import Application
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from ._screen import HELP, HELP_MANY, INTRO, Screen

# What is styled is told by words or marks too.
_STYLE = Style.from_dict({"label": "bold", "key": "bold", "hit": "underline"})
_COLORS = Style.from_dict({"label": "bold ansicyan", "key": "bold ansicyan"})
_SCROLL = {
    **dict.fromkeys((" ", "pagedown"), 1),
    **dict.fromkeys(("b", "pageup"), -1),
    "down": 0.5,
    "up": -0.5,
}
_ANSWERS = {"y": 1, "1": 1, "n": 0, "0": 0, "s": None}
_NAMES = {"c-m": "Enter", "c-i": "Tab", "c-h": "Backspace"}


def label_in_terminal(make_session, words, *, color=True, **streams):
    """Ask a person until they quit.

    Parameters
    ----------
    make_session : callable
        Is given what wakes the screen, and returns a Session.
    words : dict of str to str
        Of each label, words to underline in the texts.
    color : bool, default=True
        Whether there may be colors.
    **streams
        `input` and `output` of prompt_toolkit, for tests.

    Returns
    -------
    session : Session
    calmly : bool
        Whether they quit by the key for it, rather than by an interrupt, a signal or
        the end of the terminal.
    """
    app = Application(
        full_screen=True,
        color_depth=None if color else ColorDepth.DEPTH_1_BIT,
        style=_COLORS if color else _STYLE,
        **streams,
    )
    session = make_session(app.invalidate)
    screen = Screen(session, words)
    if session.max_labels is not None and not session.knows_screens:
        screen.open_page("Before the first text", INTRO)
    app.layout = Layout(_window(app, screen))
    app.key_bindings = _bindings(screen)
    app.before_render += lambda _: session.poll()
    app.before_render += lambda _: _clear(app.output, screen.unsure)
    with warnings.catch_warnings():
        warnings.showwarning = session.note_warning
        try:
            calmly = app.run(pre_run=lambda: _end_on_sigterm(app))
        except (EOFError, KeyboardInterrupt, OSError):
            calmly = False  # the terminal is gone
    return session, bool(calmly)


def _clear(output, rows):
    """Clear rows, and put the cursor where the renderer takes it to be.

    Terminals do not agree how many columns the marks of some scripts take, such as
    Devanagari. The renderer moves the cursor by the columns that it has counted, so
    that what follows such a row would begin in the middle of the first line.
    """
    for row in rows:
        output.cursor_goto(row + 1, 1)
        output.erase_end_of_line()
    if rows:
        output.cursor_goto(1, 1)


def _end_on_sigterm(app):
    """Leave the terminal as it was when the program is told to end."""
    # A closed terminal needs no care: SIGHUP ends the process, and all is saved.
    with contextlib.suppress(NotImplementedError, RuntimeError, AttributeError):
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, lambda: app.is_done or app.exit(result=False)
        )


def _window(app, screen):
    def text():
        size = app.output.get_size()
        fragments = []
        for line in screen.draw(size.columns, size.rows):
            fragments += [*line, ("", "\n")]
        return fragments[:-1]

    return Window(
        FormattedTextControl(text, focusable=True, show_cursor=False),
        always_hide_cursor=True,
        wrap_lines=False,
    )


def _bindings(screen):
    """Return what each key does."""
    bindings = KeyBindings()
    session = screen.session

    def on(*keys):
        def add(action):
            def act(event):
                session.poll()
                action(event)

            for key in keys:
                bindings.add(key, eager=True)(act)
            return action

        return add

    def act_on_question(action):
        """Do it; on a page of help, only go back, so that no answer is unseen."""

        def act(event):
            if not screen.close_page():
                action(event)

        return act

    many = session.max_labels is not None
    for key, value in ({"s": None} if many else _ANSWERS).items():
        on(key, key.upper())(
            act_on_question(lambda _, value=value: session.answer(value))
        )
    if many:
        for nth in range(9):
            on(str(nth + 1))(act_on_question(lambda _, nth=nth: session.toggle(nth)))
        on("o", "O")(act_on_question(lambda _: session.ask_others()))
        on("enter")(act_on_question(lambda _: session.submit()))
    for key, pages in _SCROLL.items():
        on(key)(lambda _, pages=pages: screen.scroll(pages))
    on("w", "W")(act_on_question(lambda _: session.why()))
    on("u", "U")(act_on_question(lambda _: session.undo()))
    on("r", "R")(
        act_on_question(lambda _: screen.open_page("Report", session.report()))
    )
    page = HELP_MANY if many else HELP
    on("?", "h", "H")(act_on_question(lambda _: screen.open_page("Help", page)))
    on("q", "Q", "c-d")(act_on_question(lambda event: event.app.exit(result=True)))
    on("c-c", "<sigint>")(lambda event: event.app.exit(result=False))

    @on(Keys.BracketedPaste)
    @act_on_question
    def paste(_):
        session.message = "Something was pasted, and is no answer. ? shows the keys."

    @on(Keys.Any)
    @act_on_question
    def other(event):
        key = event.key_sequence[0].key
        key = getattr(key, "value", key)
        name = _NAMES.get(key, key)
        session.message = f"The key {name} does nothing. ? shows the keys."

    return bindings
