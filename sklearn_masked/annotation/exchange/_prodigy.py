"""Prodigy: JSON lines of ``db-out`` in, tasks out.

What its documentation says. An answered task is the task with `answer`: "accept",
"reject" or "ignore". A binary task has one `label`, accepted or rejected. A `choice`
task has `options`, each with an `id`, and `accept`, the list of the ids chosen; there
"reject" turns the whole task down, and Prodigy's own review passes such answers over,
as those ignored. Fields of one's own are kept; `_annotator_id`, `_session_id` and
`_timestamp` (seconds) are Prodigy's.
"""

from ._choice import SKIP_ALL, choice_cells, chosen_names, nested
from ._decode import iter_records as iter_json
from ._decode import write_line
from ._entries import ID_FIELD, record_id, record_name, record_time, short
from ._form import Form
from ._rows import iter_records

_VALUES = {"accept": 1, "reject": 0, "ignore": -1}
_ANSWERS = {1: "accept", 0: "reject", None: "ignore"}


def _read(file, place, columns, reading):
    """Fill columns from the lines of ``db-out``."""
    field = reading.id_field or "sample_id"
    for task in iter_json(file, place):
        columns.n_records += 1
        sample = record_id(nested(task, field), field, place, ID_FIELD)
        answer = task.get("answer")
        if answer is not None and (type(answer) is not str or answer not in _VALUES):
            raise ValueError(
                f"{place()}: expected 'accept', 'reject' or 'ignore' in 'answer'; got "
                f"{short(answer)}."
            )
        cells = _cells(task, answer, place, reading)
        if answer is None:
            columns.n_not_reviewed += 1
            continue
        who = task.get("_annotator_id") or task.get("_session_id")
        if who is not None:
            who = record_name(who, "'_annotator_id'", place)
        time = record_time(task.get("_timestamp"), "_timestamp", place)
        columns.answer(sample, cells, place.number, who or reading.annotator, time)


def _cells(task, answer, place, reading):
    if "options" in task or "accept" in task:
        return _choice(task, answer, place, reading)
    if "label" not in task:
        if answer == "ignore":
            return SKIP_ALL
        raise ValueError(
            f"{place()}: expected 'label', or 'options' and 'accept'; got "
            f"{short(list(task))}."
        )
    if type(task["label"]) is list:
        raise ValueError(
            f"{place()}: expected one label in 'label'; got a list, as in doccano's "
            'exports: pass format="doccano" for these.'
        )
    label = record_name(task["label"], "a label in 'label'", place)
    return ((label, _VALUES.get(answer)),)


def _choice(task, answer, place, reading):
    offered = _options(task, place)
    if offered is None:
        offered = reading.options
    if answer != "accept":
        return SKIP_ALL
    if type(task.get("accept")) not in (list, str):
        raise ValueError(
            f"{place()}: expected the list of the options chosen in 'accept'; got "
            f"{short(task.get('accept'))}."
        )
    names = chosen_names(task["accept"], "'accept'", place)
    return choice_cells(names, offered, reading.unselected, place)


def _options(task, place):
    options = task.get("options")
    if options is None:
        return None
    if type(options) is not list or not all(
        type(option) is dict and "id" in option for option in options
    ):
        raise ValueError(
            f"{place()}: expected a list of objects with 'id' in 'options'; got "
            f"{short(options)}."
        )
    return chosen_names([option["id"] for option in options], "'options'", place)


def _write(annotations, file, texts):
    """Write answers as answered binary tasks."""
    for record in iter_records(annotations):
        sample = record["sample"]
        task = _task(sample, record["label"], texts and texts[sample])
        task["answer"] = _ANSWERS[record["value"]]
        if "timestamp" in record:
            seconds = record["timestamp"].timestamp()
            task["_timestamp"] = int(seconds) if seconds == int(seconds) else seconds
        if "annotator" in record:
            task["_annotator_id"] = task["_session_id"] = record["annotator"]
        write_line(file, task)


def _task(sample, label, text):
    task = {"sample_id": sample}
    if label is not None:
        task["label"] = label
    return task if text is None else {"text": text, **task}


def _write_queries(cells, file):
    """Write cells as binary tasks, the probability in what the person sees below."""
    for cell in cells:
        task = _task(cell["sample"], cell["label"], cell.get("text"))
        if cell.get("probability") is not None:
            task["meta"] = {"score": round(cell["probability"], 3)}
        write_line(file, task)


FORM = Form(
    _read,
    _write,
    _write_queries,
    accepts=frozenset({"unselected", "options", "id_field", "annotator"}),
    lacks=frozenset({"weights"}),
)
