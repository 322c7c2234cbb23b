"""From records of single decisions to labels, and what to do where they differ."""

from numbers import Integral

import numpy as np

from ._check import from_sorted_cells, missing_entries, row_pointers
from ._store import Cells, MaskedLabels, checked_names

POLICIES = ("raise", "last", "majority")


def build_from_records(
    samples, labels, values, shape, sample_ids, label_names, weights, on_conflict
):
    """Do the work of :meth:`MaskedLabels.from_cells`."""
    _check_policy(on_conflict)
    samples, labels = _one_a_record(samples), _one_a_record(labels)
    values, known = _decisions(values)
    if not len(samples) == len(labels) == len(values):
        raise ValueError(
            "`samples`, `labels` and `values` must have one entry a record; got "
            f"{len(samples)}, {len(labels)} and {len(values)}."
        )
    shape = _shape(shape, sample_ids, label_names)
    names = checked_names(label_names, shape[1])
    rows = _lookup(samples, sample_ids, shape[0], "sample", "sample_ids")
    cols = _lookup(labels, names, shape[1], "label", "label_names")
    weights = _record_weights(weights, len(values))
    cells = Cells(rows, cols, values, weights)
    cells = _select(cells, known if weights is None else known & (weights > 0))
    return _resolve(cells, shape, names, on_conflict, equal_is_fine=False)


def merge_labels(labels, on_conflict):
    """Do the work of :meth:`MaskedLabels.merge`."""
    _check_policy(on_conflict)
    if not labels:
        raise ValueError("`merge` needs at least one MaskedLabels; got none.")
    first = labels[0]
    for other in labels:
        if not isinstance(other, MaskedLabels):
            raise TypeError(
                f"`merge` accepts MaskedLabels; got {type(other).__name__}."
            )
        if other.shape != first.shape:
            raise ValueError(
                f"`merge` needs labels of one shape; got {first.shape} and "
                f"{other.shape}."
            )
    names = [other.label_names for other in labels if other.label_names is not None]
    for other in names[1:]:
        if list(other) != list(names[0]):
            raise ValueError("`merge` needs the same `label_names` in the same order.")
    parts = [other.cells() for other in labels]
    weights = None
    if any(part.weights is not None for part in parts):
        ones = [np.ones(len(part.rows)) for part in parts]
        weights = [
            one if p.weights is None else p.weights
            for p, one in zip(parts, ones, strict=True)
        ]
    cells = Cells(
        *(np.concatenate([part[i] for part in parts]) for i in range(3)),
        None if weights is None else np.concatenate(weights),
    )
    return _resolve(
        cells, first.shape, names[0] if names else None, on_conflict, equal_is_fine=True
    )


def stack(labels):
    """Return labels of the same labels one above the other."""
    cells = [other.cells() for other in labels]
    starts = np.cumsum([0, *(len(other) for other in labels)])
    rows = np.concatenate([c.rows + s for c, s in zip(cells, starts, strict=False)])
    weights = None
    if any(c.weights is not None for c in cells):
        weights = np.concatenate(
            [np.ones(len(c.rows)) if c.weights is None else c.weights for c in cells]
        )
    return MaskedLabels(
        row_pointers(rows, int(starts[-1])),
        np.concatenate([c.cols for c in cells]),
        np.concatenate([c.values for c in cells]),
        (int(starts[-1]), labels[0].n_labels),
        weights=weights,
        label_names=labels[0].label_names,
    )


def _check_policy(on_conflict):
    if on_conflict not in POLICIES:
        raise ValueError(
            f"`on_conflict` accepts one of {POLICIES}; got {on_conflict!r}."
        )


def _one_a_record(entries):
    if isinstance(entries, np.ndarray):
        array = entries
    else:
        entries = entries.to_numpy() if hasattr(entries, "to_numpy") else list(entries)
        array = np.asarray(entries)
        if array.dtype.kind in "US":
            # numpy would turn numbers beside strings into strings.
            array = np.empty(len(entries), dtype=object)
            array[:] = list(entries)
    if array.ndim != 1:
        raise ValueError(
            f"Records are 1-D, one entry each; got {array.ndim} dimensions."
        )
    return array


def _decisions(values):
    """Return int8 values and where a record decides anything."""
    values = _one_a_record(values)
    numbers = np.full(len(values), -1, dtype=np.int8)
    if values.dtype.kind in "biuf":
        missing = values != values
    else:
        missing = missing_entries(values.astype(object))
    positive, negative = values == 1, values == 0
    positive = np.asarray(positive & ~missing, dtype=bool)
    negative = np.asarray(negative & ~missing, dtype=bool)
    unlabeled = missing | np.asarray((values == -1) & ~missing, dtype=bool)
    other = ~(positive | negative | unlabeled)
    if other.any():
        i = int(np.flatnonzero(other)[0])
        value = values[i].item() if isinstance(values[i], np.generic) else values[i]
        raise ValueError(
            "`values` accepts 1, 0, and NaN, -1 or None for a record that decides "
            f"nothing; got {value!r} in record {i}."
        )
    numbers[positive], numbers[negative] = 1, 0
    return numbers, positive | negative


def _shape(shape, sample_ids, label_names):
    if shape is not None:
        shape = (int(shape[0]), int(shape[1]))
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


def _lookup(entries, known, n, what, parameter):
    """Return the positions of ids or names, or positions after a look at them.

    Integers are positions unless an id or a name is an integer itself.
    """
    keys = [] if known is None else np.asarray(known, dtype=object).tolist()
    by_position = entries.dtype.kind in "iu" and not any(
        isinstance(key, Integral) for key in keys
    )
    if known is None or by_position:
        if len(entries) and entries.dtype.kind not in "iu":
            raise ValueError(
                f"`{what}s` accepts positions from 0, unless `{parameter}` says what "
                f"is where; got {entries[0]!r} in record 0."
            )
        bad = (entries < 0) | (entries >= n)
        if len(entries) and bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"`{what}s` accepts positions from 0 to {n - 1}; got "
                f"{int(entries[i])} in record {i}."
            )
        return entries.astype(np.intp)
    position = {}
    for i, key in enumerate(keys):
        if key in position:
            raise ValueError(f"`{parameter}` must all differ; got {key!r} twice.")
        position[key] = i
    found = np.empty(len(entries), np.intp)
    for i, key in enumerate(entries.tolist()):
        if key not in position:
            raise ValueError(
                f"`{what}s` accepts what `{parameter}` holds; got {key!r} in record "
                f"{i}."
            )
        found[i] = position[key]
    return found


def _record_weights(weights, n):
    if weights is None:
        return None
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(
            f"`weights` must have one entry a record, ({n},); got {weights.shape}."
        )
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"`weights` accepts finite numbers from 0; got {weights[i]} in record {i}."
        )
    return weights


def _select(cells, kept):
    return Cells(*(None if part is None else part[kept] for part in cells))


def _resolve(cells, shape, names, on_conflict, *, equal_is_fine):
    """Return labels from cells in any order, several of which may be one cell."""
    keys = cells.rows.astype(np.int64) * shape[1] + cells.cols
    order = np.argsort(keys, kind="stable")
    keys, cells = keys[order], _select(cells, order)
    new = np.append(True, keys[1:] != keys[:-1]) if len(keys) else np.empty(0, bool)
    if not new.all():
        cells = _settle(cells, new, on_conflict, equal_is_fine)
    return from_sorted_cells(
        cells.rows, cells.cols, cells.values, shape, cells.weights, names
    )


def _settle(cells, new, on_conflict, equal_is_fine):
    """Return one cell for each run of records that speak of the same one."""
    starts = np.flatnonzero(new)
    if on_conflict == "raise":
        conflict = ~new
        if equal_is_fine:
            conflict[1:] &= cells.values[1:] != cells.values[:-1]
        if conflict.any():
            i = int(np.flatnonzero(conflict)[0])
            raise ValueError(
                f"Sample {cells.rows[i]}, label {cells.cols[i]} has several records: "
                f"{cells.values[i - 1]} and {cells.values[i]}. Pass "
                'on_conflict="last" or on_conflict="majority" to settle them.'
            )
    if on_conflict != "majority":
        return _select(cells, np.append(starts[1:], len(new)) - 1)
    votes = np.ones(len(new)) if cells.weights is None else cells.weights
    yes = np.add.reduceat(votes * cells.values, starts)
    no = np.add.reduceat(votes * (1 - cells.values), starts)
    winners = np.maximum(yes, no)
    settled = Cells(
        cells.rows[starts],
        cells.cols[starts],
        (yes > no).astype(np.int8),
        None if cells.weights is None else winners,
    )
    return _select(settled, yes != no)
