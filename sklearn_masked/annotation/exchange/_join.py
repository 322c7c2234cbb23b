"""Answers joined with the samples of X, by id, and settled where they differ."""

import numpy as np

from ...labels import MaskedLabels
from ._columns import NO_TIME
from ._entries import id_texts, name_texts

POLICIES = ("raise", "last", "majority")
UNKNOWN = ("raise", "drop")


def join(annotations, sample_ids, label_names, on_conflict, unknown_samples):
    """Do the work of :meth:`Annotations.to_labels`."""
    _check_policy(on_conflict, POLICIES, "on_conflict")
    _check_policy(unknown_samples, UNKNOWN, "unknown_samples")
    if label_names is None:
        label_names = annotations.label_names
    names = name_texts(label_names, "label_names")
    if not names:
        raise ValueError(
            "`label_names` is needed: no label occurs in these answers, so that there "
            "are no columns."
        )
    ids = id_texts(sample_ids)
    # As they were given, to be compared with the index of X; an iterator is used up.
    given_ids = np.asarray(sample_ids if hasattr(sample_ids, "__len__") else ids)
    rows = _found(ids, annotations._ids)[annotations._row(annotations._id_codes)]
    cols = np.append(_found(names, annotations._label_names), -2)
    cols = cols[annotations._label_codes]
    if unknown_samples == "raise":
        _refuse_unknown(annotations, rows, "ids", "sample_ids")
    else:
        cols = np.where(rows < 0, -2, cols)
    _refuse_unknown(annotations, cols, "labels", "label_names")
    kept = np.flatnonzero((annotations.answers >= 0) & (rows >= 0))
    kept = _settled(annotations, kept, rows, cols, len(names), on_conflict)
    weights = annotations.weights
    given = np.empty(len(names), object)
    given[:] = list(label_names)
    labels = MaskedLabels.from_cells(
        rows[kept],
        given[cols[kept]],
        annotations.answers[kept],
        shape=(len(ids), len(names)),
        label_names=given,
        weights=None if weights is None else weights[kept],
        on_conflict=on_conflict,
    )
    return labels._replace(row_ids=given_ids)


def _check_policy(value, accepted, parameter):
    if value not in accepted:
        raise ValueError(f"`{parameter}` accepts one of {accepted}; got {value!r}.")


def _found(keys, wanted):
    """Return the position of each wanted string among the keys, -1 if it is none."""
    position = {key: i for i, key in enumerate(keys)}
    found = (position.get(key, -1) for key in wanted)
    return np.fromiter(found, dtype=np.intp, count=len(wanted))


def _refuse_unknown(annotations, found, column, parameter):
    unknown = found == -1
    for i in np.flatnonzero(unknown)[:1]:
        some = list(dict.fromkeys(getattr(annotations, column)[unknown].tolist()))
        more = f" (and {len(some) - 1} more)" if len(some) > 1 else ""
        if column == "ids":
            kind = "sample"
            remedy = (
                'Add it there, or pass unknown_samples="drop" if X holds a part of the '
                "samples."
            )
        else:
            kind, remedy = "label", "Add it there, or mend its name in the file."
        raise ValueError(
            f"{_at(annotations, i)}{kind} {some[0]!r}{more} is not in `{parameter}`. "
            f"{remedy}"
        )


def _at(annotations, i):
    """Return the words that say where a row comes from."""
    name = "" if annotations.source is None else f"{annotations.source}, "
    numbers = annotations.numbers
    if numbers is None:
        return ""
    return f"{name}{annotations.unit} {numbers[i]}: "


def _settled(annotations, kept, rows, cols, n_labels, on_conflict):
    """Return the rows to take: one a cell, or for a majority one a voter and cell."""
    cells = rows[kept] * n_labels + cols[kept]
    voters = annotations._row(annotations._annotator_codes)[kept]
    if on_conflict == "raise":
        return kept[_agreed(annotations, kept, cells, voters)]
    if on_conflict == "last":
        return kept[_last(annotations, kept, cells)]
    # Each nameless answer is a voter of its own.
    unnamed = voters < 0
    voters = np.where(unnamed, len(annotations._annotator_names), voters)
    voters[unnamed] += np.arange(unnamed.sum())
    n_voters = int(voters.max(initial=0)) + 1
    _, cells = np.unique(cells, return_inverse=True)
    return kept[_last(annotations, kept, cells * n_voters + voters)]


def _agreed(annotations, kept, cells, voters):
    """Return one answer of each cell; raise if two differ, or are of one annotator."""
    order = np.lexsort((voters, cells))
    values = annotations.answers[kept][order]
    cells, voters = cells[order], voters[order]
    same = cells[1:] == cells[:-1]
    wrong = same & ((voters[1:] == voters[:-1]) | (values[1:] != values[:-1]))
    for at in np.flatnonzero(wrong)[:1]:
        _refuse_conflict(annotations, kept[order[at]], kept[order[at + 1]])
    return np.sort(order[np.append(~same, True)] if len(order) else order)


def _last(annotations, kept, groups):
    """Return the last row of each group: by time, or as they stand without times."""
    times = annotations.timestamps
    if times is None:
        times = np.zeros(len(annotations), np.int64)
    times = times.view(np.int64)[kept]
    order = np.lexsort((times, groups))
    times, groups = times[order], groups[order]
    last = np.append(groups[1:] != groups[:-1], True) if len(order) else order
    mixed = (
        (groups[1:] == groups[:-1]) & (times[:-1] == NO_TIME) & (times[1:] != NO_TIME)
    )
    for at in np.flatnonzero(mixed)[:1]:
        i = kept[order[at]]
        raise ValueError(
            f"{_at(annotations, i)}sample {annotations.ids[i]!r}, label "
            f"{annotations.labels[i]!r} has several answers, some with a time and this "
            "one without, so that there is no telling which is the last; pass "
            "annotations.without('timestamps') to go by their order."
        )
    return np.sort(order[last])


def _refuse_conflict(annotations, *rows):
    rows = sorted(rows)
    who = [annotations.annotators[i] for i in rows]
    said = []
    for i, name in zip(rows, who, strict=True):
        said.append("yes" if annotations.answers[i] else "no")
        if name is not None:
            said[-1] += f" by {name!r}"
        if annotations.numbers is not None:
            said[-1] += f" ({annotations.unit} {annotations.numbers[i]})"
    source = "" if annotations.source is None else f"{annotations.source}: "
    once = " by one annotator" if who[0] is not None and who[0] == who[1] else ""
    raise ValueError(
        f"{source}sample {annotations.ids[rows[0]]!r}, label "
        f"{annotations.labels[rows[0]]!r} has several answers{once}: "
        f'{said[0]} and {said[1]}. Pass on_conflict="last" or on_conflict="majority" '
        "to settle them, or take out what stands there twice."
    )
