"""Records of a file, one at a time, each with the place where it stands."""

import codecs
import contextlib
import json
import os

_CHUNK = 1 << 16
# A record that has not ended by then never will: a quote or a brace is missing.
_LONGEST = 1 << 26
_TAIL = 16  # characters: a number or a literal that the buffer's end cuts
_SPACE = " \t\r\n"


class Place:
    """Where the reader is: called, it gives the words for a message."""

    def __init__(self, name):
        self.name = name
        self.line = 0
        self.record = None  # its number, from 1, in a JSON array

    @property
    def number(self):
        """Number of the record, in a JSON array, or else of its line."""
        return self.line if self.record is None else self.record

    @property
    def unit(self):
        """What the number counts."""
        return "line" if self.record is None else "record"

    def __call__(self):
        """Return the words for a message."""
        if self.record is None:
            return f"{self.name}, line {self.line}"
        return f"{self.name}, record {self.record} (line {self.line})"


def source_name(source):
    """Return the name of a path or of an open file."""
    if isinstance(source, str | os.PathLike):
        return os.path.basename(os.fspath(source)) or os.fspath(source)
    name = getattr(source, "name", None)
    return os.path.basename(name) if isinstance(name, str) else "<source>"


@contextlib.contextmanager
def opened(source):
    """Yield an open file: bytes of a path, or an open file as it is."""
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            yield file
        return
    if not hasattr(source, "read") or not hasattr(source, "readline"):
        raise TypeError(
            f"`source` accepts a path or an open file; got {type(source).__name__}."
        )
    yield source


def refuse_encoding(where, error):
    raise ValueError(
        f"{where}: expected text in UTF-8; got the byte "
        f"0x{error.object[error.start]:02x} where none can stand. Save the file as "
        "UTF-8."
    ) from None


# What files begin with that are no text in UTF-8.
_STARTS = {
    codecs.BOM_UTF16_LE: "text in UTF-16. Save the file as UTF-8",
    codecs.BOM_UTF16_BE: "text in UTF-16. Save the file as UTF-8",
    b"PK\x03\x04": "a zip archive. Unpack it, and read the file inside",
    b"\x1f\x8b": "a gzip archive. Unpack it first",
}


def _refuse_start(name, start):
    """Raise if the first bytes of a file are those of something else."""
    for mark, what in _STARTS.items():
        if start.startswith(mark):
            raise ValueError(f"{name}, line 1: expected text in UTF-8; got {what}.")
    if b"\x00" in start[:4]:
        raise ValueError(
            f"{name}, line 1: expected text in UTF-8; got zero bytes, as in UTF-16. "
            "Save the file as UTF-8."
        )


def iter_lines(file, place):
    """Yield the lines of a file as text, keeping count in place."""
    while True:
        try:
            line = file.readline(_LONGEST)
        except UnicodeDecodeError as error:
            refuse_encoding(f"{place.name}, after line {place.line}", error)
        if not line:
            return
        place.line += 1
        if len(line) >= _LONGEST:
            _refuse_length(place)
        if isinstance(line, bytes):
            if place.line == 1:
                _refuse_start(place.name, line)
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                line = line.decode()
            except UnicodeDecodeError as error:
                refuse_encoding(place(), error)
        elif place.line == 1:
            line = line.removeprefix("\ufeff")
        yield line


def _refuse_length(place):
    raise ValueError(
        f"{place()}: expected a record a line; got a line of more than "
        f"{_LONGEST >> 20} MiB. Is this the format of the file?"
    )


def _json_lines(lines, place):
    """Yield the objects of JSON lines; blank lines are passed over."""
    decode = json.JSONDecoder().decode
    for line in lines:
        if not line.strip():
            continue
        try:
            record = decode(line.rstrip())
        except (ValueError, RecursionError) as error:
            _refuse_json_line(line, error, place)
        if type(record) is not dict:
            raise ValueError(
                f"{place()}: expected a JSON object, a record a line; got "
                f"{_kind(record)}."
            )
        yield record


def _refuse_json_line(line, error, place):
    if line.lstrip().startswith("{") and not line.endswith("\n"):
        raise ValueError(
            f"{place()}: the file ends in the middle of a record. Export it again."
        ) from None
    raise ValueError(
        f"{place()}: expected a JSON object on this line; got what is no JSON "
        f"({_reason(error)}). Mend the line, or export the file again."
    ) from None


def _reason(error):
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, column {error.colno}"
    # Python reads neither at any length.
    return "nested too deeply" if isinstance(error, RecursionError) else "a long number"


def _kind(value):
    kinds = {list: "an array", dict: "an object", str: "text", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")


class _Buffer:
    """Text of a file of which only a part is held."""

    def __init__(self, file, place):
        self.file = file
        self.place = place
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.text = ""
        self.at = 0
        self.line = 1  # of self.at
        self.read = 0  # lines decoded so far
        self.ended = False

    def more(self, size=0):
        """Read on; what is done with is dropped."""
        chunk = self._chunk(max(_CHUNK, size))
        self.ended = not chunk
        self.text = self.text[self.at :] + chunk
        self.at = 0
        return not self.ended

    def _chunk(self, size):
        at_start = not self.read and not self.text
        where = f"{self.place.name}, line"
        try:
            chunk = self.file.read(size)
            if isinstance(chunk, str):
                return chunk.removeprefix("\ufeff") if at_start else chunk
            if at_start:
                _refuse_start(self.place.name, chunk)
            while True:
                text = self.decoder.decode(chunk, final=not chunk)
                if text or not chunk:
                    break
                chunk = self.file.read(size)
        except UnicodeDecodeError as error:
            line = 1 + self.read + error.object[: error.start].count(b"\n")
            refuse_encoding(f"{where} {line}", error)
        self.read += text.count("\n")
        return text

    def advance(self, to):
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def skip_space(self):
        """Go to the next character that is no space, and return it; "" at the end."""
        while True:
            rest = len(self.text)
            to = self.at
            while to < rest and self.text[to] in _SPACE:
                to += 1
            self.advance(to)
            if to < rest:
                return self.text[to]
            if not self.more():
                return ""


def iter_records(file, place):
    """Yield the objects of a JSON array, or of JSON lines if the file begins so.

    No more than one record and a piece of the file is held.
    """
    buffer = _Buffer(file, place)
    first = buffer.skip_space()
    if first == "{":
        yield from _json_lines(_lines_of(buffer, place), place)
        return
    place.line = buffer.line
    if first != "[":
        raise ValueError(
            f"{place()}: expected a JSON array of records, or a JSON object a line; "
            + (
                f"got {first!r}. Is this the format of the file?"
                if first
                else "got an empty file."
            )
        )
    buffer.advance(buffer.at + 1)
    yield from _array(buffer, place)


def _lines_of(buffer, place):
    """Yield the lines of what a buffer holds and of the file behind it."""
    place.line = buffer.line - 1
    while True:
        end = buffer.text.find("\n", buffer.at)
        if end < 0 and not buffer.ended:
            if len(buffer.text) - buffer.at > _LONGEST:
                place.line += 1
                _refuse_length(place)
            buffer.more(len(buffer.text) - buffer.at)
            continue
        line = buffer.text[buffer.at : end + 1 if end >= 0 else None]
        if not line:
            return
        buffer.advance(buffer.at + len(line))
        place.line += 1
        yield line


def _array(buffer, place):
    place.record = 0
    decoder = json.JSONDecoder()
    mark = buffer.skip_space()
    while mark != "]":
        place.record += 1
        place.line = buffer.line
        if mark != "{":
            _refuse_mark(buffer, place, mark, "a record, a JSON object")
        yield _record(buffer, place, decoder)
        mark = buffer.skip_space()
        if mark == ",":
            buffer.advance(buffer.at + 1)
            mark = buffer.skip_space()
        elif mark != "]":
            place.line = buffer.line
            _refuse_mark(buffer, place, mark, "',' or ']' after this record")
    buffer.advance(buffer.at + 1)
    mark = buffer.skip_space()
    if mark:
        place.line = buffer.line
        _refuse_mark(buffer, place, mark, "the end of the file after the array")


def _refuse_mark(buffer, place, mark, expected):
    if not mark:
        raise ValueError(
            f"{place()}: the file ends before its array does. Export it again."
        )
    raise ValueError(f"{place()}: expected {expected}; got {mark!r}.")


def _record(buffer, place, decoder):
    """Return the object that begins here, reading on until it ends."""
    while True:
        try:
            record, end = decoder.raw_decode(buffer.text, buffer.at)
        except json.JSONDecodeError as error:
            _read_on(buffer, place, error)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{place()}: expected a JSON object; got what is no JSON "
                f"({_reason(error)}). Mend it, or export the file again."
            ) from None
        else:
            buffer.advance(end)
            return record


def _read_on(buffer, place, error):
    """Read on if a record is not whole yet; raise if it never will be."""
    cut = error.msg.startswith("Unterminated string")
    cut = cut or error.pos >= len(buffer.text) - _TAIL
    size = len(buffer.text) - buffer.at
    line = place.line + buffer.text.count("\n", buffer.at, error.pos)
    if cut and size < _LONGEST and buffer.more(size):
        return
    if cut and buffer.ended and not buffer.text.rstrip().endswith("]"):
        raise ValueError(
            f"{place()}: the file ends in the middle of this record. Export it again."
        ) from None
    raise ValueError(
        f"{place()}: expected a JSON object; got what is no JSON ({error.msg}, on "
        f"line {line}). Mend it, or export the file again."
    ) from None


def write_array(file, records):
    """Write a JSON array, a record a line."""
    file.write("[")
    for i, record in enumerate(records):
        file.write(",\n" if i else "\n")
        file.write(json.dumps(record, ensure_ascii=False))
    file.write("\n]\n")


def write_line(file, record):
    """Write a JSON object on a line."""
    file.write(json.dumps(record, ensure_ascii=False) + "\n")
