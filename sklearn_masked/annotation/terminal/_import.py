"""Bring answers in from CSV, as `labels.csv` corrected by hand."""

from typing import NamedTuple

from ..exchange import read_annotations


class Comparison(NamedTuple):
    """The answers of a file beside those that stand in a folder.

    Parameters
    ----------
    new, changed : dict of (sample, label, annotator) to value
        Answers of the file that the folder lacks, or has with another value.
    n : int
        Answers of the file.
    n_absent : int
        Answers of the folder that the file lacks.
    """

    new: dict
    changed: dict
    n: int
    n_absent: int

    @property
    def n_differ(self):
        """How many answers of the file are not those of the folder."""
        return len(self.new) + len(self.changed)


def compare_answers(loop, pool, path, values=None):
    """Compare the answers of a file with those that stand in a folder.

    Parameters
    ----------
    loop : LabelingLoop
        Of the folder.
    pool : Pool
        The texts.
    path : Path
        CSV in long form, as of :func:`write_answers`; other columns are passed over.
    values : dict of str to {1, 0, None}, default=None
        What words of the column of values mean, beside those of
        :func:`read_annotations`.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If the file cannot be read, speaks of other texts or labels, or has two answers
        of one annotator to a cell.
    """
    answers = _read(loop, pool, path, values)
    before = {
        (one.sample, one.label, one.annotator): one.value for one in loop.answers()
    }
    new = {key: value for key, value in answers.items() if key not in before}
    changed = {
        key: value
        for key, value in answers.items()
        if key in before and before[key] != value
    }
    return Comparison(new, changed, len(answers), len(before.keys() - answers.keys()))


def bring_in(loop, comparison):
    """Save the answers of a file that differ, as given now."""
    differ = {**comparison.changed, **comparison.new}
    for who in {who for _, _, who in differ}:
        some = {key: value for key, value in differ.items() if key[2] == who}
        samples, labels, _ = zip(*some, strict=True)
        loop.answer(list(samples), list(labels), list(some.values()), annotator=who)


def _read(loop, pool, path, values):
    """Return {(sample, label, annotator): value} of a file."""
    samples = {str(one): one for one in pool.ids or range(len(pool.texts))}
    answers = {}
    found = read_annotations(path, "csv", delimiter=_delimiter(path), values=values)
    for record in found.to_records():
        sample, label, value = record["sample"], record["label"], record["value"]
        if sample not in samples:
            raise ValueError(f"{path}: sample {sample!r} is none of the texts.")
        if label not in loop.label_names:
            raise ValueError(f"{path}: label {label!r} is none of the labels.")
        if "weight" in record:
            raise ValueError(f"{path}: answers have no weights here; got some.")
        key = samples[sample], label, record.get("annotator")
        if answers.setdefault(key, value) != value:
            raise ValueError(
                f"{path}: one answer of an annotator to a cell is expected; got two "
                f"for sample {sample!r}, label {label!r}. Remove one of the lines."
            )
    return answers


def _delimiter(path):
    """Return what is between the fields: spreadsheets save what their country uses."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    return next((mark for mark in ";\t" if f"label{mark}value" in header), ",")
