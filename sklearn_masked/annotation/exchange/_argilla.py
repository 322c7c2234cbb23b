"""Argilla: records in and out, those of version 2 and of version 1's feedback datasets.

What its documentation and its exporter say. `suggestions` are a model's and never
answers. A response has a `status`: "submitted", "discarded" or "draft".

- Version 2, ``records.to_json``: `responses` is an object of lists by question, of
  objects with `value` and `user_id`, and without a status: the file does not say which
  of them were submitted.
- Version 2, ``records.to_list(flatten=True)``: "QUESTION.responses",
  "QUESTION.responses.users" and "QUESTION.responses.status" are lists.
- Version 1, and the server's own interface: `responses` is a list, one a person, with
  `values` (an object by question, of objects with `value`), `user_id` and `status`.

A record that asks about one label has `asked_label` in its metadata, and its answer is
"yes" or "no".
"""

import json

from ._choice import (
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
from ._decode import iter_records, write_array
from ._entries import ID_FIELD, record_id, record_name, record_time, short
from ._form import Form
from ._rows import iter_cells

_FLAT = ".responses"
_STATUS = ("submitted", "discarded", "draft")


def _read(file, place, columns, reading):
    question = Question(reading.question)
    for record in iter_records(file, place):
        columns.n_records += 1
        if "annotation" in record and "prediction" in record:
            raise ValueError(
                f"{place()}: expected a record of version 2 or of a feedback dataset, "
                "with 'responses'; got one of the older text classification datasets, "
                "with 'annotation'. Write these in the long form."
            )
        sample, asked = _what(record, place, reading)
        answered = False
        for status, who, time, answers in _responses(record, place):
            cells = _cells(status, answers, asked, place, reading, question)
            if cells is None:
                continue
            answered = True
            columns.answer(sample, cells, place.number, who or reading.annotator, time)
        columns.n_not_reviewed += not answered
    question.check(place)


def _what(record, place, reading):
    """Return the sample's id, and the label asked about or None."""
    field = reading.id_field or "metadata.sample_id"
    value = nested(record, field)
    if value is None and reading.id_field is None:
        value = record.get("sample_id")
    asked = nested(record, f"metadata.{ASKED}")
    asked = record.get(ASKED) if asked is None else asked
    return record_id(value, field, place, ID_FIELD), asked


def _cells(status, answers, asked, place, reading, question):
    """Return the cells of a response, None if it is no answer."""
    if status is None:
        if reading.confirmed is not True:
            raise ValueError(
                f"{place()}: expected the 'status' of a response, without which a "
                "draft looks like an answer; got none. Export "
                "records.to_list(flatten=True), which has it, or pass confirmed=True "
                "if all responses were submitted."
            )
    elif status not in _STATUS:
        raise ValueError(
            f"{place()}: expected one of {_STATUS} in 'status'; got {short(status)}."
        )
    if status == "draft":
        return None
    if status == "discarded":
        if answers and question.given and question.given not in answers:
            return None
        return SKIP_ALL if asked is None else asked_cell(asked, [], place)
    name = question.of(answers, place)
    if name not in answers or answers[name] is None:
        return None
    names = chosen_names(answers[name], repr(name), place)
    if asked is not None:
        return asked_cell(asked, names, place)
    return choice_cells(names, reading.options, reading.unselected, place)


def _responses(record, place):
    """Yield (status, annotator, time, answers by question) of each response."""
    responses = record.get("responses")
    flat = [key for key in record if key.endswith(_FLAT)]
    if responses is None and not flat:
        if "fields" not in record and "suggestions" not in record:
            raise ValueError(
                f"{place()}: expected a record of Argilla with 'responses'; got "
                f"{short(list(record))}."
            )
        return
    if flat:
        yield from _of_flat(record, flat, place)
    elif type(responses) is dict:
        yield from _of_questions(responses, place)
    elif type(responses) is list:
        yield from _of_people(responses, place)
    else:
        raise ValueError(
            f"{place()}: expected a list or an object in 'responses'; got "
            f"{short(responses)}."
        )


def _of_flat(record, keys, place):
    for key in keys:
        values = record[key] or []
        if type(values) is not list:
            raise ValueError(
                f"{place()}: expected a list in {key!r}; got {short(values)}."
            )
        users = record.get(f"{key}.users") or [None] * len(values)
        status = record.get(f"{key}.status") or [None] * len(values)
        lists = (values, users, status)
        if any(type(one) is not list for one in lists) or len(set(map(len, lists))) > 1:
            raise ValueError(
                f"{place()}: expected lists of one length in {key!r}, '{key}.users' "
                f"and '{key}.status'; got {short(values)}, {short(users)} and "
                f"{short(status)}."
            )
        name = key.removesuffix(_FLAT)
        for value, user, state in zip(*lists, strict=True):
            yield state, _user(user, place), None, {name: value}


def _of_questions(responses, place):
    for name, some in responses.items():
        for one in _objects(some, name, place):
            if "value" not in one:
                _refuse_shape(one, name, place)
            who = _user(one.get("user_id"), place)
            yield one.get("status"), who, None, {name: one["value"]}


def _of_people(responses, place):
    for one in _objects(responses, "responses", place):
        values = one.get("values") or {}
        if type(values) is not dict:
            _refuse_shape(values, "values", place)
        answers = {}
        for name, value in values.items():
            if type(value) is not dict or "value" not in value:
                _refuse_shape(value, name, place)
            answers[name] = value["value"]
        time = one.get("updated_at") or one.get("inserted_at")
        time = record_time(time, "updated_at", place)
        yield one.get("status"), _user(one.get("user_id"), place), time, answers


def _objects(some, field, place):
    if type(some) is not list:
        _refuse_shape(some, field, place)
    for one in some:
        if type(one) is not dict:
            _refuse_shape(one, field, place)
        yield one


def _refuse_shape(got, field, place):
    raise ValueError(
        f"{place()}: expected responses, objects with 'value', in {field!r}; got "
        f"{short(got)}."
    )


def _user(user, place):
    if user in (None, "None"):  # what the exporter makes of a missing id
        return None
    return record_name(user, "an annotator in 'user_id'", place)


def _write(annotations, file, texts):
    write_array(
        file,
        (
            _answered(sample, label, texts and texts[sample], records)
            for sample, label, records in iter_cells(annotations)
        ),
    )


def _answered(sample, label, text, records):
    record = _record(sample, label, text)
    record["responses"] = {QUESTION: [_response(one) for one in records]}
    return record


def _response(record):
    skipped = record["value"] is None
    return {
        "value": None if skipped else (YES if record["value"] else NO),
        "user_id": record.get("annotator"),
        "status": "discarded" if skipped else "submitted",
    }


def _record(sample, label, text):
    metadata = {"sample_id": sample}
    fields = {} if text is None else {"text": text}
    if label is not None:
        metadata[ASKED] = label
        fields = {"question": question_text(label), **fields}
    return {
        "id": sample if label is None else json.dumps([sample, label]),
        "fields": fields,
        "metadata": metadata,
        "suggestions": {},
        "responses": {},
        "vectors": {},
    }


def _write_queries(cells, file):
    write_array(file, map(_query, cells))


def _query(cell):
    record = _record(cell["sample"], cell["label"], cell.get("text"))
    probability = cell.get("probability")
    if probability is not None:
        likely = probability >= 0.5
        record["suggestions"][QUESTION] = {
            "value": YES if likely else NO,
            "score": probability if likely else 1 - probability,
            "agent": "sklearn_masked",
        }
    return record


FORM = Form(
    _read,
    _write,
    _write_queries,
    accepts=frozenset(
        {"unselected", "options", "confirmed", "question", "id_field", "annotator"}
    ),
    lacks=frozenset({"timestamps", "weights"}),
)
