"""Labels that are renamed or dropped: what older lines of a log mean by their names."""

import uuid

from ._answers import now
from ._lock import FolderLock
from ._log import AnswerLog
from ._settings import Settings

# Files about the labels as they were.
_STALE = ("model.joblib", "model.json", "scores.json")


def change_label(folder, name, new):
    """Rename a label of a folder, or drop it if `new` is None."""
    lock = FolderLock(folder)
    try:
        settings = Settings(folder)
        if settings.values is None:
            raise FileNotFoundError(
                f"`folder` must be that of a labeling loop; {folder} has no "
                "settings.json."
            )
        values = settings.values
        _check(values, name, new)
        if new is None:
            for stale in _STALE:
                (folder / stale).unlink(missing_ok=True)
        what = {"dropped": name} if new is None else {"renamed": [name, new]}
        change = {"id": uuid.uuid4().hex, **what, "time": now()}
        # The settings first: a change that the log lacks is added when it is opened.
        settings.rewrite(
            {
                **values,
                **_related(values, name, new),
                "changes": [*values.get("changes", []), change],
            }
        )
        log = AnswerLog(folder / "answers.jsonl", is_new=False)
        try:
            record_changes(log, settings.values)
        finally:
            log.close()
    finally:
        lock.close()


def record_changes(log, values):
    """Append the changes of the settings that the log lacks."""
    known = {entry["id"] for entry in log.entries if is_change(entry)}
    missing = [one for one in values.get("changes", []) if one["id"] not in known]
    if missing:
        log.append(missing, "change")


def is_change(entry):
    """Tell whether an entry of a log is about the name of a label."""
    return "renamed" in entry or "dropped" in entry


def names_in_log(label_names, changes):
    """Return {name: column} of all names that labels had, None for dropped ones.

    Raises
    ------
    ValueError
        If a label has the name that another one had.
    """
    columns = {name: col for col, name in enumerate(label_names)}
    for change in reversed(changes):
        former = change["dropped"] if "dropped" in change else change["renamed"][0]
        if former in columns:
            raise ValueError(
                f"`label_names` accepts names that no other label had; {former!r} was "
                "renamed or dropped, and its answers would be taken for those of the "
                "new label."
            )
        columns[former] = None if "dropped" in change else columns[change["renamed"][1]]
    return columns


def _check(values, name, new):
    names = values["label_names"]
    if name not in names:
        raise ValueError(
            f"the label must be one of the folder, such as {names[0]!r}; got {name!r}."
        )
    if new is None:
        if len(names) == 1:
            raise ValueError(f"the last label, {name!r}, cannot be dropped.")
        return
    if not isinstance(new, str) or not new or not new.isprintable():
        raise ValueError(f"the new name must be text that can be shown; got {new!r}.")
    former = names_in_log(names, values.get("changes", []))
    if new in former:
        raise ValueError(
            f"the new name must be one that no label has or had; got {new!r}."
        )


def _related(values, name, new):
    """Return the settings that name labels, with a label renamed or dropped."""

    def renamed(names):
        return [new if one == name else one for one in names if one != name or new]

    parents = {
        child: parent
        for child, parent in values.get("label_parents", {}).items()
        if new is not None or name not in (child, parent)
    }
    groups = (renamed(group) for group in values.get("exclusive_labels", []))
    return {
        "label_names": renamed(values["label_names"]),
        "label_parents": {
            new if child == name else child: new if parent == name else parent
            for child, parent in parents.items()
        },
        "exclusive_labels": [group for group in groups if len(group) > 1],
    }
