"""What a session leaves behind: the answers as CSV, the model as a pickle."""

import csv
import io
import os

import joblib

from ..._files import keep_copy, write_atomically

FIELDS = ("sample", "label", "value", "annotator", "timestamp", "reason", "text")
WORDS = {1: "yes", 0: "no", None: "skip"}
# What spreadsheets take for the beginning of a formula.
_FORMULA = "=", "+", "-", "@", "\t", "\r"
_BLOCK = 1000  # texts that are predicted at once
# What the program keeps in its folder, and reads again.
_OWN = (
    "answers.jsonl",
    "answers.check",
    "answers.torn",
    "settings.json",
    "lock",
    "model.joblib",
    "model.json",
    "scores.json",
    "written.json",
)


def write_answers(loop, pool, path):
    """Write the answers that stand in long form, a line an answer.

    Parameters
    ----------
    loop : LabelingLoop
        Has them.
    pool : Pool
        The texts, which are written beside the answers.
    path : Path
        Replaced once all is written.

    Returns
    -------
    int
        How many there are, skips among them.
    """
    answers = loop.answers()
    rows = {one: row for row, one in enumerate(pool.ids or range(len(pool.texts)))}

    def write(file):
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text)
        writer.writerow(FIELDS)
        for one in answers:
            word, who = WORDS[one.value], one.annotator or ""
            about = one.reason or "", pool.texts[rows[one.sample]]
            about = map(no_formula, about)
            writer.writerow([one.sample, one.label, word, who, one.time, *about])
        text.flush()
        text.detach()

    write_atomically(path, write)
    return len(answers)


def replace_answers(loop, pool, written):
    """Write `labels.csv` of the folder; keep a copy of one that was changed.

    Parameters
    ----------
    loop, pool : see write_answers
    written : Written
        Of the folder.

    Returns
    -------
    Path or None
        The copy, if the file was not as this program had left it.
    """
    path = loop.folder / "labels.csv"
    copy = None
    if path.exists() and not written.knows(path):
        copy = keep_copy(path, "labels.changed.csv")
    write_answers(loop, pool, path)
    written.note(path)
    return copy


def write_predictions(loop, pool, path):
    """Write a probability and a decision for each label of each text, for spreadsheets.

    Thresholds are tuned by label on the answers so far. The file is UTF-8 with a byte
    order mark, by which spreadsheets tell; what they would take for a formula has an
    apostrophe in front.

    Parameters
    ----------
    loop : LabelingLoop
        Has the answers.
    pool : Pool
        The texts, of the loop or others.
    path : Path
        Replaced once all is written.

    Raises
    ------
    ValueError
        If there is no answer yet.
    """
    model, names = loop.fit_decisions(), loop.label_names
    header = ["id" if pool.ids else "position", "text"]
    header += [f"{name}: {what}" for name in names for what in ("probability", "yes")]

    def write(file):
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        writer = csv.writer(text)
        writer.writerow(map(no_formula, header))
        for start in range(0, len(pool.texts), _BLOCK):
            texts = pool.texts[start : start + _BLOCK]
            probas, decisions = model.predict_proba(texts), model.predict(texts)
            for i, one in enumerate(texts):
                row = [pool.ids[start + i] if pool.ids else start + i, one]
                for proba, decision in zip(probas[i], decisions[i], strict=True):
                    row += [f"{proba:.4f}", WORDS[int(decision)]]
                writer.writerow(map(no_formula, row))
        text.flush()
        text.detach()

    write_atomically(path, write)


def no_formula(field):
    """Return a field that no spreadsheet takes for a formula."""
    if not isinstance(field, str) or not field.startswith(
        ("=", "+", "-", "@", "\t", "\r")
    ):
        return field
    try:
        float(field)  # a number below 0 is one
    except ValueError:
        return f"'{field}"
    return field


def write_model(loop, path):
    """Write a model that has learned from all answers, with its vectorizer.

    Parameters
    ----------
    loop : LabelingLoop
        Is fitted if there are newer answers.
    path : Path
        Replaced once all is written.

    Raises
    ------
    ValueError
        If there is no answer yet.
    """
    if loop.report().n_since_fit != 0 or loop.model is None:
        loop.fit()
    write_atomically(path, lambda file: joblib.dump(loop.model, file))


def check_targets(targets, inputs, folder):
    """Raise if a file to be written is an input, the folder's, or no file.

    Parameters
    ----------
    targets : dict of str to Path
        What is to be written, by option.
    inputs : dict of str to Path
        What is read, by what the person calls it.
    folder : Path
        Of the loop.

    Raises
    ------
    ValueError
    """
    taken = dict(inputs)
    for option, path in targets.items():
        for name, other in taken.items():
            if _is_same(path, other):
                raise ValueError(
                    f"{option} must be a file of its own; {path} is {name}. Nothing "
                    "was written."
                )
        if not (option == "--export" and _is_same(path, folder / "labels.csv")):
            check_not_own(option, path, folder)
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "a device or a pipe"
            raise ValueError(
                f"{option} must be a file, new or existing; {path} is {what}. Nothing "
                "was written."
            )
        if not path.parent.is_dir():
            raise ValueError(
                f"{option} must be in a folder that exists; {path.parent} does not. "
                "Nothing was written."
            )
        taken[f"the file of {option}"] = path


def check_not_own(what, path, folder):
    """Raise if a file is one of those that the program keeps in a folder.

    Parameters
    ----------
    what : str
        What the person calls it.
    path, folder : Path
        The file, and the folder of the loop.

    Raises
    ------
    ValueError
    """
    for name in (*_OWN, "labels.csv"):
        if _is_same(path, folder / name):
            raise ValueError(
                f"{what} must be another file than those that the program keeps in "
                f"{folder}; {path} is {name}. Nothing was written."
            )


def check_known(targets, written):
    """Raise if a file that is to be replaced is not as this program wrote it last.

    Parameters
    ----------
    targets : dict of str to Path
        What is to be written, by option.
    written : Written
        Of the folder.

    Raises
    ------
    ValueError
    """
    for option, path in targets.items():
        if not path.exists() or written.knows(path):
            continue
        with open(path, "rb") as file:
            ours = file.readline(200).strip() == ",".join(FIELDS).encode()
        bring = f"--import {path} to bring its answers in, " if ours else ""
        raise ValueError(
            f"{option}: {path} exists, and is not what this program last wrote there "
            f"from this folder. Take another name, {bring}or --force to replace it. "
            "Nothing was written."
        )


def _is_same(path, other):
    """Tell whether two paths name one file, also where there is none yet."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return os.path.realpath(path) == os.path.realpath(other)
