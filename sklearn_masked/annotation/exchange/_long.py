"""Long form: a line a decision, as CSV or as JSON lines.

The fields are `sample`, `label` and `value`, and, where known, `annotator`,
`timestamp` and `weight`; others are passed over. A cell without a line is unlabeled.
"""

import csv

from ._choice import ANSWERS, NO, YES
from ._decode import iter_lines, write_line
from ._decode import iter_records as iter_json
from ._entries import record_id, record_name, record_time, record_weight, short
from ._form import Form
from ._rows import iter_records

FIELDS = ("sample", "label", "value", "annotator", "timestamp", "weight")
_NEEDED = FIELDS[:3]
_WORDS = {1: YES, 0: NO, None: "skip"}
SKIP = "skip"
# An empty value is a cell that was sent out and has not been answered.
_OPEN = "open"
_JSON_VALUES = {**ANSWERS, SKIP: -1}
_CSV_VALUES = {
    **dict.fromkeys(("1", "1.0", "true", "yes"), 1),
    **dict.fromkeys(("0", "0.0", "false", "no"), 0),
    SKIP: -1,
    "": _OPEN,
}


def _read_csv(file, place, columns, reading):
    """Fill columns from CSV."""
    names = _names(reading.columns)
    rows = _rows(file, place, reading.delimiter)
    header, where = next(rows, (None, None))
    if header is None:
        needed = ", ".join(map(repr, (names[name] for name in _NEEDED)))
        raise ValueError(
            f"{place.name}, line 1: expected a header with {needed}; got an empty file."
        )
    pick = _positions(header, names, where)
    meanings = {**_CSV_VALUES, **reading.values}
    for row, where in rows:
        if len(row) != len(header):
            raise ValueError(
                f"{where()}: expected {len(header)} fields, as in the header; got "
                f"{len(row)}. Mend the row, or export the file again."
            )
        columns.n_records += 1
        value = row[pick["value"]].strip().lower()
        if value not in meanings:
            _refuse_value(row[pick["value"]], names["value"], where)
        field = {name: row[i] for name, i in pick.items()}
        _add(columns, field, meanings[value], names, reading, where)


def _rows(file, place, delimiter):
    """Yield the rows that are not blank, each with where it begins."""
    rows = csv.reader(iter_lines(file, place), delimiter=delimiter, strict=True)
    while True:
        where = _At(place.name, place.line + 1)
        try:
            row = next(rows, None)
        except csv.Error as error:
            _refuse_row(error, where)
        if row is None:
            return
        if row:
            yield row, where


def _refuse_row(error, where):
    remedy = "Mend the row, or export the file again."
    if "field larger" in str(error):
        remedy = "If not, and texts are that long, raise csv.field_size_limit."
    raise ValueError(
        f"{where()}: expected a row of CSV; got what is none ({error}). Is a quote "
        f"missing? {remedy}"
    ) from None


class _At:
    """The line on which a row begins, which may be above where the reader is."""

    def __init__(self, name, number):
        self.name = name
        self.number = number

    def __call__(self):
        return f"{self.name}, line {self.number}"


def _names(given):
    names = {name: name for name in FIELDS}
    for name, field in (given or {}).items():
        if name not in names or not isinstance(field, str):
            raise ValueError(
                f"`columns` accepts names of fields of the file under {FIELDS}; got "
                f"{field!r} under {name!r}."
            )
        names[name] = field
    return names


def _positions(header, names, where):
    pick = {}
    for name, field in names.items():
        if header.count(field) > 1:
            raise ValueError(
                f"{where()}: expected each column once in the header; got {field!r} "
                "twice."
            )
        if field in header:
            pick[name] = header.index(field)
        elif name in _NEEDED:
            for mark in ";\t|":
                if len(header) == 1 and mark in header[0]:
                    raise ValueError(
                        f"{where()}: expected fields with commas between them; got "
                        f"{short(header[0])}. Pass delimiter={mark!r}."
                    )
            raise ValueError(
                f"{where()}: expected a header with a column {field!r}; got "
                f"{short(header)}. Pass columns={{{name!r}: ...}} for another name."
            )
    return pick


def _refuse_value(value, field, where):
    raise ValueError(
        f"{where()}: expected 'yes', 'no' or 'skip' (or 1, 0) in {field!r}, or nothing "
        f"where nobody has answered; got {short(value)}. Pass values={{...}} for other "
        "words."
    )


def _add(columns, field, value, names, reading, where):
    sample = record_id(field.get("sample"), names["sample"], where)
    label = field.get("label")
    if value != -1 or label not in ("", None):
        label = record_name(label, f"a label in {names['label']!r}", where)
    else:
        label = None
    annotator = field.get("annotator")
    if annotator in ("", None):
        annotator = reading.annotator
    else:
        annotator = record_name(
            annotator, f"an annotator in {names['annotator']!r}", where
        )
    time = record_time(field.get("timestamp"), names["timestamp"], where)
    weight = record_weight(field.get("weight"), names["weight"], where)
    if value is _OPEN:
        columns.n_not_reviewed += 1
        return
    cells = ((label, value),)
    columns.answer(sample, cells, where.number, annotator, time, weight)


def _read_jsonl(file, place, columns, reading):
    """Fill columns from JSON lines."""
    names = _names(reading.columns)
    for record in iter_json(file, place):
        columns.n_records += 1
        for name in _NEEDED:
            if names[name] not in record:
                raise ValueError(
                    f"{place()}: expected a field {names[name]!r}; got "
                    f"{short(list(record))}. Pass columns={{{name!r}: ...}} for "
                    "another name."
                )
        value = record[names["value"]]
        field = {name: record.get(names[name]) for name in FIELDS}
        value = _json_value(value, names["value"], place, reading.values)
        _add(columns, field, value, names, reading, place)


def _json_value(value, field, where, meanings):
    if value is None:
        return _OPEN
    if type(value) is str and value.strip().lower() in meanings:
        return meanings[value.strip().lower()]
    if type(value) in (bool, int, float) and value in (0, 1):
        return int(value)
    if type(value) is str and value in _JSON_VALUES:
        return _JSON_VALUES[value]
    return _refuse_value(value, field, where)


def _write_csv(annotations, file, texts):
    """Write answers as CSV."""
    fields = _fields(annotations)
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(fields + ([] if texts is None else ["text"]))
    for record in _plain(annotations):
        row = [record.get(name, "") for name in fields]
        row[1] = "" if row[1] is None else row[1]
        writer.writerow(row + ([] if texts is None else [texts[record["sample"]]]))


def _write_jsonl(annotations, file, texts):
    """Write answers as JSON lines."""
    for record in _plain(annotations):
        if texts is not None:
            record["text"] = texts[record["sample"]]
        write_line(file, record)


def _fields(annotations):
    return [name for name in FIELDS if name in _NEEDED or annotations._has(f"{name}s")]


def _plain(annotations):
    """Yield records whose fields are text and numbers."""
    for record in iter_records(annotations):
        record["value"] = _WORDS[record["value"]]
        if "timestamp" in record:
            time = record["timestamp"].isoformat()
            record["timestamp"] = time.replace("+00:00", "Z")
        yield record


def _query_csv(cells, file):
    """Write cells to be answered as CSV: fill in the values."""
    writer = csv.writer(file, lineterminator="\r\n")
    fields = ["sample", "label", "value", "probability", "text"]
    for i, cell in enumerate(cells):
        if not i:
            # All cells have a text, or none.
            fields = fields if "text" in cell else fields[:-1]
            writer.writerow(fields)
        row = [cell.get(name) for name in fields]
        writer.writerow(["" if value is None else value for value in row])


def _query_jsonl(cells, file):
    """Write cells to be answered as JSON lines: fill in the values."""
    for cell in cells:
        record = {"sample": cell["sample"], "label": cell["label"], "value": None}
        more = {name: cell[name] for name in ("probability", "text") if name in cell}
        write_line(file, record | more)


CSV = Form(
    _read_csv,
    _write_csv,
    _query_csv,
    accepts=frozenset({"columns", "annotator", "delimiter", "values"}),
)
JSONL = Form(
    _read_jsonl,
    _write_jsonl,
    _query_jsonl,
    accepts=frozenset({"columns", "annotator", "values"}),
)
