"""Several sets of labels as one: of the same cells, or joined by names and by ids."""

import numpy as np

from ._cells import Cells, checked_ids, checked_names
from ._records import check_policy, resolve
from ._sparse import row_pointers
from ._store import LabelStore
from .names import check_same_names, check_same_rows


def merge_labels(labels, sample_ids, label_names, on_conflict):
    """Do the work of :meth:`MaskedLabels.merge`."""
    soft = any(getattr(one, "soft", False) for one in labels)
    check_policy(on_conflict, soft)
    if not labels:
        raise ValueError("`merge` needs at least one MaskedLabels; got none.")
    for one in labels:
        if not isinstance(one, LabelStore):
            raise TypeError(f"`merge` accepts MaskedLabels; got {type(one).__name__}.")
    names, cols = _joined_labels(labels, label_names)
    ids, rows = _joined_samples(labels, sample_ids)
    n_samples = len(labels[0]) if rows is None else len(ids)
    shape = n_samples, labels[0].n_labels if cols is None else len(names)
    if _are_stacked(labels, rows, cols, shape):
        return _stacked(labels, rows, cols)._replace(label_names=names, row_ids=ids)
    parts = [one.cells() for one in labels]
    places = [
        [
            part[i] if at is None else at[place][part[i]]
            for place, part in enumerate(parts)
        ]
        for i, at in enumerate((rows, cols))
    ]
    cells = Cells(
        *map(np.concatenate, places),
        np.concatenate([part.values for part in parts]),
        _joined_weights(parts),
    )
    return resolve(
        cells, shape, names, on_conflict, equal_is_fine=True, row_ids=ids, soft=soft
    )


def _joined_labels(labels, label_names):
    """Return the names of the union and, or None, the column of each label there."""
    keys = [_keys(one.label_names, one.n_labels) for one in labels]
    if label_names is None and None in keys:
        for place, one in enumerate(labels):
            if one.n_labels != labels[0].n_labels:
                _refuse_size(labels, place, 1, "labels", keys, "label_names")
        named = [place for place, names in enumerate(keys) if names]
        for place in named[1:]:
            of = f"`labels[{named[0]}]`"
            check_same_names(keys[place], keys[named[0]], f"labels[{place}]", of)
        return checked_names(keys[named[0]]) if named else None, None
    names, cols = _join(keys, checked_names(label_names), "label_names", "label name")
    same = label_names is None and all(names == keys[0] for names in keys)
    return checked_names(names), None if same else cols


def _joined_samples(labels, sample_ids):
    """Return the ids of the union and, or None, the row of each sample there."""
    keys = [_keys(one.sample_ids, len(one)) for one in labels]
    if sample_ids is None and (None in keys or all(ids == keys[0] for ids in keys)):
        for place, one in enumerate(labels):
            if len(one) != len(labels[0]):
                _refuse_size(labels, place, 0, "samples", keys, "sample_ids")
            check_same_rows(labels=labels[0], others=one)
        return labels[0]._row_ids, None
    ids, rows = _join(keys, checked_ids(sample_ids), "sample_ids", "sample id")
    return checked_ids(ids), rows


def _keys(keys, n):
    """Return names or ids as a list, None where there are none for what is there."""
    return keys.tolist() if keys is not None else None if n else []


def _refuse_size(labels, place, axis, what, given, parameter):
    """Raise for sets of another size that lack what would join them."""
    lacking = given.index(None)
    sizes = [labels[i].shape[axis] for i in (0, place)]
    raise ValueError(
        f"`merge` joins {what} by `{parameter}` where their number differs: {sizes[0]} "
        f"in labels[0], {sizes[1]} in labels[{place}], and labels[{lacking}] has no "
        f"`{parameter}`; give it some by with_{parameter}."
    )


def _join(keys, wanted, parameter, what):
    """Return the union of lists of keys, in `wanted` order, and the keys' positions."""
    union = dict.fromkeys(key for one in keys if one is not None for key in one)
    if wanted is not None:
        union = dict.fromkeys(wanted)
    position, found = {key: i for i, key in enumerate(union)}, []
    for place, one in enumerate(keys):
        if one is None:
            raise ValueError(
                f"`{parameter}` is for sets that have such; labels[{place}] has none: "
                f"give it some by with_{parameter}."
            )
        at = np.fromiter((position.get(key, -1) for key in one), np.intp, len(one))
        for i in np.flatnonzero(at < 0)[:1]:
            raise ValueError(
                f"`{parameter}` must hold every {what}; {one[i]!r} of labels[{place}] "
                "is not there."
            )
        _, first = np.unique(at, return_index=True)
        for i in np.setdiff1d(np.arange(len(at)), first)[:1]:
            raise ValueError(
                f"`merge` joins by a {what} that stands once in each set; labels"
                f"[{place}] has {one[i]!r} twice."
            )
        found.append(at)
    return list(union), found


def _are_stacked(labels, rows, cols, shape):
    """Return whether the sets store no negatives, and their union need not either.

    It need not where each sample is in exactly one set, and each set has all labels.
    """
    if rows is None or any(one.fill != "negative" for one in labels):
        return False
    at = np.concatenate(rows)
    whole = len(at) == shape[0] == len(np.unique(at))
    return whole and all(one.n_labels == shape[1] for one in labels)


def _stacked(labels, rows, cols):
    """Return the samples of all sets in the order of the union, negatives implicit."""
    if cols is not None:
        pairs = zip(labels, cols, strict=True)
        labels = [one[:, np.argsort(at)] for one, at in pairs]
    labels = [one._replace(label_names=None) for one in labels]
    return stack(labels)[np.argsort(np.concatenate(rows))]


def stack(labels):
    """Return labels of the same labels one above the other."""
    first = labels[0]
    if len(labels) == 1:
        return first
    for other in labels[1:]:
        names = [
            None if one.label_names is None else list(one.label_names)
            for one in (first, other)
        ]
        if other.n_labels != first.n_labels or names[0] != names[1]:
            raise ValueError(
                "`y` mixes rows of MaskedLabels of other labels: their number and "
                "`label_names` must agree."
            )
    fill, soft = first.fill, any(other.soft for other in labels)
    if any(other.fill != fill for other in labels):
        fill = "unlabeled"
    parts = [_stored(other, fill) for other in labels]
    starts = np.cumsum([0, *(len(other) for other in labels)])
    rows = [part.rows + start for part, start in zip(parts, starts, strict=False)]
    n_samples = int(starts[-1])
    return LabelStore(
        row_pointers(np.concatenate(rows), n_samples),
        np.concatenate([part.cols for part in parts]),
        np.concatenate([part.values for part in parts]),
        (n_samples, first.n_labels),
        fill=fill,
        weights=_joined_weights(parts),
        label_names=first.label_names,
        soft=soft,
    )


def _stored(labels, fill):
    """Return what labels store under a fill, which is theirs or "unlabeled"."""
    if labels.fill != fill:
        return labels.cells()
    rows = np.repeat(np.arange(len(labels)), np.diff(labels.indptr))
    return Cells(rows, labels.indices, labels.values, labels.weights)


def _joined_weights(parts):
    """Return the weights of all parts, 1 where one has none; None if all have none."""
    if all(part.weights is None for part in parts):
        return None
    return np.concatenate(
        [np.ones(len(p.rows)) if p.weights is None else p.weights for p in parts]
    )
