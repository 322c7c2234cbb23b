"""Vectors of texts on disk: a SQLite file per encoder, a row per text."""

import contextlib
import hashlib
import sqlite3
from pathlib import Path

import numpy as np

# Texts that one query asks for: SQLite takes a bounded number of parameters.
_ASKED = 500
# Seconds to wait for another process that writes to the same file.
_PATIENCE = 60.0


class VectorCache:
    """The vectors that an encoder gave, by the digest of the text.

    Several processes may use one folder at the same time.
    """

    def __init__(self, folder, identity):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{_digest(identity).hex()[:32]}.sqlite"

    def read(self, texts):
        """Return {text: vector} of those texts that are here."""
        by_key = {_digest(text): text for text in texts}
        keys, found = list(by_key), {}
        with self._opened() as database:
            for start in range(0, len(keys), _ASKED):
                asked = keys[start : start + _ASKED]
                marks = ",".join("?" * len(asked))
                query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"
                for key, vector in database.execute(query, asked):
                    found[by_key[key]] = np.frombuffer(vector, "<f4")
        return found

    def write(self, texts, vectors):
        """Keep the vectors of some texts."""
        rows = vectors.astype("<f4", copy=False)
        pairs = zip(map(_digest, texts), (row.tobytes() for row in rows), strict=True)
        with self._opened() as database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", pairs)

    @contextlib.contextmanager
    def _opened(self):
        """Open the file for one transaction, which an error undoes."""
        try:
            connection = sqlite3.connect(self.file, timeout=_PATIENCE)
            with contextlib.closing(connection), connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vectors "
                    "(key BLOB PRIMARY KEY, vector BLOB)"
                )
                yield connection
        except sqlite3.OperationalError as error:  # a full disk, a lock
            raise OSError(
                f"`cache` could not be used: {error}, of {self.file}."
            ) from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"`cache` holds a file that is damaged or not its own: {error}, of "
                f"{self.file}; delete that file, and the texts are encoded again."
            ) from error


def _digest(text):
    # A lone surrogate, which a decoder may leave in a text, is no UTF-8 otherwise.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
