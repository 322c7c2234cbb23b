"""The columns of records: which sample, which label, which value, what weight."""

from numbers import Integral

import numpy as np

from ._values import is_known, missing_entries, numbers_of
from ._weights import as_weights, refuse_bad_weight


def one_a_record(entries, parameter):
    """Return a column of records as a 1-D array; strings stay objects."""
    if not isinstance(entries, np.ndarray):
        entries = entries.to_numpy() if hasattr(entries, "to_numpy") else list(entries)
    array = entries if isinstance(entries, np.ndarray) else np.asarray(entries)
    if array.dtype.kind in "US" and array.ndim == 1 and array is not entries:
        # numpy would turn numbers beside strings into strings.
        array = np.fromiter(entries, dtype=object, count=len(entries))
    if array.ndim != 1:
        raise ValueError(
            f"`{parameter}` must be 1-D, one entry per record; got {array.ndim} "
            "dimensions."
        )
    if array.dtype == object and len(array) and set(map(type, array)) <= {int}:
        return array.astype(np.int64)
    return array


def decisions(values, where, soft=False, parameter="values"):
    """Return int8 values (float64 if soft), and which records decide anything.

    `where` says in words where the record at a position is; `parameter` names it.
    """
    numbers = np.full(len(values), -1, dtype=np.float64 if soft else np.int8)
    known = np.ones(len(values), dtype=bool)
    if np.ma.isMaskedArray(values):
        known, values = ~np.ma.getmaskarray(values), np.ma.getdata(values)
    if values.dtype.kind in "biuf":
        known = known & (values == values)
    elif values.dtype == object:
        known = known & ~missing_entries(values)
    else:
        for i in np.flatnonzero(known)[:1]:
            _refuse_decision(values[i].item(), where(i), soft, parameter)
    seen = np.flatnonzero(known)
    found = values[seen]
    strange = np.ones(len(seen), dtype=bool)
    if soft:
        if found.dtype == object:
            found, strange = numbers_of(found)
        else:
            strange = np.zeros(len(seen), dtype=bool)
        numbers[seen] = found
        strange |= ~(is_known(found, soft) | (found == -1))
    for value in (1, 0, -1) if not soft else ():
        here = np.asarray(found == value, dtype=bool)
        numbers[seen[here]] = value
        strange &= ~here
    for i in seen[strange][:1]:
        _refuse_decision(values[i], where(i), soft, parameter)
    return numbers, numbers >= 0


def _refuse_decision(value, where, soft, parameter):
    value = value.item() if isinstance(value, np.generic) else value
    accepted, hint = ("0 to 1" if soft else "1, 0"), ""
    if isinstance(value, float) and 0 < value < 1 and parameter == "values":
        hint = " For probabilities pass soft=True."
    raise ValueError(
        f"`{parameter}` accepts {accepted}, and NaN, -1 or None for a record that "
        f"decides nothing; got {value!r} {where}.{hint}"
    )


def sample_positions(samples, sample_ids, n):
    """Return the rows of records: positions, or ids to be looked up."""
    if sample_ids is None:
        return _checked_positions(samples, n, "samples", "sample_ids")
    return _looked_up(samples, list(sample_ids), "samples", "sample_ids")


def label_columns(labels, names, n):
    """Return the columns of records: positions, or names to be looked up.

    Integers beside names are positions, unless a name might be meant by one.
    """
    names = [] if names is None else names.tolist()
    integer_names = any(isinstance(name, Integral) for name in names)
    if names and (labels.dtype.kind not in "iu" or integer_names):
        return _looked_up(labels, names, "labels", "label_names")
    cols = _checked_positions(labels, n, "labels", "label_names")
    for i, name in enumerate(names):
        other = str(name).isdecimal() and i != int(name) < n
        for record in np.flatnonzero(cols == int(name))[:1] if other else ():
            raise ValueError(
                f"`labels` accepts positions or names; got {int(name)} in record "
                f"{record}, a position while {name!r} is the name of label {i}. Pass "
                "each as it stands in `label_names`."
            )
    return cols


def _checked_positions(entries, n, parameter, lookup):
    if not len(entries):
        return entries.astype(np.intp)
    if entries.dtype.kind not in "iu":
        raise ValueError(
            f"`{parameter}` accepts positions from 0, unless `{lookup}` says what is "
            f"where; got {_plain(entries[0])!r} in record 0."
        )
    for i in np.flatnonzero((entries < 0) | (entries >= n))[:1]:
        raise ValueError(
            f"`{parameter}` accepts positions from 0 to {n - 1}; got {entries[i]} in "
            f"record {i}."
        )
    return entries.astype(np.intp)


def _looked_up(entries, keys, parameter, lookup):
    position = {}
    for i, key in enumerate(keys):
        if position.setdefault(key, i) != i:
            raise ValueError(f"`{lookup}` must all differ; got {_plain(key)!r} twice.")
    found = (position.get(entry, -1) for entry in entries.tolist())
    found = np.fromiter(found, dtype=np.intp, count=len(entries))
    unknown = np.flatnonzero(found < 0)
    if len(unknown):
        i, more = unknown[0], len(unknown) - 1
        others = f", and unknown ones in {more} more" if more else ""
        raise ValueError(
            f"`{parameter}` accepts what `{lookup}` holds; got {_plain(entries[i])!r} "
            f"in record {i}{others}. Mend what is misspelled, leave the record out, or "
            f"add to `{lookup}`."
        )
    return found


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def record_weights(weights, n):
    """Return the weights of records as float64, or None."""
    if weights is None:
        return None
    weights = as_weights(weights, "weights")
    if weights.shape != (n,):
        raise ValueError(
            f"`weights` must have one entry per record, ({n},); got {weights.shape}."
        )
    refuse_bad_weight(weights, "weights", lambda i: f"in record {i}")
    return weights
