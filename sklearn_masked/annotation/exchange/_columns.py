"""Columns that grow a record at a time and stay small: codes instead of strings."""

from array import array

import numpy as np

_FLUSH = 1 << 16
NO_TIME = np.iinfo(np.int64).min  # what numpy calls NaT


class Names:
    """Few different strings, each with a code: labels, annotators."""

    def __init__(self):
        self.codes = {}

    def code(self, name):
        """Return the code of a string, -1 for None."""
        if name is None:
            return -1
        return self.codes.setdefault(name, len(self.codes))

    def finish(self):
        """Return the strings in the order of their codes, as an object array."""
        return np.fromiter(self.codes, dtype=object, count=len(self.codes))


class Strings:
    """Many strings in one run of bytes, read by position."""

    def __init__(self, blob, ends):
        self.blob = blob
        self.ends = ends

    def __len__(self):
        return len(self.ends)

    def __getitem__(self, i):
        start = int(self.ends[i - 1]) if i else 0
        return self.blob[start : int(self.ends[i])].decode()

    def __iter__(self):
        start = 0
        for end in self.ends.tolist():
            yield self.blob[start:end].decode()
            start = end


class Ids:
    """Ids of samples, of which there may be as many as records.

    A dict of a million strings takes more memory than the file they came from. Here
    they are bytes on end; equal ones are found by sorting their hashes.
    """

    def __init__(self):
        self._pending = []
        self._blob = bytearray()
        self._lengths = array("i")
        self._hashes = array("q")

    def append(self, sample):
        """Add the id of one entry."""
        self._pending.append(sample)
        if len(self._pending) == _FLUSH:
            self._flush()

    def _flush(self):
        encoded = [sample.encode() for sample in self._pending]
        self._blob += b"".join(encoded)
        self._lengths.extend(map(len, encoded))
        self._hashes.extend(map(hash, encoded))
        self._pending.clear()

    def finish(self):
        """Return the different ids in the order of their coming, and int32 codes."""
        self._flush()
        hashes, lengths = np.array(self._hashes), np.array(self._lengths)
        self._hashes = self._lengths = None
        ends = np.cumsum(lengths, dtype=np.int64)
        blob = bytes(self._blob)
        self._blob = None
        if not len(hashes):
            return Strings(blob, ends), np.empty(0, np.int32)
        codes, first = _equal_ones(hashes)
        if not _are_equal(blob, ends, lengths, first[codes]):
            return _by_dict(Strings(blob, ends))
        return _chosen(blob, ends, lengths, first), codes


def _equal_ones(hashes):
    """Return codes of equal hashes by first coming, and where each came first."""
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    new = np.append(True, hashes[1:] != hashes[:-1])
    first = order[new]  # the sort is stable
    by_coming = np.argsort(first)
    rank = np.empty(len(first), np.int32)
    rank[by_coming] = np.arange(len(first), dtype=np.int32)
    codes = np.empty(len(order), np.int32)
    codes[order] = rank[np.cumsum(new, dtype=np.int32) - 1]
    return codes, first[by_coming]


def _are_equal(blob, ends, lengths, other):
    """Return whether every string equals the other one it is said to equal."""
    repeated = np.flatnonzero(other != np.arange(len(other)))
    bytes_ = np.frombuffer(blob, np.uint8)
    for start in range(0, len(repeated), _FLUSH):
        mine = repeated[start : start + _FLUSH]
        theirs = other[mine]
        if not np.array_equal(lengths[mine], lengths[theirs]):
            return False
        here = _spans(ends[mine] - lengths[mine], lengths[mine])
        there = _spans(ends[theirs] - lengths[theirs], lengths[mine])
        if not np.array_equal(bytes_[here], bytes_[there]):
            return False
    return True


def _spans(starts, lengths):
    """Return the positions of all bytes of spans, one span after the other."""
    stops = np.cumsum(lengths)
    total = int(stops[-1]) if len(stops) else 0
    return np.arange(total) + np.repeat(starts - stops + lengths, lengths)


def _chosen(blob, ends, lengths, kept):
    """Return some of the strings."""
    if len(kept) == len(ends):
        return Strings(blob, ends)
    bytes_ = np.frombuffer(blob, np.uint8)
    parts = []
    for start in range(0, len(kept), _FLUSH):
        some = kept[start : start + _FLUSH]
        parts.append(bytes_[_spans(ends[some] - lengths[some], lengths[some])])
    kept_ends = np.cumsum(lengths[kept], dtype=np.int64)
    return Strings(np.concatenate(parts).tobytes(), kept_ends)


def _by_dict(strings):
    """Do the same where two different strings have one hash."""
    names = Names()
    codes = np.fromiter(map(names.code, strings), np.int32, len(strings))
    encoded = [name.encode() for name in names.codes]
    ends = np.cumsum([len(one) for one in encoded], dtype=np.int64)
    return Strings(b"".join(encoded), ends), codes


class Columns:
    """What a reader fills: entries (one answer of one annotator), and their cells."""

    def __init__(self):
        self.ids = Ids()
        self.labels = Names()
        self.annotators = Names()
        self.annotator_codes = array("i")
        self.times = array("q")
        self.weights = array("d")
        self.numbers = array("i")
        self.counts = array("i")
        self.label_codes = array("i")
        self.values = array("b")
        self.n_records = 0
        self.n_not_reviewed = 0
        self._has_times = self._has_weights = False

    def answer(self, sample, cells, number, annotator=None, time=None, weight=None):
        """Add an entry: cells are tuples of label and value (1, 0, -1 skipped)."""
        self.ids.append(sample)
        self.annotator_codes.append(self.annotators.code(annotator))
        self.numbers.append(number)
        self.counts.append(len(cells))
        self._optional(time, weight)
        for label, value in cells:
            self.label_codes.append(self.labels.code(label))
            self.values.append(value)

    def _optional(self, time, weight):
        # These columns stay empty until a record has one.
        done = len(self.counts) - 1
        if time is not None and not self._has_times:
            self._has_times = True
            self.times.extend([NO_TIME] * done)
        if weight is not None and not self._has_weights:
            self._has_weights = True
            self.weights.extend([1.0] * done)
        if self._has_times:
            self.times.append(NO_TIME if time is None else time)
        if self._has_weights:
            self.weights.append(1.0 if weight is None else weight)

    def finish(self, source, unit=None):
        """Return the parts of Annotations, and let go of what they came from."""
        ids, codes = self.ids.finish()
        counts = np.array(self.counts)
        entry = None
        if not (counts == 1).all():
            entry = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        return {
            "ids": ids,
            "id_codes": codes,
            "label_names": self.labels.finish(),
            "label_codes": np.array(self.label_codes),
            "values": np.array(self.values),
            "annotator_names": self.annotators.finish(),
            "annotator_codes": np.array(self.annotator_codes),
            "times": np.array(self.times) if self._has_times else None,
            "weights": np.array(self.weights) if self._has_weights else None,
            "numbers": None if unit is None else np.array(self.numbers),
            "unit": unit,
            "entry": entry,
            "n_records": self.n_records,
            "n_not_reviewed": self.n_not_reviewed,
            "source": source,
        }
