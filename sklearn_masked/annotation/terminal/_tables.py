"""Records of a file of texts: CSV, JSON, spreadsheets and Parquet, also compressed."""

import contextlib
import csv
import gzip
import importlib
import io
import json
import zlib
from pathlib import Path
from typing import NamedTuple

from ..session import Refused, note

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars (|)"}
_REMEDY = "Mend the file, or export it again."
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# What spreadsheets of western languages save where they do not save UTF-8.
_FALLBACK = "cp1252"


class Table(NamedTuple):
    """Records of a file.

    Parameters
    ----------
    columns : list of str
        Names of the columns, in their order.
    records : list of (int, dict)
        Line (or row) and fields of each record.
    unit : str
        What the number counts: "line", "row" or "record".
    """

    columns: list
    records: list
    unit: str


def read_table(path, encoding=None, delimiter=None, wanted="text"):
    """Read the records of a file, by its suffix.

    Parameters
    ----------
    path : Path
        A .csv, .tsv, .jsonl, .json, .xlsx or .parquet, or one of the first four with
        .gz behind.
    encoding, delimiter : str, default=None
        Of text, and between the fields of CSV. None finds out, and says what it found
        unless it is UTF-8, and the comma of a .csv or the tab of a .tsv.
    wanted : str, default="text"
        A column that the right delimiter of CSV gives.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If the file cannot be read that way; with the line.
    Refused
        If reading it needs a package that is not installed.
    OSError
        If it cannot be opened.
    """
    suffix = suffix_of(path)
    if suffix in _DELIMITERS:
        text = decoded(path, encoding)
        return _csv_table(path, text, delimiter, _DELIMITERS[suffix], wanted)
    if suffix == ".jsonl":
        return _json_lines(path, decoded(path, encoding or "utf-8"))
    if suffix == ".json":
        return _json_array(path, decoded(path, encoding or "utf-8"))
    if suffix == ".xlsx":
        return _sheet(path)
    if suffix == ".parquet":
        return _parquet(path)
    raise ValueError(
        f"{path} must end in .csv, .tsv, .json, .jsonl, .xlsx, .parquet or .txt, which "
        f"says how to read it (.gz may follow); it ends in {path.suffix or 'nothing'}."
    )


def suffix_of(path):
    """Return the suffix that says how to read a file, without .gz behind it."""
    path = Path(path)
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix == ".gz" else suffix


def content_of(path):
    """Return the bytes of a file, unpacked if it is compressed."""
    data = path.read_bytes()
    if path.suffix.lower() != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is no whole gzip file ({error}). {_REMEDY}") from None


def decoded(path, encoding=None):
    """Return a file of text; raise with the line that cannot be read.

    Without an encoding, text is UTF-8, or UTF-16 with a mark; other bytes are read as
    that of western spreadsheets where they can be, and that is said.
    """
    data = content_of(path)
    try:
        return data.decode(
            encoding if encoding and _is_other(encoding) else "utf-8-sig"
        )
    except LookupError:
        raise ValueError(
            f"--encoding accepts the name of an encoding, such as utf-8 or cp1252; got "
            f"{encoding!r}."
        ) from None
    except UnicodeDecodeError as error:
        failure = error
    if encoding is None and data[:2] in _BOMS:
        with contextlib.suppress(UnicodeDecodeError):
            text = data.decode(_BOMS[data[:2]])
            note(f"{path} is read as UTF-16.")
            return text
    line = data.count(b"\n", 0, failure.start) + 1
    where = f"{path}, line {line}"
    if encoding is None and b"\0" not in data:
        with contextlib.suppress(UnicodeDecodeError):
            text = data.decode(_FALLBACK)
            note(
                f"{where}: not UTF-8; the file is read as {_FALLBACK}, as spreadsheets "
                "of western languages save it. --encoding names another."
            )
            return text
    raise ValueError(
        f"{where}: must be {encoding or 'UTF-8'}; got the byte "
        f"0x{data[failure.start]:02x}. Save the file again as UTF-8, or name its "
        "encoding by --encoding."
    )


def _is_other(encoding):
    return encoding is not None and encoding.lower().replace("_", "-") not in (
        "utf-8",
        "utf8",
        "utf-8-sig",
    )


# CSV


def _csv_table(path, text, delimiter, usual, wanted):
    if delimiter is None:
        delimiter = _found_delimiter(path, text, usual, wanted)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
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
                header = checked_header(path, row, "line 1")
            elif row:
                records.append((line, _fields(path, row, header, line)))
            line = rows.line_num + 1
    if header is None:
        raise ValueError(f"{path} is empty; a header and texts are expected.")
    return Table(header, records, "line")


def _found_delimiter(path, text, usual, wanted):
    """Return the delimiter with which the header has the wanted column."""
    marks = [usual, *(mark for mark in _MARKS if mark != usual)]
    for mark in marks:
        with contextlib.suppress(csv.Error, StopIteration):
            lines = io.StringIO(text, newline="")
            header = next(csv.reader(lines, delimiter=mark, strict=True))
            if wanted.lower() in (name.strip().lower() for name in header):
                if mark != usual:
                    note(f"{path} is read with {_MARKS[mark]} between the fields.")
                return mark
    return usual


@contextlib.contextmanager
def _long_fields():
    """Let fields be as long as texts are."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def checked_header(path, header, where):
    """Return the names of columns, less empty ones at the end; raise if one repeats."""
    header = list(header)
    while header and not header[-1].strip():  # spreadsheets leave such columns
        del header[-1]
    for name in header:
        if header.count(name) > 1:
            raise ValueError(
                f"{path}, {where}: each column must have a name of its own; got "
                f"{name!r} twice."
            )
    return header


def _fields(path, row, header, line):
    """Return the fields of a row by column; empty ones at its end may be too many."""
    if len(row) > len(header) and not any(row[len(header) :]):
        row = row[: len(header)]
    if len(row) != len(header):
        raise ValueError(
            f"{path}, line {line}: {len(header)} fields are expected, as in the "
            f"header; got {len(row)}. {_REMEDY}"
        )
    return dict(zip(header, row, strict=True))


# JSON


def _json_lines(path, text):
    """Return the keys of the first object, and (line, object) of each line."""
    records = []
    for line, one in enumerate(text.split("\n"), 1):
        if not one.strip():
            continue
        try:
            record = json.loads(one)
        except ValueError as error:
            raise ValueError(
                f"{path}, line {line}: not JSON ({error}). {_REMEDY}"
            ) from None
        if not isinstance(record, dict):
            raise ValueError(
                f"{path}, line {line}: an object is expected, such as "
                f'{{"text": "..."}}; got {one.strip()[:40]}.'
            )
        records.append((line, record))
    return Table(list(records[0][1]) if records else [], records, "line")


def _json_array(path, text):
    """Return the keys of the first object of an array, and (number, object) of each."""
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"{path}, line {getattr(error, 'lineno', 1)}"
        raise ValueError(f"{where}: not JSON ({error}). {_REMEDY}") from None
    if not isinstance(records, list):
        raise ValueError(
            f"{path}, line 1: an array of objects is expected, such as "
            f'[{{"text": "..."}}]; got {text.strip()[:40]}. One a line is .jsonl.'
        )
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict):
            raise ValueError(
                f"{path}, record {number}: an object is expected, such as "
                f'{{"text": "..."}}; got {json.dumps(record)[:40]}.'
            )
    columns = list(records[0]) if records else []
    return Table(columns, list(enumerate(records, 1)), "record")


# Spreadsheets and Parquet


def _imported(name, path, extra):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Refused(
            f"reading {path} needs {name}: pip install 'sklearn-masked[{extra}]'"
        ) from None


def _sheet(path):
    """Return the rows of the first sheet; numbers without decimals are whole ones."""
    openpyxl = _imported("openpyxl", path, "xlsx")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = list(book.worksheets[0].iter_rows(values_only=True))
        names = book.sheetnames
        book.close()
    except Exception as error:  # a damaged archive may raise anything
        raise ValueError(
            f"{path} is no whole .xlsx file ({error}). {_REMEDY}"
        ) from None
    if len(names) > 1:
        note(f"{path} is read from its first sheet, {names[0]!r}.")
    if not rows:
        raise ValueError(f"{path} is empty; a header and texts are expected.")
    header = checked_header(path, map(_cell_text, rows[0]), "row 1")
    records = []
    for number, row in enumerate(rows[1:], 2):
        fields = [_cell_text(value) for value in row[: len(header)]]
        if any(fields):
            fields += [""] * (len(header) - len(fields))
            records.append((number, dict(zip(header, fields, strict=True))))
    return Table(header, records, "row")


def _cell_text(value):
    """Return a cell of a sheet as text, "" if it is empty."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def _parquet(path):
    parquet = _imported("pyarrow.parquet", path, "parquet")
    try:
        table = parquet.read_table(path)
    except Exception as error:  # pyarrow's errors have no common base
        raise ValueError(
            f"{path} is no whole Parquet file ({error}). {_REMEDY}"
        ) from None
    header = checked_header(path, table.column_names, "its schema")
    return Table(header, list(enumerate(table.to_pylist(), 1)), "row")
