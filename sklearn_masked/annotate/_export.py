"""What a session leaves behind: the answers as CSV, the model as a pickle."""

import contextlib
import csv
import os

import joblib

_FIELDS = ("sample", "label", "value", "annotator", "timestamp", "text")
_WORDS = {1: "yes", 0: "no", None: "skip"}


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
    with _replaced(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_FIELDS)
        for one in answers:
            text = pool.texts[rows[one.sample]]
            word, who = _WORDS[one.value], one.annotator or ""
            writer.writerow([one.sample, one.label, word, who, one.time, text])
    return len(answers)


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
    with _replaced(path) as part:
        joblib.dump(loop.model, part)


@contextlib.contextmanager
def _replaced(path):
    """Give a name to write to; then put that file in the place of another."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise OSError(
            error.errno, f"{path} could not be written: {error.strerror or error}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
