"""The command line: what is asked for, and what is said at the end."""

import argparse
import importlib
import importlib.util
import os
import sys
import warnings
from pathlib import Path

from ..session import Refused, count, note, plain, say
from ._labels import read_labels
from ._texts import read_texts

_PROGRAM = "python -m sklearn_masked.annotate"
_DESCRIPTION = """\
Label texts in the terminal, or in the browser. Each answer is saved at once.

A text is shown with its likely labels: mark those that apply, and Enter
answers for all of them. Or, with --one-label, one text and one label: does it
apply? A model is trained in the background, and chooses what is worth asking
next. Start the same command again to go on where you stopped."""
_VALUES = {"yes": 1, "no": 0, "skip": None}
_EPILOG = """\
files:
  TEXTS    .csv, .tsv, .xlsx or .parquet with a header, .json (an array) or
           .jsonl (an object a line), .txt (a text a line); .gz may follow. The
           texts are in the column "text" or that of --text-column. With ids,
           from a column "id" or --id-column, answers are kept by id; without,
           by position, and the texts must stay as they are. Either way new
           texts may be added at the end only.
  LABELS   a label per line, and if you like words that point to it:
               sport
               politics: election parliament minister
           A label below another, and labels of which at most one applies; what
           an answer says of other labels is then saved with it:
               sport > football: goal striker
               football | tennis

keys:
  1-9 mark a label   Enter answer: marked yes, not marked no
  with --one-label: y yes   n no
  s skip   u undo   space more   r report   ? help   q quit

in the folder, when you quit:
  model.joblib   the model with its vectorizer, one pipeline that takes texts:
                 joblib.load("news-answers/model.joblib").predict_proba(texts)
  labels.csv     the answers, a line each: sample, label, value, annotator,
                 timestamp, reason, text; corrections made there come in by
                 --import
  answers.jsonl  the log that the program goes on from: leave it as it is

examples:
  python -m sklearn_masked.annotate news.csv --labels labels.txt
  python -m sklearn_masked.annotate news.csv --labels labels.txt --annotator ann
  python -m sklearn_masked.annotate news.csv --labels labels.txt --browser
  python -m sklearn_masked.annotate posts.jsonl --labels labels.txt \\
      --text-column body --id-column post_id --folder posts-by-ann
  python -m sklearn_masked.annotate news.csv --labels labels.txt --export my.csv
  python -m sklearn_masked.annotate news.csv --labels labels.txt --model my.pkl
  python -m sklearn_masked.annotate news.csv --labels labels.txt \\
      --predict decisions.csv --predict-from new.xlsx
  python -m sklearn_masked.annotate news.csv --labels labels.txt \\
      --import news-answers/labels.csv
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    arguments : list of str, default=None
        Those of the command line if None.

    Returns
    -------
    int
        What the process ends with: 0, 2 where it cannot do what is asked for, 130
        where it was interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = note
            return _run(options)
    except (Refused, OSError, ValueError) as error:
        print(f"error: {plain(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. Every answer is saved.", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("texts", type=Path, metavar="TEXTS", help="the file of texts")
    add("--labels", type=Path, required=True, metavar="LABELS", help="file of labels")
    add(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where answers and model are kept (default: beside TEXTS, its name with "
        "-answers)",
    )
    add("--text-column", metavar="NAME", help='default: "text"')
    add("--id-column", metavar="NAME", help='default: "id", if there is one')
    add("--encoding", metavar="NAME", help="of TEXTS and LABELS (default: found out)")
    add(
        "--delimiter",
        metavar="MARK",
        type=_delimiter,
        help="what separates columns, a character or tab (default: found out)",
    )
    add("--annotator", metavar="NAME", help="who answers; is saved with each answer")
    add(
        "--one-label",
        action="store_true",
        help="ask for one label of a text at a time, instead of all likely ones",
    )
    add(
        "--round",
        type=_count,
        metavar="N",
        help="questions from one training to the next (default: 15 texts; with "
        "--one-label 3 per label, between 24 and 60)",
    )
    add(
        "--order",
        choices=["label", "loop"],
        default="label",
        help="with --one-label, ask label by label (default), or as the model ranks "
        "the questions",
    )
    add(
        "--browser",
        action="store_true",
        help="ask on a page in the browser, several people at once if they like; the "
        "address is printed",
    )
    add(
        "--port",
        type=_count,
        metavar="N",
        help="with --browser, where to listen (default: a free port)",
    )
    add("--no-color", action="store_true", help="no colors (or set NO_COLOR)")
    _add_file_options(parser)
    _add_label_options(parser)
    return parser


def _add_file_options(parser):
    """Add the options that write files, or mend the log, and ask no question."""
    add = parser.add_argument
    add(
        "--export",
        type=Path,
        metavar="FILE",
        help="write the answers so far as CSV, and ask nothing",
    )
    add(
        "--model",
        type=Path,
        metavar="FILE",
        help="train on the answers so far, write the pipeline, and ask nothing",
    )
    add(
        "--force",
        action="store_true",
        help="let --export, --model and --predict replace a file that this program "
        "did not write",
    )
    add(
        "--predict",
        type=Path,
        metavar="FILE",
        help="train on the answers so far, write a probability and a decision for each "
        "text and label as CSV for spreadsheets, and ask nothing",
    )
    add(
        "--predict-from",
        type=Path,
        metavar="TEXTS",
        help="with --predict, of the texts of another file",
    )
    add(
        "--repair",
        action="store_true",
        help="keep what is whole of a damaged or lost answers.jsonl, say what is lost, "
        "and ask nothing",
    )


def _add_label_options(parser):
    """Add the options that bring in answers or change labels, and ask no question."""
    add = parser.add_argument
    add(
        "--import",
        dest="bring",
        type=Path,
        metavar="FILE",
        help="bring in the answers of a CSV, such as a corrected labels.csv, and ask "
        "nothing",
    )
    add(
        "--values",
        type=_values,
        metavar="WORD=VALUE,...",
        help="what words in the file of --import mean, as in ja=yes,nein=no,x=yes",
    )
    add(
        "--rename",
        type=_renaming,
        action="append",
        metavar="OLD=NEW",
        help="give a label another name, which keeps its answers, and ask nothing",
    )
    add(
        "--drop",
        action="append",
        metavar="LABEL",
        help="drop a label: its answers stay in the log, and count no more",
    )


def _renaming(text):
    """Return (old, new) name of a label."""
    name, _, new = (part.strip() for part in text.partition("="))
    if not name or not new:
        raise argparse.ArgumentTypeError(
            f"must be two names of a label, as in war=conflict; got {text!r}"
        )
    return name, new


def _delimiter(text):
    mark = "\t" if text in ("tab", "\\t") else text
    if len(mark) != 1 or mark in '\n\r"':
        raise argparse.ArgumentTypeError(f"must be one character, or tab; got {text!r}")
    return mark


def _values(text):
    """Return {word: 1, 0 or None} of words and what they mean."""
    values = {}
    for pair in text.split(","):
        word, _, value = (part.strip() for part in pair.partition("="))
        if not word or value not in _VALUES:
            raise argparse.ArgumentTypeError(
                f"must be words and yes, no or skip, as in ja=yes,nein=no; got {pair!r}"
            )
        values[word] = _VALUES[value]
    return values


def _count(text):
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1; got {text!r}")
    return number


def _run(options):
    if options.predict_from and not options.predict:
        raise Refused("--predict-from needs --predict FILE, which says where to.")
    if options.port and not options.browser:
        raise Refused("--port is for --browser.")
    if options.values and not options.bring:
        raise Refused("--values is for the file of --import; there is none.")
    wanted = options.export, options.model, options.bring, options.predict
    asks = not (options.repair or any(wanted))
    if options.rename or options.drop:
        from ._folder import change_labels

        change_labels(options, _folder_of(options))
        return 0
    labels = read_labels(options.labels, options.encoding)
    given = {"encoding": options.encoding, "delimiter": options.delimiter}
    pool = read_texts(options.texts, options.text_column, options.id_column, **given)
    if asks and options.browser:
        _check_installed("waitress", "in the browser", "browser")
    elif asks:
        _check_terminal()
    folder = _folder_of(options)
    if not asks and not (folder / "settings.json").exists():
        raise Refused(
            f"{folder} has no answers yet. Without --export, --model, --predict, "
            "--import and --repair, questions are asked."
        )
    # Loading it takes a second, in which mistakes above are told already.
    from ._folder import (
        check_options,
        note_changes,
        opened,
        repair,
        write,
    )

    check_options(options, folder)
    if options.repair:
        repair(folder)
    with opened(folder, pool, labels) as loop:
        if not asks:
            write(loop, pool, options)
            return 0
        n_labels = count(len(labels.names), "label")
        say(f"{count(len(pool.texts), 'text')}, {n_labels}. Loading...")
        note_changes(loop, pool)
        # Later, keys would be heard late while it loads.
        importlib.import_module("sklearn_masked.classifier")
        return _ask(loop, pool, labels.words, options)


def _folder_of(options):
    if options.folder is not None:
        return options.folder
    return options.texts.with_name(f"{options.texts.stem}-answers")


def _check_terminal():
    """Refuse where no one could see a question, or answer it."""
    _check_installed("prompt_toolkit", "in the terminal", "annotate")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Refused(
            "asking needs a terminal for both input and output; here one of them is a "
            "file or a pipe. --export, --model, --predict, --import and --repair work "
            "without."
        )
    if os.environ.get("TERM") == "dumb":
        raise Refused(
            "asking needs a terminal in which the cursor can move; TERM is 'dumb'."
        )


def _check_installed(package, where, extra):
    if importlib.util.find_spec(package) is None:
        raise Refused(
            f"asking {where} needs {package}: pip install 'sklearn-masked[{extra}]'"
        )


def _ask(loop, pool, words, options):
    from ..session import Session
    from ._folder import about_duplicates

    def make_session(annotator=options.annotator, **more):
        return Session(
            loop,
            pool.texts,
            annotator=annotator,
            n_round=options.round,
            max_labels=None if options.one_label else 9,
            order=options.order,
            notice=about_duplicates(loop),
            **more,
        )

    if options.browser:
        from ..browser import label_in_browser

        sessions = label_in_browser(make_session, words, port=options.port or 0)
        calmly = True
    else:
        from ._terminal import label_in_terminal

        color = not (options.no_color or os.environ.get("NO_COLOR"))
        session, calmly = label_in_terminal(
            lambda wake: make_session(wake=wake), words, color=color
        )
        sessions = [session]
    return _end(loop, pool, sessions, calmly)


def _end(loop, pool, sessions, calmly):
    """Train on what no model has seen, write the answers, and return the status."""
    try:
        # One model for all: the session that is asked trains on everybody's answers.
        behind = [one for one in sessions if one.needs_training] or sessions[:1]
        trained = calmly and all(one.finish(say) for one in behind[:1])
    except KeyboardInterrupt:
        say("")  # after the mark that the terminal makes
        calmly = trained = False
    written = _say_goodbye(loop, pool, sessions, trained)
    status = 130 if not calmly else 0 if written else 2
    jobs = (job for one in sessions for job in (one.trainer, one.chooser, one.scorer))
    if any(job.busy for job in jobs):
        # A thread in the middle of its work would hold up the end, or crash in it.
        loop.close()
        sys.stdout.flush()
        os._exit(status)
    return status


def _say_goodbye(loop, pool, sessions, trained):
    """Write the answers, say what there is; return whether they could be written."""
    from ._folder import replace_answers

    if any(one.pace.n for one in sessions):
        say(sessions[0].report() + "\n")
    n, n_all = sum(one.n_given for one in sessions), len(loop.answers())
    say(f"Answers and skips: {n} in this session, {n_all} in all; saved.")
    written = True
    if n_all:
        try:
            replace_answers(loop, pool)
            say(f"Answers: {loop.folder / 'labels.csv'}")
        except OSError as error:
            written = False
            note(f"{plain(error)}. --export FILE writes the answers elsewhere.")
    if (loop.folder / "model.joblib").exists():
        which = "" if trained else " (of earlier answers)"
        say(f"Model:   {loop.folder / 'model.joblib'}{which}")
    say("The same command goes on from here.")
    return written
