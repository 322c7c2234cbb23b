"""Exports as the tools write them, and what becomes of each record."""

import io
import json

import numpy as np
import pytest

from sklearn_masked.annotation import Annotations, read_annotations

NAN = np.nan


def lines(*records):
    return io.StringIO("".join(json.dumps(record) + "\n" for record in records))


def array(*records):
    return io.StringIO(json.dumps(list(records), indent=2))


def said(answers):
    """Return {(sample, label): answer} of what was read, once a cell."""
    found = {}
    for record in answers.to_records():
        cell = record["sample"], record["label"]
        assert cell not in found
        found[cell] = record["value"]
    return found


# Long form

LONG = """\
sample,label,value,annotator,timestamp,weight,text
7,sports,yes,anna,2026-03-01T10:15:00Z,1,"A ""quoted"" text,
on two lines"
7,war,0,anna,2026-03-01T10:16:00+01:00,0.5,
8,sports,Skip,ben,,,x
8,war,,,,,x
9,,skip,ben,,,x
"""


def test_csv_long_form_reads_every_field():
    answers = read_annotations(io.StringIO(LONG, newline=""), "csv")
    assert repr(answers) == (
        "Annotations(5 records: 1 yes, 1 no, 2 skipped, 1 not reviewed)"
    )
    assert answers.ids.tolist() == ["7", "7", "8", "9"]
    assert answers.labels.tolist() == ["sports", "war", "sports", None]
    assert answers.answers.tolist() == [1, 0, -1, -1]
    assert answers.skipped.tolist() == [False, False, True, True]
    assert answers.annotators.tolist() == ["anna", "anna", "ben", "ben"]
    assert answers.weights.tolist() == [1, 0.5, 1, 1]
    assert answers.numbers.tolist() == [2, 4, 5, 7] and answers.unit == "line"
    times = np.array(["2026-03-01T10:15", "2026-03-01T09:16", "NaT", "NaT"])
    np.testing.assert_array_equal(answers.timestamps, times.astype("M8[us]"))
    labels = answers.to_labels([9, 8, 7], ["sports", "war"])
    np.testing.assert_array_equal(labels.to_dense(), [[NAN, NAN], [NAN, NAN], [1, 0]])
    assert labels.cells().weights.tolist() == [1, 0.5]
    frame = answers.to_frame()
    assert frame["value"].isna().tolist() == [False, False, True, True]
    assert frame["label"].tolist()[:3] == ["sports", "war", "sports"]


@pytest.mark.parametrize(
    ("value", "answer"),
    [("1", 1), ("TRUE", 1), ("Yes ", 1), ("0", 0), ("False", 0), ("no", 0), ("", None)],
)
def test_csv_values_as_people_and_spreadsheets_write_them(value, answer):
    answers = read_annotations(
        io.StringIO(f"label,value,sample\nwar,{value},a\n"), "csv"
    )
    assert answers.answers.tolist() == ([] if answer is None else [answer])
    assert answers.n_not_reviewed == (answer is None)


def test_csv_with_columns_of_other_names_semicolons_and_a_byte_order_mark(tmp_path):
    file = tmp_path / "export.csv"
    file.write_text("\ufeffdoc;tag;ok\r\nÄ1;Krieg;1\r\n", encoding="utf-8", newline="")
    answers = read_annotations(
        file,
        "csv",
        columns={"sample": "doc", "label": "tag", "value": "ok"},
        delimiter=";",
        annotator="anna",
    )
    assert said(answers) == {("Ä1", "Krieg"): 1}
    assert answers.annotators.tolist() == ["anna"]
    assert answers.source == "export.csv"


def test_records_before_the_first_with_a_weight_or_time_weigh_one_and_have_none():
    record = {"sample": 1, "label": "war", "value": 1}
    answers = read_annotations(
        lines(record, {**record, "weight": 0.5, "timestamp": 0}), "jsonl"
    )
    assert answers.weights.tolist() == [1, 0.5]
    assert np.isnat(answers.timestamps).tolist() == [True, False]


def test_jsonl_long_form():
    answers = read_annotations(
        lines(
            {"sample": 1, "label": "war", "value": 1},
            {"sample": "2", "label": "war", "value": False, "annotator": 5},
            {"sample": 3, "label": "war", "value": "skip"},
            {"sample": 4, "label": "war", "value": None},
            {"sample": 5, "label": 2026, "value": "no", "timestamp": 1772359200.5},
        ),
        "jsonl",
    )
    assert said(answers) == {
        ("1", "war"): 1,
        ("2", "war"): 0,
        ("3", "war"): None,
        ("5", "2026"): 0,
    }
    assert answers.n_not_reviewed == 1
    assert answers.annotators.tolist() == [None, "5", None, None]
    assert answers.timestamps[-1] == np.datetime64("2026-03-01T10:00:00.5")


# Label Studio: "Label Studio Task Format", "Export annotations and data"


def task(number, *annotations, **data):
    return {
        "id": number,
        "data": {"text": "Cup final", "sample_id": f"doc-{number}", **data},
        "annotations": list(annotations),
        "drafts": [{"result": [choices(["economy"])]}],
        "predictions": [
            {"model_version": "m1", "score": 0.9, "result": [choices(["war"])]}
        ],
        "meta": {},
        "created_at": "2026-03-01T09:00:00.000000Z",
        "updated_at": "2026-03-01T10:00:00.000000Z",
        "inner_id": number,
        "total_annotations": 1,
        "cancelled_annotations": 0,
        "total_predictions": 1,
        "project": 3,
        "updated_by": 1,
    }


def choices(value, tag="topic"):
    return {
        "id": "Dx_aB91ISN",
        "from_name": tag,
        "to_name": "text",
        "type": "choices",
        "value": {"choices": value},
        "origin": "manual",
    }


def annotation(*result, by=1, cancelled=False):
    return {
        "id": 1001,
        "completed_by": by,
        "result": list(result),
        "was_cancelled": cancelled,
        "ground_truth": False,
        "created_at": "2026-03-01T10:15:00.000000Z",
        "updated_at": "2026-03-01T10:15:09.250000Z",
        "lead_time": 4.288,
        "prediction": {},
        "result_count": 1,
        "parent_prediction": None,
    }


TOPICS = ["sports", "war", "economy"]


@pytest.mark.parametrize("value", ["sports", ["sports"]], ids=["scalar", "list"])
@pytest.mark.parametrize("unselected", ["unlabeled", "negative"])
def test_label_studio_single_choice_as_scalar_and_as_list(value, unselected):
    answers = read_annotations(
        array(task(1, annotation(choices(value)))),
        "label_studio",
        unselected=unselected,
        options=TOPICS,
    )
    others = {("doc-1", "war"): 0, ("doc-1", "economy"): 0}
    others = others if unselected == "negative" else {}
    assert said(answers) == {("doc-1", "sports"): 1} | others
    assert set(answers.annotators) == {"1"}
    assert answers.timestamps[0] == np.datetime64("2026-03-01T10:15:09.250")
    assert answers.unit == "record" and set(answers.numbers) == {1}


def test_label_studio_skipped_unlabeled_and_empty_tasks_and_predictions():
    answers = read_annotations(
        array(
            task(1, annotation(choices(["sports", "war"]))),
            task(2, annotation(cancelled=True)),
            task(3),  # with a prediction and a draft
            task(4, annotation()),
        ),
        "label_studio",
        unselected="negative",
        options=TOPICS,
    )
    assert said(answers) == {
        ("doc-1", "sports"): 1,
        ("doc-1", "war"): 1,
        ("doc-1", "economy"): 0,
        ("doc-2", None): None,
        ("doc-4", "sports"): 0,
        ("doc-4", "war"): 0,
        ("doc-4", "economy"): 0,
    }
    assert answers.n_not_reviewed == 1
    labels = answers.to_labels([f"doc-{i}" for i in range(1, 5)], TOPICS)
    np.testing.assert_array_equal(
        labels.to_dense(),
        [[1, 1, 0], [NAN, NAN, NAN], [NAN, NAN, NAN], [0, 0, 0]],
    )


def test_label_studio_question_among_several_and_two_annotators():
    relation = {"type": "relation", "from_id": "a", "to_id": "b"}
    anna = annotation(choices(["sports"]), relation, choices(["good"], "tone"), by=7)
    ben = annotation(choices(["war"]), by={"id": 8, "email": "ben@example.org"})
    answers = read_annotations(
        array(task(1, anna, ben)),
        "label_studio",
        question="topic",
        unselected="unlabeled",
    )
    assert answers.to_records() == [
        {
            "sample": "doc-1",
            "label": label,
            "value": 1,
            "annotator": who,
            "timestamp": answers.to_records()[0]["timestamp"],
        }
        for label, who in [("sports", "7"), ("war", "ben@example.org")]
    ]


def test_label_studio_json_min():
    common = {"annotator": 1, "created_at": "2026-03-01T10:15:00Z", "lead_time": 2.5}
    answers = read_annotations(
        array(
            {"id": 1, "sample_id": "a", "topic": "war", "annotation_id": 9, **common},
            {
                "id": 2,
                "sample_id": "b",
                "topic": {"choices": ["war", "sports"]},
                "annotation_id": 10,
                **common,
            },
            {"id": 3, "sample_id": "c", "annotation_id": 11, **common},
            {"id": 4, "sample_id": "d", "annotation_id": None, "annotator": None},
        ),
        "label_studio",
        question="topic",
        unselected="negative",
        options=["sports", "war"],
    )
    assert said(answers) == {
        ("a", "sports"): 0,
        ("a", "war"): 1,
        ("b", "sports"): 1,
        ("b", "war"): 1,
        ("c", "sports"): 0,
        ("c", "war"): 0,
    }
    assert answers.n_not_reviewed == 1


def test_label_studio_id_elsewhere():
    answers = read_annotations(
        array(task(41, annotation(choices("war")))),
        "label_studio",
        id_field="id",
        unselected="unlabeled",
    )
    assert said(answers) == {("41", "war"): 1}


# Prodigy: "Annotation interfaces", "Built-in recipes" (db-out)


def prodigy(answer, **task):
    return {
        "text": "Cup final",
        "meta": {"source": "wire", "id": 17},
        "_input_hash": -1530009927,
        "_task_hash": -340967702,
        "_is_binary": True,
        "_view_id": "classification",
        "answer": answer,
        "_timestamp": 1772359200,
        "_annotator_id": "news-anna",
        "_session_id": "news-anna",
        **task,
    }


OPTIONS = [{"id": name, "text": name.title()} for name in TOPICS]


def test_prodigy_binary_accept_reject_ignore():
    answers = read_annotations(
        lines(
            prodigy("accept", sample_id=1, label="war", score=0.02),
            prodigy("reject", sample_id=2, label="war"),
            prodigy("ignore", sample_id=3, label="war"),
            prodigy("ignore", sample_id=4),
        ),
        "prodigy",
    )
    assert said(answers) == {
        ("1", "war"): 1,
        ("2", "war"): 0,
        ("3", "war"): None,
        ("4", None): None,
    }
    assert set(answers.annotators) == {"news-anna"}
    assert answers.timestamps[0] == np.datetime64("2026-03-01T10:00")


def test_prodigy_choice():
    answers = read_annotations(
        lines(
            prodigy("accept", options=OPTIONS, accept=["war", "sports"]),
            prodigy("accept", options=OPTIONS, accept=[], meta={"id": 18}),
            prodigy("reject", options=OPTIONS, accept=["war"], meta={"id": 19}),
            prodigy("ignore", options=OPTIONS, accept=["war"], meta={"id": 20}),
        ),
        "prodigy",
        id_field="meta.id",
        unselected="negative",
    )
    labels = answers.to_labels([17, 18, 19, 20], TOPICS)
    np.testing.assert_array_equal(
        labels.to_dense(), [[1, 1, 0], [0, 0, 0], [NAN] * 3, [NAN] * 3]
    )
    assert answers.skipped.sum() == 2


def test_prodigy_choice_whose_options_the_records_do_not_name():
    answers = read_annotations(
        lines(prodigy("accept", sample_id="a", accept=["war"])),
        "prodigy",
        unselected="negative",
        options=["war", "law"],
    )
    assert said(answers) == {("a", "war"): 1, ("a", "law"): 0}


def test_prodigy_task_without_an_answer_is_not_reviewed():
    todo = prodigy(None, sample_id="a", label="war")
    del todo["answer"]
    answers = read_annotations(lines(todo), "prodigy")
    assert len(answers) == 0 and answers.n_not_reviewed == 1


# doccano: "Getting started" (export), data_export of its source


def doccano(number, label, **more):
    return {
        "id": number,
        "text": "Cup final",
        "label": label,
        "sample_id": f"doc-{number}",
        "Comments": [],
        **more,
    }


def test_doccano_confirmed_by_the_caller():
    answers = read_annotations(
        lines(doccano(1, ["sports", "war"]), doccano(2, [])),
        "doccano",
        confirmed=True,
        unselected="negative",
        options=TOPICS,
        annotator="anna",
    )
    labels = answers.to_labels(["doc-2", "doc-1"], TOPICS)
    np.testing.assert_array_equal(labels.to_dense(), [[0, 0, 0], [1, 1, 0]])
    assert set(answers.annotators) == {"anna"}


def test_doccano_confirmed_ids_leave_the_others_unlabeled():
    answers = read_annotations(
        lines(doccano(1, []), doccano(2, []), doccano(3, ["war"])),
        "doccano",
        confirmed=["doc-2"],
        unselected="negative",
        options=["war"],
    )
    assert said(answers) == {("doc-2", "war"): 0}
    assert answers.n_not_reviewed == 2


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ({"is_confirmed": True}, {"is_confirmed": False}),
        ({"confirmed": True}, {"confirmed": False}),
        ({"annotation_approver": "admin"}, {"annotation_approver": None}),
    ],
)
def test_doccano_confirmed_by_a_field(yes, no):
    answers = read_annotations(
        lines(doccano(1, [], **yes), doccano(2, ["war"], **no)),
        "doccano",
        unselected="negative",
        options=["war"],
    )
    assert said(answers) == {("doc-1", "war"): 0}


def test_doccano_question_about_one_label_that_is_not_confirmed():
    example = {"sample_id": 1, "asked_label": "war", "label": ["yes"]}
    assert said(read_annotations(lines(example), "doccano")) == {("1", "war"): 1}
    for confirmed, n_answers in [(True, 1), (False, 0)]:
        done = {**example, "is_confirmed": confirmed}
        assert len(read_annotations(lines(done), "doccano")) == n_answers


def test_doccano_array_and_old_name_of_the_list():
    example = doccano(1, ["war"], is_confirmed=True)
    example["labels"] = example.pop("label")
    answers = read_annotations(array(example), "doccano", unselected="unlabeled")
    assert said(answers) == {("doc-1", "war"): 1}


# Argilla: "rg.Response", "rg.Record" (2), "Argilla Feedback data model" (1)


def argilla_2(sample, responses):
    return {
        "id": f"record-{sample}",
        "fields": {"text": "Cup final"},
        "metadata": {"sample_id": sample},
        "suggestions": {
            "topics": {"value": ["economy"], "score": 0.9, "agent": "model"}
        },
        "responses": responses,
        "vectors": {},
        "_server_id": "3fa85f64-5717-4562-b3fc-2c963f66afa7",
    }


def response_2(value, **more):
    return {"value": value, "user_id": "3fa85f64", **more}


def test_argilla_2_nested_with_submitted_responses_vouched_for():
    answers = read_annotations(
        array(
            argilla_2(1, {"topics": [response_2(["war"])]}),
            argilla_2(2, {}),
            argilla_2(3, None),
        ),
        "argilla",
        confirmed=True,
        unselected="negative",
        options=TOPICS,
    )
    assert said(answers) == {
        ("1", "sports"): 0,
        ("1", "war"): 1,
        ("1", "economy"): 0,
    }
    assert answers.n_not_reviewed == 2
    assert set(answers.annotators) == {"3fa85f64"}


def test_argilla_2_flat_with_status():
    flat = {
        "id": "7",
        "status": "completed",
        "text": "Cup final",
        "sample_id": "a",
        "topics.suggestion": ["economy"],
        "topics.suggestion.score": [0.9],
        "topics.suggestion.agent": "model",
        "topics.responses": [["sports"], ["war"], None],
        "topics.responses.users": ["u1", "u2", "u3"],
        "topics.responses.status": ["submitted", "draft", "discarded"],
    }
    nobody = {**flat, "sample_id": "b"}
    for key in ("", ".users", ".status"):
        nobody[f"topics.responses{key}"] = None
    answers = read_annotations(
        lines(flat, nobody), "argilla", unselected="negative", options=TOPICS
    )
    assert answers.n_not_reviewed == 1
    assert [(r["label"], r["value"], r["annotator"]) for r in answers.to_records()] == [
        ("sports", 1, "u1"),
        ("war", 0, "u1"),
        ("economy", 0, "u1"),
        (None, None, "u3"),
    ]


def argilla_1(sample, *responses):
    return {
        "id": None,
        "fields": {"text": "Cup final"},
        "metadata": {},
        "responses": list(responses),
        "suggestions": [
            {"question_name": "topic", "type": "model", "value": "economy", "score": 1}
        ],
        "external_id": sample,
    }


def response_1(status, user="u1", **values):
    values = {name: {"value": value} for name, value in values.items()}
    return {"user_id": user, "values": values, "status": status}


def test_argilla_1_submitted_discarded_draft_and_no_response():
    answers = read_annotations(
        lines(
            argilla_1(
                "a",
                response_1("submitted", topic="war", tone="good"),
                response_1("draft", "u2", topic="sports"),
            ),
            argilla_1("b", response_1("discarded")),
            argilla_1("c"),
            argilla_1("d", response_1("submitted", tone="bad")),
        ),
        "argilla",
        id_field="external_id",
        question="topic",
        unselected="negative",
        options=TOPICS,
    )
    assert said(answers) == {
        ("a", "sports"): 0,
        ("a", "war"): 1,
        ("a", "economy"): 0,
        ("b", None): None,
    }
    # A draft, nothing at all, and an answer to another question: none is an answer.
    assert answers.n_not_reviewed == 2


def test_argilla_discarded_answers_to_another_question_are_no_skips():
    responses = {
        "topic": [response_2(["war"], status="submitted")],
        "tone": [response_2("good", status="discarded")],
    }
    answers = read_annotations(
        array(argilla_2(1, responses)),
        "argilla",
        question="topic",
        unselected="unlabeled",
    )
    assert said(answers) == {("1", "war"): 1}


def test_argilla_submitted_without_a_value_is_no_answer():
    responses = {"topic": [response_2(None, status="submitted")]}
    answers = read_annotations(
        array(argilla_2(1, responses)),
        "argilla",
        unselected="negative",
        options=TOPICS,
    )
    assert len(answers) == 0 and answers.n_not_reviewed == 1


def test_argilla_single_label_is_a_scalar():
    answers = read_annotations(
        array(argilla_2("a", {"topics": [response_2("war", status="submitted")]})),
        "argilla",
        unselected="unlabeled",
    )
    assert said(answers) == {("a", "war"): 1}


# Annotations


def test_concat_joins_the_files_of_several_annotators():
    anna, ben = (
        read_annotations(
            lines(doccano(1, label), doccano(2, [])),
            "doccano",
            confirmed=True,
            unselected="negative",
            options=["war"],
            annotator=who,
        )
        for who, label in [("anna", ["war"]), ("ben", [])]
    )
    both = Annotations.concat(anna, ben)
    assert both.n_records == 4 and len(both) == 4
    assert both.annotators.tolist() == ["anna", "anna", "ben", "ben"]
    assert both.disagreements().ids.tolist() == ["doc-1", "doc-1"]
    labels = both.to_labels(["doc-1", "doc-2"], on_conflict="majority")
    np.testing.assert_array_equal(labels.to_dense(), [[NAN], [0]])
    with pytest.raises(TypeError, match="^`concat` accepts Annotations; got dict.$"):
        Annotations.concat({})


def test_rows_taken_from_choices_keep_who_said_what():
    anna = annotation(choices(["sports"]), by="anna")
    ben = annotation(choices(["war"]), by="ben")
    carl = annotation(cancelled=True, by="carl")
    answers = read_annotations(
        array(task(1, carl, anna, ben)),
        "label_studio",
        unselected="negative",
        options=TOPICS,
    ).without("skips", "timestamps")
    found = answers.disagreements().without("skips").to_records()
    assert [tuple(record.values()) for record in found] == [
        ("doc-1", "sports", 1, "anna"),
        ("doc-1", "war", 0, "anna"),
        ("doc-1", "sports", 0, "ben"),
        ("doc-1", "war", 1, "ben"),
    ]


def test_annotations_are_immutable_and_unhashable():
    answers = read_annotations(io.StringIO("sample,label,value\na,b,1\n"), "csv")
    with pytest.raises(ValueError, match="read-only"):
        answers.answers[0] = 0
    with pytest.raises(AttributeError):
        answers.ids = []
    with pytest.raises(TypeError, match="unhashable"):
        hash(answers)
    assert (answers == 5) is False
