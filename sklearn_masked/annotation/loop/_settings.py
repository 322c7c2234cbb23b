"""What a folder of answers is about: which samples, which labels."""

import hashlib
import json
import os
import warnings

import numpy as np
import scipy.sparse as sp

from ..._files import write_atomically
from ..._rows import count_rows
from ...exceptions import SamplesSetAsideWarning
from ...labels.names import check_same_rows

_FORMAT = 1
# The files of a folder that a loop replaces without a look at what they are.
_REPLACED = ("model.joblib", "model.json", "scores.json")
# Those that are written as a whole; the last two by the terminal program.
NAMES = ("settings.json", *_REPLACED, "answers.jsonl", "labels.csv", "written.json")


class SampleIds:
    """The ids of the rows of X: given ones, or their positions.

    Parameters
    ----------
    X : array-like, sparse matrix or list of texts
        The pool.
    sample_ids : sequence of str or int, or None
        One a row, all different.
    """

    def __init__(self, X, sample_ids):
        self.X, self.n = X, count_rows(X)
        self.given = sample_ids is not None
        self.ids = None
        self._fingerprints = {}  # reading the rows takes time
        if self.given:
            check_same_rows(X=X, sample_ids=sample_ids)
            self.ids = [_plain_id(one, row) for row, one in enumerate(sample_ids)]
            if len(self.ids) != self.n:
                raise ValueError(
                    f"`sample_ids` must name the {self.n} rows of X; got "
                    f"{len(self.ids)} ids."
                )
            self._rows = {one: row for row, one in enumerate(self.ids)}
            if len(self._rows) < self.n:
                self._refuse_repeated()

    def _refuse_repeated(self):
        for row, one in enumerate(self.ids):
            if self._rows[one] != row:
                raise ValueError(
                    f"`sample_ids` must all differ; got {one!r} for rows {row} and "
                    f"{self._rows[one]}."
                )

    def of(self, row):
        """Return the id of a row."""
        return self.ids[row] if self.given else row

    def row(self, one):
        """Return the row of an id, or None."""
        if self.given:
            return self._rows.get(one)
        known = isinstance(one, int) and 0 <= one < self.n
        return one if known else None

    def fingerprint(self, n):
        """Return a digest of the first n ids; of the rows of X, where none are given.

        Without ids, the rows alone can tell that this is another pool, or another
        order of it.
        """
        if n not in self._fingerprints:
            digest = hashlib.sha256()
            if self.given:
                for one in self.ids[:n]:
                    digest.update(json.dumps(one).encode() + b"\n")
            else:
                _digest_rows(self.X, n, digest)
            self._fingerprints[n] = digest.hexdigest()
        return self._fingerprints[n]


def _plain_id(one, row):
    if isinstance(one, np.generic):
        one = one.item()
    if isinstance(one, bool) or not isinstance(one, str | int):
        raise TypeError(
            "`sample_ids` accepts strings or integers, which a file can hold; got "
            f"{one!r} for row {row}."
        )
    return one


def _digest_rows(X, n, digest):
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    if sp.issparse(X):
        X = sp.csr_array(X)[:n]
        X.sum_duplicates()
        parts = X.indptr.astype(np.int64), X.indices.astype(np.int64), X.data
    elif isinstance(X, np.ndarray) and X.dtype.kind not in "OUS":
        parts = (np.asarray(X[:n]),)
    else:  # an array of strings is as wide as its longest: that may follow
        for row in range(n):
            one = X[row].tolist() if hasattr(X[row], "tolist") else X[row]
            text = one if isinstance(one, str) else repr(one)
            digest.update(json.dumps(text).encode() + b"\n")
        return
    for part in parts:
        digest.update(str((part.dtype.str, part.shape)).encode())
        digest.update(np.ascontiguousarray(part).tobytes())


def check_names(label_names):
    """Return names of labels as a list of str."""
    if isinstance(label_names, str):
        raise TypeError(
            f"`label_names` accepts a sequence of names; got the string "
            f"{label_names!r}."
        )
    names = [str(one) if isinstance(one, np.str_) else one for one in label_names]
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"`label_names` accepts names that are text; got {name!r}.")
        if names.count(name) > 1:
            raise ValueError(f"`label_names` must all differ; got {name!r} twice.")
    if not names:
        raise ValueError("`label_names` accepts one name or more; got none.")
    return names


def check_new(folder):
    """Raise if a folder that has no settings has files that a loop would replace."""
    log = folder / "answers.jsonl"
    if log.exists() and log.stat().st_size:
        raise ValueError(
            f"The folder {folder} has answers.jsonl without settings.json: which "
            "samples and labels it speaks of is unknown. Restore settings.json from a "
            "copy; nothing was changed."
        )
    # What a crash leaves while a folder is made is gone on with.
    for name in _REPLACED:
        if os.path.lexists(folder / name):
            raise ValueError(
                f"`folder` accepts a new folder, one without the names of a loop's "
                f"files, or one of a loop; {folder} has {name} and no settings.json. "
                "Nothing was changed."
            )


def tell_set_aside(folder, ids, has_others):
    """Warn of samples with answers that a pool lacks; raise if it lacks all of them."""
    if not ids:
        return
    if not has_others:
        raise ValueError(
            f"`sample_ids` must have a sample with an answer in the folder {folder}, "
            f"such as {ids[0]!r}; got none of {len(ids)}. Another pool needs another "
            "folder."
        )
    warnings.warn(
        f"The pool lacks {len(ids)} of the samples with answers in {folder}, such as "
        f"{ids[0]!r}. Their answers are set aside: the log keeps them, and they count "
        "again in a pool that has these ids.",
        SamplesSetAsideWarning,
        stacklevel=4,
    )


class Settings:
    """The file of settings of a folder."""

    def __init__(self, folder):
        self.path = folder / "settings.json"
        self.values = self._read()

    def _read(self):
        if not self.path.exists():
            return None
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
            found = values["format"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{self.path} is not the settings file of a labeling loop; nothing was "
                "changed."
            ) from None
        if found != _FORMAT:
            raise ValueError(
                f"{self.path} is of format {found!r}, and this version reads "
                f"{_FORMAT}; nothing was changed."
            )
        return values

    def check(self, samples, names):
        """Raise unless the folder is about these samples and labels, or the first ones.

        Parameters
        ----------
        samples : SampleIds
            The pool; without ids, the folder's may be its beginning.
        names : list of str
            The labels; the folder's may be the first of them.
        """
        mine = self.values
        if mine["label_names"] != names[: len(mine["label_names"])]:
            raise ValueError(
                "`label_names` must begin with those of the folder "
                f"{self.path.parent}, {_shown(mine['label_names'])} (more may follow); "
                f"got {_shown(names)}. Other labels need another folder; "
                "`LabelingLoop.rename_label` and `drop_label` change those of this one."
            )
        if mine["ids_given"] != samples.given:
            had, got = ("with", "without") if mine["ids_given"] else ("without", "with")
            raise ValueError(
                f"The folder {self.path.parent} was made {had} `sample_ids`, and is "
                f"opened {got} them: its answers cannot be joined to the rows."
            )
        n = mine["n_samples"]
        # With ids, answers are joined by them: order and other samples do not matter.
        if not samples.given and (
            samples.n < n or samples.fingerprint(n) != mine["samples"]
        ):
            raise ValueError(
                f"`X` must begin with the {n} samples of the folder "
                f"{self.path.parent}, in their order (more may follow); got "
                f"{samples.n} samples that are others. Another pool needs another "
                "folder; with `sample_ids` order and other samples do not matter."
            )

    def write(self, samples, names, **others):
        """Write the file if it is not already as it should be."""
        values = {
            "format": _FORMAT,
            "n_samples": samples.n,
            "ids_given": samples.given,
            "samples": samples.fingerprint(samples.n),
            "label_names": names,
            **others,
        }
        if "changes" in (self.values or {}):
            values["changes"] = self.values["changes"]
        if values != self.values:
            self.rewrite(values)

    def rewrite(self, values):
        """Write these values."""
        text = json.dumps(values, indent=1).encode()
        write_atomically(self.path, lambda file: file.write(text + b"\n"))
        self.values = values


def _shown(names):
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
