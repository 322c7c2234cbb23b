"""What can go wrong with a folder of answers, by name."""


class AnswerNotSavedError(OSError):
    """An answer or a batch could not be written; the folder is as it was before."""


class DamagedLogError(ValueError):
    """A file of answers holds something that the loop did not write there."""


class FolderInUseError(RuntimeError):
    """Another process works with the folder."""


class TornAnswerWarning(UserWarning):
    """The last line was cut short by a crash, and is set aside: nobody relied on it."""


class ModelNotSavedWarning(UserWarning):
    """A model could not be written; the answers are not concerned."""


class UnreadableModelWarning(UserWarning):
    """A saved model could not be read; the answers are not concerned."""


class UnknownSeedWarning(UserWarning):
    """The seeds of a label share no word with the texts of the pool."""
