"""What a record may hold: ids, names, times, weights, and the sentences for others."""

import math
from datetime import UTC, datetime
from numbers import Integral

import numpy as np

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 250_000_000_000  # seconds: datetime ends with the year 9999


def is_text(value):
    """Return whether a value is text that can be written as UTF-8."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def id_text(value, parameter, i):
    """Return an id given in Python as text."""
    if isinstance(value, Integral) and not isinstance(value, bool | np.bool_):
        return str(int(value))
    if not is_text(value):
        raise TypeError(
            f"{parameter} accepts text and integers; got {value!r} at position {i}."
        )
    return str(value)


def id_texts(sample_ids, parameter="sample_ids"):
    """Return ids of samples given in Python as text, all different."""
    if isinstance(sample_ids, str):
        raise TypeError(
            f"`{parameter}` accepts a sequence of ids; got the string {sample_ids!r}."
        )
    ids = [id_text(sample, f"`{parameter}`", i) for i, sample in enumerate(sample_ids)]
    if len(set(ids)) != len(ids):
        seen = set()
        for sample in ids:
            if sample in seen:
                raise ValueError(
                    f"`{parameter}` must all differ as text; got {sample!r} twice."
                )
            seen.add(sample)
    return ids


def name_texts(names, parameter):
    """Return names of labels given in Python as text, all different."""
    if isinstance(names, str):
        raise TypeError(
            f"`{parameter}` accepts a sequence of names; got the string {names!r}."
        )
    texts = [id_text(name, f"`{parameter}`", i) for i, name in enumerate(names)]
    for i, name in enumerate(texts):
        if not name:
            raise ValueError(
                f"`{parameter}` accepts names that are not empty; got '' at position "
                f"{i}."
            )
    if len(set(texts)) != len(texts):
        twice = next(name for name in texts if texts.count(name) > 1)
        raise ValueError(f"`{parameter}` must all differ as text; got {twice!r} twice.")
    return texts


def short(value):
    """Return how a value looks, cut where it is long."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def record_id(value, field, where, remedy=""):
    """Return the id in a record as text."""
    if type(value) is str:
        if value and is_text(value):
            return value
    elif type(value) is int:
        return str(value)
    got = "nothing" if value is None or value == "" else short(value)
    raise ValueError(
        f"{where()}: expected the sample's id in {field!r}, text or an integer; got "
        f"{got}.{remedy}"
    )


ID_FIELD = " Pass id_field= to name the field that holds it."


def record_name(value, what, where):
    """Return a name (label, annotator) in a record as text."""
    if type(value) is str:
        if value and is_text(value):
            return value
    elif type(value) is int:
        return str(value)
    raise ValueError(
        f"{where()}: expected {what}, text or an integer; got {short(value)}."
    )


def record_time(value, field, where):
    """Return microseconds since 1970 (UTC) of a time in ISO 8601, or of seconds."""
    if value is None or value == "":
        return None
    if type(value) in (int, float) and abs(value) < _LATEST:  # NaN is not
        return round(value * 1_000_000)
    if type(value) is str:
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            time = time if time.tzinfo else time.replace(tzinfo=UTC)
            since = time - _EPOCH
            seconds = since.days * 86_400 + since.seconds
            return seconds * 1_000_000 + since.microseconds
    raise ValueError(
        f"{where()}: expected a time in {field!r}, as in '2026-11-23T09:30:00Z'; got "
        f"{short(value)}."
    )


def record_weight(value, field, where):
    """Return a weight in a record."""
    if value is None or value == "":
        return None
    if type(value) is str:
        try:
            value = float(value)
        except ValueError:
            pass
    number = type(value) is int or type(value) is float
    if number and math.isfinite(value) and value >= 0:
        return float(value)
    raise ValueError(
        f"{where()}: expected a weight in {field!r}, a number from 0; got "
        f"{short(value)}."
    )
