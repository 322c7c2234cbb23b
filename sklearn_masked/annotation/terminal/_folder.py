"""The folder of answers: opened, brought up to files, and written to files."""

from ...exceptions import DamagedLogError, FolderInUseError
from ..loop import LabelingLoop
from ..session import Refused, count, note, say
from . import _export
from ._export import WORDS
from ._import import bring_in, compare_answers
from ._texts import read_texts
from ._written import Written

_SHOWN = 20


def check_options(options, folder):
    """Refuse files to be written that are read, and those of the folder as either."""
    _export.check_not_own("the file of texts", options.texts, folder)
    _export.check_not_own("the file of labels", options.labels, folder)
    inputs = {"the file of texts": options.texts, "the file of labels": options.labels}
    if options.bring is not None:
        inputs["the file of --import"] = options.bring
    if options.predict_from is not None:
        inputs["the file of --predict-from"] = options.predict_from
    _export.check_targets(_targets(options), inputs, folder)


def _targets(options):
    targets = {
        "--export": options.export,
        "--model": options.model,
        "--predict": options.predict,
    }
    return {option: path for option, path in targets.items() if path is not None}


def repair(folder):
    """Keep what is whole of the log, and say what is lost."""
    try:
        say(str(LabelingLoop.salvage(folder)))
    except FolderInUseError as error:
        raise Refused(str(error)) from None


def change_labels(options, folder):
    """Rename and drop labels of a folder, and say what the file of labels is to say."""
    try:
        for name, new in options.rename or []:
            LabelingLoop.rename_label(folder, name, new)
            say(f"{name!r} is now {new!r}. So it must stand in {options.labels}, too.")
        for name in options.drop or []:
            LabelingLoop.drop_label(folder, name)
            say(
                f"{name!r} is dropped; its answers stay in the log. Remove it from "
                f"{options.labels}, too."
            )
    except FolderInUseError as error:
        raise Refused(str(error)) from None


def opened(folder, pool, labels):
    """Return the loop of a folder; raise with what a person can do about it."""
    ours = any((folder / name).exists() for name in ("settings.json", "answers.jsonl"))
    if folder.is_dir() and not ours and any(folder.iterdir()):
        raise Refused(
            f"{folder} holds other files; --folder accepts a new folder, an empty "
            "one, or one of this program."
        )
    try:
        return LabelingLoop(
            None,
            pool.texts,
            folder=folder,
            label_names=labels.names,
            sample_ids=pool.ids,
            seeds=labels.words or None,
            label_parents=labels.parents,
            exclusive_labels=labels.exclusive,
            share_duplicates=True,
        )
    except FolderInUseError as error:
        raise Refused(str(error)) from None
    except DamagedLogError as error:
        more = ""
        if (folder / "labels.csv").exists():
            more = (
                f" Then --import {folder / 'labels.csv'} brings in what is lost there "
                "and stands in that file."
            )
        raise Refused(f"{error}{more}") from None
    except ValueError as error:
        raise Refused(f"{error} (--folder says which folder.)") from None


def about_duplicates(loop):
    """Return how many texts are answered with an equal one, in words; "" if none."""
    n_texts = len(loop.duplicates)
    n_groups = len({rows[0] for rows in loop.duplicates.values()})
    if not n_texts:
        return ""
    return (
        f"{n_texts} texts equal others but for case, spaces, punctuation: "
        f"{n_groups} asked about, answered for all."
    )


def note_changes(loop, pool):
    """Say if `labels.csv` was changed by somebody, and how that comes in."""
    path = loop.folder / "labels.csv"
    if path.exists() and not Written(loop.folder).knows(path):
        note(f"{path} is not as this program left it. {_changed(loop, pool, path)}")


def _changed(loop, pool, path):
    """Return what a file of answers, changed by somebody, has that the folder lacks."""
    try:
        n = compare_answers(loop, pool, path).n_differ
    except ValueError as error:
        return f"Its answers cannot be read: {error}"
    if not n:
        return "All answers in it are in the folder."
    return (
        f"The folder lacks {count(n, 'answer')} of it, which --import {path} brings in."
    )


def replace_answers(loop, pool):
    """Write `labels.csv`; keep one that somebody had changed, and say so."""
    copy = _export.replace_answers(loop, pool, Written(loop.folder))
    if copy is not None:
        note(
            f"labels.csv was not as this program left it, and is kept as {copy.name}. "
            f"{_changed(loop, pool, copy)}"
        )


def write(loop, pool, options):
    """Do what was asked for without a question."""
    written, targets = Written(loop.folder), _targets(options)
    if not options.force:
        _export.check_known(targets, written)
    if options.repair:
        note_changes(loop, pool)
    if options.bring is not None:
        _bring_in(loop, pool, options.bring, options.values)
    if options.export is not None:
        n = _export.write_answers(loop, pool, options.export)
        written.note(options.export)
        say(f"{count(n, 'answer')}: {options.export}")
    if options.model is not None:
        _export.write_model(loop, options.model)
        written.note(options.model)
        n_cells = count(loop.labels.n_cells, "labeled cell")
        say(f"Model of {n_cells}: {options.model}")
    if options.predict is not None:
        _predict(loop, pool, options, written)


def _predict(loop, pool, options, written):
    if options.predict_from is not None:
        pool = read_pool(options.predict_from, options)
    _export.write_predictions(loop, pool, options.predict)
    written.note(options.predict)
    say(f"Predictions for {count(len(pool.texts), 'text')}: {options.predict}")


def read_pool(path, options):
    """Return the texts of a file, read as the options say."""
    columns = options.text_column, options.id_column
    given = {"encoding": options.encoding, "delimiter": options.delimiter}
    return read_texts(path, *columns, **given)


def _bring_in(loop, pool, path, values):
    found = compare_answers(loop, pool, path, values)
    bring_in(loop, found)
    n_same = found.n - found.n_differ
    say(
        f"{path}: {count(found.n, 'answer')}, of which {len(found.new)} new, "
        f"{len(found.changed)} changed, {n_same} as they were."
    )
    for (sample, label, who), value in list(found.changed.items())[:_SHOWN]:
        by = f" ({who})" if who else ""
        say(f"  now {WORDS[value]}: {label!r} of sample {sample!r}{by}")
    if found.n_absent:
        note(
            f"{count(found.n_absent, 'answer')} of the folder, not in {path}, "
            "still count: a line that was removed takes nothing back."
        )
    if found.n_differ:
        replace_answers(loop, pool)
