"""Answers from what is no file: labels, and answers read before."""

from ...labels import check_labels
from ...labels.names import check_same_names, check_same_rows
from ._columns import Columns
from ._entries import id_texts, name_texts
from ._rows import EPOCH, MICROSECOND, SKIPPED, iter_records


def columns_of_labels(labels, sample_ids, label_names):
    """Return the parts of Annotations that the labeled cells make up."""
    labels, ids = check_labels(labels), id_texts(sample_ids)
    names = labels.label_names if label_names is None else label_names
    if names is None:
        raise ValueError(
            "`label_names` is needed: these labels have no names, and answers are "
            "joined by name."
        )
    names = name_texts(names, "label_names")
    if labels.shape != (len(ids), len(names)):
        raise ValueError(
            f"`labels` must have the {len(ids)} samples of `sample_ids` and the "
            f"{len(names)} labels of `label_names`; got {labels.shape}."
        )
    if labels.label_names is not None:
        known = name_texts(labels.label_names, "labels")
        check_same_names(names, known, "label_names", "`labels`")
    check_same_rows(labels=labels, sample_ids=sample_ids)
    columns = Columns()
    for rows, cells in labels.iter_cells():
        weights = [None] * len(cells.rows)
        weights = weights if cells.weights is None else cells.weights.tolist()
        parts = (cells.rows + rows.start, cells.cols, cells.values)
        for row, col, value, weight in zip(
            *(part.tolist() for part in parts), weights, strict=True
        ):
            columns.answer(ids[row], ((names[col], value),), 0, weight=weight)
    columns.n_records = len(columns.counts)
    return columns.finish(None)


def columns_of_parts(parts):
    """Return the parts of Annotations that several make up, one after another."""
    columns = Columns()
    for part in parts:
        for record in iter_records(part):
            value, time = record["value"], record.get("timestamp")
            columns.answer(
                record["sample"],
                ((record["label"], SKIPPED if value is None else value),),
                0,
                record.get("annotator"),
                None if time is None else (time - EPOCH) // MICROSECOND,
                record.get("weight"),
            )
        columns.n_records += part.n_records
        columns.n_not_reviewed += part.n_not_reviewed
    return columns.finish(None)
