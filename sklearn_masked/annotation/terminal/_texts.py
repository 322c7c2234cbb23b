"""Read the texts that are to be labeled: CSV, TSV, JSON lines, or a text a line."""

import contextlib
import csv
import io
import json
from typing import NamedTuple

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_REMEDY = "Mend the file, or export it again."


class Pool(NamedTuple):
    """The texts, and how they are called.

    Parameters
    ----------
    texts : list of str
        One a sample.
    ids : list of str or None
        One a sample, if the file has them.
    """

    texts: list
    ids: list | None


def read_texts(path, text_column=None, id_column=None):
    """Read the texts of a file, and their ids if it has some.

    Parameters
    ----------
    path : Path
        A file of CSV, TSV (tabs between the columns), JSONL (an object a line) or TXT
        (a text a line, blank lines passed over), by its suffix; UTF-8.
    text_column, id_column : str, default=None
        Where the texts and ids are. By default "text"; and "id", if there is such a
        column.

    Returns
    -------
    Pool

    Raises
    ------
    ValueError
        If the file cannot be read that way; with the line.
    OSError
        If it cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix == ".txt":
        if text_column or id_column:
            raise ValueError(
                f"{path} has a text a line, and no columns; --text-column and "
                "--id-column are for .csv, .tsv and .jsonl."
            )
        lines = enumerate(decoded(path).split("\n"), 1)
        lines = [(n, None, text.rstrip("\r")) for n, text in lines if text.strip()]
        return _checked(path, lines)
    if suffix in _DELIMITERS:
        records = _csv_records(path, _DELIMITERS[suffix])
    elif suffix == ".jsonl":
        records = _json_records(path)
    else:
        raise ValueError(
            f"{path} must end in .csv, .tsv, .jsonl or .txt, which says how to read "
            f"it; it ends in {path.suffix or 'nothing'}."
        )
    return _checked(path, _picked(path, records, text_column, id_column))


def decoded(path):
    """Return a file of UTF-8 as text; raise with the line that is not."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(
                f"{path} must be UTF-8; it is UTF-16. Save it again as UTF-8."
            ) from None
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: must be UTF-8; got the byte "
            f"0x{data[error.start]:02x}. Save the file again as UTF-8."
        ) from None


def _csv_records(path, delimiter):
    """Return (line, {column: field}) of each row."""
    rows = csv.reader(
        io.StringIO(decoded(path), newline=""), delimiter=delimiter, strict=True
    )
    records, header, line = [], None, 1
    with _long_fields():
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:
                raise ValueError(
                    f"{path}, line {line}: not a row of CSV ({error}). Is a quote "
                    f"missing? {_REMEDY}"
                ) from None
            if row is None:
                break
            if header is None:
                header = _checked_header(path, row)
            elif row:
                if len(row) != len(header):
                    raise ValueError(
                        f"{path}, line {line}: {len(header)} fields are expected, as "
                        f"in the header; got {len(row)}. {_REMEDY}"
                    )
                records.append((line, dict(zip(header, row, strict=True))))
            line = rows.line_num + 1
    if header is None:
        raise ValueError(f"{path} is empty; a header and texts are expected.")
    return header, records


@contextlib.contextmanager
def _long_fields():
    """Let fields be as long as texts are."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _checked_header(path, header):
    for name in header:
        if header.count(name) > 1:
            raise ValueError(
                f"{path}, line 1: each column must have a name of its own; got "
                f"{name!r} twice."
            )
    return header


def _json_records(path):
    """Return the keys of the first object, and (line, object) of each line."""
    records = []
    for line, text in enumerate(decoded(path).split("\n"), 1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except ValueError as error:
            raise ValueError(
                f"{path}, line {line}: not JSON ({error}). {_REMEDY}"
            ) from None
        if not isinstance(record, dict):
            raise ValueError(
                f"{path}, line {line}: an object is expected, such as "
                f'{{"text": "..."}}; got {text.strip()[:40]}.'
            )
        records.append((line, record))
    return (list(records[0][1]) if records else []), records


def _picked(path, table, text_column, id_column):
    """Return (line, id or None, text) of each record."""
    columns, records = table
    text_column = _text_column(path, columns, text_column)
    if id_column is None:
        id_column = "id" if "id" in columns and text_column != "id" else None
    else:
        _check_column(path, columns, id_column, "--id-column")
    picked = []
    for line, record in records:
        text = record.get(text_column)
        if not isinstance(text, str):
            raise ValueError(
                f"{path}, line {line}: {text_column!r} must be text; got {text!r}."
            )
        one = None if id_column is None else _id(path, line, record, id_column)
        picked.append((line, one, text))
    return picked


def _text_column(path, columns, given):
    if given is not None:
        _check_column(path, columns, given, "--text-column")
        return given
    if "text" in columns:
        return "text"
    hint = ""
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|"):
        hint = " The columns must be separated by commas (by tabs in a .tsv)."
    elif len(columns) == 1:
        # It may as well be a text, of a file without a header.
        hint = (
            " If that is the name of the column, pass it; if it is a text, put a line "
            "with the word text above it."
        )
    raise ValueError(
        f"{path} must have a column 'text', or --text-column NAME must say which one "
        f"holds the texts; it has {_shown(columns)}.{hint}"
    )


def _check_column(path, columns, name, option):
    if name not in columns:
        raise ValueError(
            f"{option} must be a column of {path}, which has {_shown(columns)}; got "
            f"{name!r}."
        )


def _shown(columns):
    if not columns:
        return "none"
    more = f" and {len(columns) - 8} more" if len(columns) > 8 else ""
    names = (name if len(name) <= 60 else name[:57] + "..." for name in columns[:8])
    return ", ".join(map(repr, names)) + more


def _id(path, line, record, id_column):
    one = record.get(id_column)
    if isinstance(one, int) and not isinstance(one, bool):
        one = str(one)
    if not isinstance(one, str) or not one:
        raise ValueError(
            f"{path}, line {line}: {id_column!r} must be an id; got {one!r}."
        )
    return one


def _checked(path, picked):
    """Return a pool of (line, id, text), ids all different."""
    first = {}
    for line, one, _ in picked:
        if one is not None and first.setdefault(one, line) != line:
            raise ValueError(
                f"{path}, line {line}: ids must all differ; {one!r} stands on line "
                f"{first[one]} already. Mend it, or name another column by "
                "--id-column."
            )
    ids = [one for _, one, _ in picked] if first else None
    texts = [_sound(text) for _, _, text in picked]
    if not any(text.strip() for text in texts):
        raise ValueError(f"{path} has no text; one or more are expected.")
    return Pool(texts, ids)


def _sound(text):
    """Return a text without halves of characters, which no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
