"""The rows of answers as dicts, a block at a time."""

from datetime import UTC, datetime, timedelta
from itertools import groupby

import numpy as np

from ._columns import NO_TIME

SKIPPED = -1
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BLOCK = 1 << 14


def iter_records(annotations, order=None):
    """Yield the answers as dicts, in a given order of the rows."""
    n_rows = len(annotations)
    order = np.arange(n_rows) if order is None else order
    for start in range(0, n_rows, _BLOCK):
        yield from _block(annotations, order[start : start + _BLOCK])


def _block(annotations, rows):
    entries = rows if annotations._entry is None else annotations._entry[rows]
    ids = map(annotations._ids.__getitem__, annotations._id_codes[entries].tolist())
    labels = np.append(annotations._label_names, None)[annotations._label_codes[rows]]
    who = np.append(annotations._annotator_names, None)
    who = who[annotations._annotator_codes[entries]].tolist()
    times, weights = annotations._times, annotations._weights
    times = [NO_TIME] * len(rows) if times is None else times[entries].tolist()
    weights = [None] * len(rows) if weights is None else weights[entries].tolist()
    values = annotations._values[rows].tolist()
    for sample, label, value, annotator, time, weight in zip(
        ids, labels.tolist(), values, who, times, weights, strict=True
    ):
        record = {
            "sample": sample,
            "label": label,
            "value": None if value == SKIPPED else value,
        }
        if annotator is not None:
            record["annotator"] = annotator
        if time != NO_TIME:
            record["timestamp"] = EPOCH + time * MICROSECOND
        if weight is not None:
            record["weight"] = weight
        yield record


def iter_cells(annotations):
    """Yield (sample, label, list of records) of each cell."""
    codes = annotations._row(annotations._id_codes)
    order = np.lexsort((annotations._label_codes, codes))
    records = iter_records(annotations, order)
    for cell, some in groupby(records, key=lambda one: (one["sample"], one["label"])):
        yield *cell, list(some)
