r"""Label Studio: JSON exports in, tasks out.

What its documentation and its exporter say. A task has `data`, what was imported, its
own number `id`, and `annotations`: a person's submission each, with `result`,
`completed_by`, `was_cancelled` (skipped) and times. A result of a Choices tag has
`from_name`, the name of the tag, ``type: "choices"`` and ``value: {"choices":
[...]}``, a list for one choice too. `predictions` are a model's and `drafts` were not
submitted; neither is an answer. In JSON_MIN a task is flat, `from_name` is the field
of the answer, and one choice collapses to a scalar.

A task that asks about one label has `asked_label` in its data, and its choices are
"yes" and "no".
"""

from ._choice import (
    ANSWERS,
    ASKED,
    NO,
    QUESTION,
    SKIP_ALL,
    YES,
    Question,
    asked_cell,
    choice_cells,
    chosen_names,
    nested,
    question_text,
)
from ._decode import iter_records as iter_json
from ._decode import write_array
from ._entries import ID_FIELD, record_id, record_name, record_time, short
from ._form import Form
from ._rows import iter_cells

_TEXT = "text"


def _read(file, place, columns, reading):
    question = Question(reading.question)
    for task in iter_json(file, place):
        columns.n_records += 1
        if "data" in task:
            _read_task(task, place, columns, reading, question)
        else:
            _read_flat(task, place, columns, reading, question)
    question.check(place)


def _read_task(task, place, columns, reading, question):
    data = task["data"]
    if type(data) is not dict:
        _refuse(place, "an object in 'data'", data)
    # A task without annotations is one that was not labeled, as those we write.
    annotations = task.get("annotations", task.get("completions", []))
    if type(annotations) is not list:
        _refuse(place, "a list in 'annotations'", annotations)
    field = reading.id_field or "data.sample_id"
    sample = record_id(nested(task, field), field, place, ID_FIELD)
    for annotation in annotations:
        if type(annotation) is not dict:
            _refuse(place, "objects in 'annotations'", annotation)
        cells = _cells(annotation, data.get(ASKED), place, reading, question)
        who = _annotator(annotation.get("completed_by"), place) or reading.annotator
        columns.answer(sample, cells, place.number, who, _time(annotation, place))
    columns.n_not_reviewed += not annotations


def _cells(annotation, asked, place, reading, question):
    cancelled = annotation.get("was_cancelled", annotation.get("skipped"))
    if cancelled not in (None, True, False):
        _refuse(place, "true or false in 'was_cancelled'", cancelled)
    if cancelled:
        return SKIP_ALL if asked is None else asked_cell(asked, [], place)
    names = _names(annotation, place, question)
    if asked is not None:
        return asked_cell(asked, names, place)
    return choice_cells(names, reading.options, reading.unselected, place)


def _names(annotation, place, question):
    """Return the labels chosen in the results of one question."""
    results = annotation.get("result")
    if type(results) is not list or any(type(one) is not dict for one in results):
        _refuse(place, "a list of objects in 'result'", results)
    if question.given is None and any(one.get("type") != "choices" for one in results):
        kinds = sorted({str(one.get("type")) for one in results})
        raise ValueError(
            f"{place()}: expected results of type 'choices'; got {short(kinds)}. Pass "
            "question= to name the Choices tag to read."
        )
    tags = [one.get("from_name") for one in results]
    for tag in tags:
        # A relation between results has none.
        if type(tag) is not str and (tag is not None or question.given is None):
            _refuse(place, "the name of a tag in 'from_name'", tag)
    name = question.of([tag for tag in tags if tag is not None], place)
    if tags.count(name) > 1:
        raise ValueError(
            f"{place()}: expected one result of {name!r} in an annotation; got "
            f"{tags.count(name)}."
        )
    if name not in tags:
        return []
    result = results[tags.index(name)]
    value = result.get("value")
    if type(value) is not dict or "choices" not in value:
        _refuse(place, f"'choices' in the value of {name!r}", value)
    return chosen_names(value["choices"], "'choices'", place)


def _annotator(who, place):
    if type(who) is dict:
        who = who.get("email") or who.get("id")
    return None if who is None else record_name(who, "'completed_by'", place)


def _time(annotation, place):
    for field in ("updated_at", "created_at"):
        if annotation.get(field) is not None:
            return record_time(annotation[field], field, place)
    return None


def _read_flat(task, place, columns, reading, question):
    """Read a task of JSON_MIN: its fields are the data's and the tags'."""
    if question.given is None:
        raise ValueError(
            f"{place()}: expected a task with 'data' and 'annotations'; got "
            f"{short(list(task))}. For a JSON_MIN export, pass question=, the name of "
            "its Choices tag."
        )
    field = reading.id_field or "sample_id"
    sample = record_id(nested(task, field), field, place, ID_FIELD)
    if task.get("annotation_id", 0) is None:
        columns.n_not_reviewed += 1
        return
    value = task.get(question.given)
    if value is None:
        question.others.update(dict.fromkeys(task))
        if "annotation_id" not in task:
            raise ValueError(
                f"{place()}: expected an answer in {question.given!r}, or "
                "'annotation_id'; got neither, which leaves open whether anyone "
                "reviewed the task. Export as JSON."
            )
    else:
        question.of([question.given], place)
    if type(value) is dict:
        value = value.get("choices")
    names = [] if value is None else chosen_names(value, repr(question.given), place)
    if task.get(ASKED) is not None:
        cells = asked_cell(task[ASKED], names, place)
    else:
        cells = choice_cells(names, reading.options, reading.unselected, place)
    who = _annotator(task.get("annotator"), place) or reading.annotator
    columns.answer(sample, cells, place.number, who, _time(task, place))


def _refuse(place, expected, got):
    raise ValueError(f"{place()}: expected {expected}; got {short(got)}.")


def _write(annotations, file, texts):
    write_array(
        file,
        (
            {
                "data": _data(sample, label, texts and texts[sample]),
                "annotations": [_annotation(record) for record in records],
            }
            for sample, label, records in iter_cells(annotations)
        ),
    )


def _data(sample, label, text):
    data = {"sample_id": sample}
    if label is not None:
        data |= {ASKED: label, "question": question_text(label)}
    return data if text is None else {_TEXT: text, **data}


def _annotation(record):
    skipped = record["value"] is None
    annotation = {
        "result": [] if skipped else [_result(record["value"])],
        "was_cancelled": skipped,
    }
    if "annotator" in record:
        who = record["annotator"]
        number = who.isascii() and who.isdigit() and str(int(who)) == who
        annotation["completed_by"] = int(who) if number else {"email": who}
    if "timestamp" in record:
        time = record["timestamp"].isoformat().replace("+00:00", "Z")
        annotation |= {"created_at": time, "updated_at": time}
    return annotation


def _result(value):
    names = {value: name for name, value in ANSWERS.items()}
    return {
        "from_name": QUESTION,
        "to_name": _TEXT,
        "type": "choices",
        "value": {"choices": [names[value]]},
    }


def _write_queries(cells, file):
    """Write cells as tasks with the model's prediction."""
    write_array(file, map(_task, cells))


def _task(cell):
    task = {"data": _data(cell["sample"], cell["label"], cell.get("text"))}
    probability = cell.get("probability")
    if probability is not None:
        likely = probability >= 0.5
        task["predictions"] = [
            {
                "model_version": "sklearn_masked",
                "score": probability if likely else 1 - probability,
                "result": [_result(ANSWERS[YES if likely else NO])],
            }
        ]
    return task


FORM = Form(
    _read,
    _write,
    _write_queries,
    accepts=frozenset({"unselected", "options", "question", "id_field", "annotator"}),
    lacks=frozenset({"weights"}),
)
