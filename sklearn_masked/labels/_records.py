"""From records of single decisions to labels, and what to do where they differ."""

import operator

import numpy as np

from ._cells import Cells, checked_ids, checked_names
from ._entries import (
    decisions,
    label_columns,
    one_a_record,
    record_weights,
    sample_positions,
)
from ._sparse import row_pointers
from ._store import LabelStore

POLICIES = ("raise", "last", "majority")
SOFT_POLICIES = (*POLICIES, "mean")


def build_from_records(
    samples, labels, values, shape, sample_ids, label_names, weights, on_conflict, soft
):
    """Do the work of :meth:`MaskedLabels.from_cells`."""
    check_policy(on_conflict, soft)
    samples = one_a_record(samples, "samples")
    labels = one_a_record(labels, "labels")
    values = one_a_record(values, "values")
    if not len(samples) == len(labels) == len(values):
        raise ValueError(
            "`samples`, `labels` and `values` must have one entry per record; got "
            f"{len(samples)}, {len(labels)} and {len(values)}."
        )
    values, known = decisions(values, lambda i: f"in record {i}", soft)
    shape = checked_shape(shape, sample_ids, label_names)
    names = checked_names(label_names, shape[1])
    rows = sample_positions(samples, sample_ids, shape[0])
    cols = label_columns(labels, names, shape[1])
    weights = record_weights(weights, len(values))
    if weights is not None:
        known = known & (weights > 0)
    cells = _select(Cells(rows, cols, values, weights), known)
    row_ids = checked_ids(sample_ids)
    return resolve(cells, shape, names, on_conflict, row_ids=row_ids, soft=soft)


def build_from_dicts(records, label_names, soft):
    """Do the work of :meth:`MaskedLabels.from_dicts`."""
    records = list(records)
    for i, record in enumerate(records):
        if not hasattr(record, "items"):
            raise TypeError(
                "`records` accepts a dict a sample; got "
                f"{type(record).__name__} at sample {i}."
            )
    if label_names is None:
        label_names = list(dict.fromkeys(key for record in records for key in record))
    names = checked_names(label_names, len(label_names))
    position = {name: i for i, name in enumerate(names)}
    keys = [key for record in records for key in record]
    rows = np.repeat(np.arange(len(records)), [len(record) for record in records])
    cols = np.fromiter((position.get(key, -1) for key in keys), np.intp, len(keys))
    for i in np.flatnonzero(cols < 0)[:1]:
        raise ValueError(
            f"`records` accepts keys that `label_names` holds; got {keys[i]!r} at "
            f"sample {rows[i]}."
        )
    values = [value for record in records for value in record.values()]
    values, known = decisions(
        one_a_record(values, "values"),
        lambda i: f"at sample {rows[i]}, label {keys[i]!r}",
        soft,
    )
    cells = _select(Cells(rows, cols, values, None), known)
    return resolve(cells, (len(records), len(names)), names, "raise", soft=soft)


def check_policy(on_conflict, soft):
    """Raise for an `on_conflict` that is none of those of the kind of labels."""
    accepted = SOFT_POLICIES if soft else POLICIES
    if on_conflict not in accepted:
        raise ValueError(
            f"`on_conflict` accepts one of {accepted}; got {on_conflict!r}."
        )


def checked_shape(shape, sample_ids, label_names):
    """Return the shape that records are of, given or by ids and names."""
    if shape is not None:
        shape = _checked_shape(shape)
        if sample_ids is not None and len(sample_ids) != shape[0]:
            raise ValueError(
                f"`sample_ids` must name the {shape[0]} samples of `shape`; got "
                f"{len(sample_ids)}."
            )
        return shape
    if sample_ids is None or label_names is None:
        raise ValueError(
            "`shape` is needed, unless both `sample_ids` and `label_names` are given: "
            "rows without a record would be lost."
        )
    return len(sample_ids), len(label_names)


def _checked_shape(shape):
    try:
        n_samples, n_labels = (operator.index(n) for n in shape)
    except (TypeError, ValueError):
        n_samples = n_labels = -1
    if min(n_samples, n_labels) < 0:
        raise ValueError(
            f"`shape` accepts two integers from 0, (n_samples, n_labels); got {shape}."
        )
    return n_samples, n_labels


def _select(cells, kept):
    return Cells(*(None if part is None else part[kept] for part in cells))


def resolve(
    cells, shape, names, on_conflict, *, equal_is_fine=False, row_ids=None, soft=False
):
    """Return labels from cells in any order, several of which may be one cell."""
    keys = cells.rows.astype(np.int64) * shape[1] + cells.cols
    order = np.argsort(keys, kind="stable")
    keys, cells = keys[order], _select(cells, order)
    new = np.append(True, keys[1:] != keys[:-1]) if len(keys) else np.empty(0, bool)
    if not new.all():
        cells = _settle(cells, new, names, row_ids, on_conflict, equal_is_fine)
    return LabelStore(
        row_pointers(cells.rows, shape[0]),
        cells.cols,
        cells.values,
        shape,
        weights=cells.weights,
        label_names=names,
        row_ids=row_ids,
        soft=soft,
    )


def _settle(cells, new, names, row_ids, on_conflict, equal_is_fine):
    """Return one cell for each run of records that speak of the same one."""
    starts = np.flatnonzero(new)
    if on_conflict == "raise":
        conflict = ~new
        if equal_is_fine:
            conflict[1:] &= cells.values[1:] != cells.values[:-1]
        if conflict.any():
            i = int(np.flatnonzero(conflict)[0])
            row, col = cells.rows[i], cells.cols[i]
            sample = row if row_ids is None else repr(row_ids[row])
            label = col if names is None else repr(names[col])
            raise ValueError(
                f"Sample {sample}, label {label} has several records, with the "
                f"values {cells.values[i - 1]} and {cells.values[i]}. Pass "
                'on_conflict="last" or on_conflict="majority" to settle them.'
            )
    if on_conflict in ("raise", "last"):
        return _select(cells, np.append(starts[1:], len(new)) - 1)
    votes = np.ones(len(new)) if cells.weights is None else cells.weights
    yes = np.add.reduceat(votes * cells.values, starts)
    no = np.add.reduceat(votes * (1 - cells.values), starts)
    if on_conflict == "mean":
        total = yes + no
        weights = None if cells.weights is None else total
        kept = cells.rows[starts], cells.cols[starts]
        return Cells(*kept, yes / total, weights)
    # A single record stays as it is, whatever becomes of others.
    alone = np.diff(starts, append=len(new)) == 1
    first = _select(cells, starts)
    settled = first._replace(
        values=np.where(alone, first.values, yes > no),
        weights=None
        if cells.weights is None
        else np.where(alone, first.weights, np.maximum(yes, no)),
    )
    return _select(settled, alone | (yes != no))
