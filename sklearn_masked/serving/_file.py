"""The file of a predictor: arrays and JSON, in the layout of safetensors.

Eight bytes hold the length of the header, the header is JSON that names the type, the
shape and the place of each array, and the arrays follow without a gap. The model is a
tree of parts, described by JSON in the header's metadata. Nothing in it is a program.
"""

import hashlib
import json
import math
from dataclasses import dataclass, field

import numpy as np

from .._version import __version__
from ..exceptions import ServedFileError

FORMAT, VERSION = "sklearn_masked.serving", 1
# As the safetensors library has it.
_LARGEST_HEADER = 100_000_000
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_NO_CHECKSUM = "0" * 64
_REQUIRED = object()


@dataclass
class Part:
    """A part of a model as it stands in a file."""

    kind: str  # the class that reads it
    settings: dict = field(default_factory=dict)  # numbers, strings and booleans
    arrays: dict = field(default_factory=dict)
    # Lists of strings and numbers that are too long for the header.
    lists: dict = field(default_factory=dict)
    parts: list = field(default_factory=list)  # that it consists of
    weights: tuple = ()  # arrays that may be stored with fewer bits; not written

    def setting(self, name, *types, among=None):
        """Return a setting of one of these types, and among these values."""
        value = self.settings[name]
        # True is an int to Python.
        if type(value) not in types or (among is not None and value not in among):
            self.refuse(f"`{name}` is {value!r}")
        return value

    def array(self, name, shape, dtype="<f4", default=_REQUIRED):
        """Return an array of this shape, of which None fits any length, and dtype.

        Float16 becomes float32, in which it is computed with.
        """
        if name not in self.arrays and default is not _REQUIRED:
            return default
        array = self.arrays[name]
        if array.dtype == np.float16 and np.dtype(dtype).kind == "f":
            array = array.astype(np.float32)
        fits = len(array.shape) == len(shape) and all(
            wanted is None or size == wanted
            for size, wanted in zip(array.shape, shape, strict=True)
        )
        if not fits or array.dtype.kind != np.dtype(dtype).kind:
            self.refuse(f"`{name}` is {array.dtype} of shape {array.shape}")
        return array

    def positions(self, name, shape, below):
        """Return an array of integers from 0 to below one number."""
        array = self.array(name, shape, "<i8")
        if array.size and not (0 <= array.min() and array.max() < below):
            self.refuse(f"`{name}` names a place outside of 0 to {below - 1}")
        return array

    def starts(self, name, n, end):
        """Return where each of n ranges starts, and where the last one ends."""
        array = self.array(name, (n + 1,), "<i8")
        if array[0] != 0 or array[-1] != end or (np.diff(array) < 0).any():
            self.refuse(f"`{name}` does not rise from 0 to {end}")
        return array

    def strings(self, name):
        """Return a list of strings."""
        strings = self.lists[name]
        if not all(type(string) is str for string in strings):
            self.refuse(f"`{name}` holds what is no string")
        return strings

    def refuse(self, why):
        """Raise the error of a file that does not hold what it must."""
        raise ServedFileError(f"the {self.kind} in it cannot be read: {why}")


def pack(part):
    """Return the header of a file, bytes, and the arrays that follow it."""
    arrays = {}
    metadata = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "library_version": __version__,
        "model": json.dumps(_describe(part, arrays, "")),
        "sha256": _NO_CHECKSUM,
    }
    table, end = {"__metadata__": metadata}, 0
    # Long numbers first, so that all of them are aligned.
    arrays = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        kind = _NAMES[array.dtype]
        shape = list(array.shape)
        table[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    header = json.dumps(table).encode()
    header += b" " * (-len(header) % 8)
    checksum = hashlib.sha256(header)
    for array in arrays.values():
        checksum.update(array)
    header = header.replace(_NO_CHECKSUM.encode(), checksum.hexdigest().encode(), 1)
    return len(header).to_bytes(8, "little") + header, list(arrays.values())


def _describe(part, arrays, prefix):
    """Return the JSON of a part, and put its arrays beside those of the others."""
    for name, array in part.arrays.items():
        array = np.ascontiguousarray(array)
        arrays[prefix + name] = array.astype(array.dtype.newbyteorder("<"), copy=False)
    for name, values in part.lists.items():
        text = json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass")
        arrays[prefix + name] = np.frombuffer(text, np.uint8)
    return {
        "kind": part.kind,
        "settings": part.settings,
        "arrays": list(part.arrays),
        "lists": list(part.lists),
        "parts": [
            _describe(inner, arrays, f"{prefix}{place}.")
            for place, inner in enumerate(part.parts)
        ],
    }


def unpack(data):
    """Return the model in the bytes of a file, and the version that wrote it.

    Arrays of the model are views of the bytes.
    """
    header, start = _header(data)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise ServedFileError("it is not a file that `serving.export` wrote")
    version = metadata.get("library_version")
    if metadata.get("format_version") != str(VERSION):
        raise ServedFileError(
            f"it has the format {metadata.get('format_version')} of sklearn_masked "
            f"{version}, and this is sklearn_masked {__version__}, which reads format "
            f"{VERSION}; upgrade, or export the model again"
        )
    places = _places(header, len(data) - start)
    _check_sum(data, start, metadata.get("sha256"))
    tensors = {
        name: _view(data[start + offset :], dtype, shape)
        for name, (dtype, shape, offset) in places.items()
    }
    part = _build(json.loads(metadata["model"]), tensors, "")
    if tensors:
        raise ServedFileError(f"its model has no place for the array {min(tensors)}")
    return part, version


def _header(data):
    """Return the header as a dict, and where the arrays begin."""
    length = int.from_bytes(data[:8].tobytes(), "little")
    if len(data) < 8 or length > min(len(data) - 8, _LARGEST_HEADER):
        raise ServedFileError("it is truncated, or not a file of a served model")
    # Of bytes, json would guess the encoding, and import what decodes it.
    header = json.loads(data[8 : 8 + length].tobytes().decode())
    if not isinstance(header, dict):
        raise ServedFileError("it is not a file that `serving.export` wrote")
    return header, 8 + length


def _places(header, size):
    """Return dtype, shape and offset of each array: together they must be the file."""
    places, end = {}, 0
    for name, entry in header.items():
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), entry["shape"]
        if any(type(length) is not int or length < 0 for length in shape):
            raise ServedFileError(f"the array {name} has the shape {shape}")
        # Python's integers: no product is too large for them.
        n_bytes = math.prod(shape) * dtype.itemsize
        if entry["data_offsets"] != [end, end + n_bytes] or end + n_bytes > size:
            raise ServedFileError(f"it is truncated, or the array {name} is misplaced")
        places[name] = dtype, tuple(shape), end
        end += n_bytes
    if end != size:
        raise ServedFileError(f"it has {size - end} bytes after the last array")
    return places


def _view(data, dtype, shape):
    """Return the array that begins with these bytes, aligned."""
    array = data[: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
    return array if array.flags.aligned else array.copy()


def _check_sum(data, start, expected):
    """Raise unless the bytes are those that were written."""
    header = data[8:start].tobytes()
    plain = header.replace(str(expected).encode(), _NO_CHECKSUM.encode(), 1)
    found = hashlib.sha256(plain)
    found.update(data[start:])
    if found.hexdigest() != expected:
        raise ServedFileError("its checksum is not that of its content: it was changed")


def _build(model, tensors, prefix):
    """Return the part that JSON describes, and take its arrays out of `tensors`."""
    arrays = {name: tensors.pop(prefix + name) for name in model["arrays"]}
    lists = {}
    for name in model["lists"]:
        text = tensors.pop(prefix + name).tobytes().decode("utf-8", "surrogatepass")
        lists[name] = json.loads(text)
        if not isinstance(lists[name], list):
            raise ServedFileError(f"{name} is not a list")
    parts = [
        _build(inner, tensors, f"{prefix}{place}.")
        for place, inner in enumerate(model["parts"])
    ]
    if not isinstance(model["settings"], dict):
        raise ServedFileError("the settings of a part are not a JSON object")
    return Part(str(model["kind"]), model["settings"], arrays, lists, parts)
