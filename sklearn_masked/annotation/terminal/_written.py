"""Tell the files that this program wrote last from those of somebody else."""

import hashlib
import json
import os

from ..._files import read_json, write_atomically


class Written:
    """Digests of the files that were written from the answers of a folder.

    They are in `written.json` of the folder, by path, or by name within the folder. A
    file that was changed since, or that somebody else put there, is not known.

    Parameters
    ----------
    folder : Path
        Of a loop that is open, so that nobody else writes to it.
    """

    def __init__(self, folder):
        self._folder = os.path.realpath(folder)
        self._path = folder / "written.json"
        digests = read_json(self._path)
        self._digests = digests if isinstance(digests, dict) else {}

    def knows(self, path):
        """Tell whether a file is as it was written last."""
        return self._digests.get(self._name(path), "") == _digest(path)

    def note(self, path):
        """Take note of a file that was just written.

        Raises
        ------
        OSError
            If that could not be saved; the file will not be known then.
        """
        self._digests[self._name(path)] = _digest(path)
        text = json.dumps(self._digests, indent=1).encode() + b"\n"
        write_atomically(self._path, lambda file: file.write(text))

    def _name(self, path):
        path = os.path.realpath(path)
        folder, name = os.path.split(path)
        return name if folder == self._folder else path


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
