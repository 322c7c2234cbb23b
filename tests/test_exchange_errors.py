"""What is refused, where it stands, and what to do about it."""

import io
import json
import re

import pytest

from sklearn_masked.annotation import read_annotations

GOOD = {
    "csv": "sample,label,value\na,war,yes\n",
    "jsonl": '{"sample": "a", "label": "war", "value": "yes"}\n',
    "label_studio": json.dumps(
        [
            {
                "id": 1,
                "data": {"text": "t", "sample_id": "a", "asked_label": "war"},
                "annotations": [
                    {
                        "result": [
                            {
                                "from_name": "answer",
                                "to_name": "text",
                                "type": "choices",
                                "value": {"choices": ["yes"]},
                            }
                        ],
                        "was_cancelled": False,
                    }
                ],
            }
        ]
    ),
    "prodigy": '{"sample_id": "a", "label": "war", "answer": "accept"}\n',
    "doccano": '{"sample_id": "a", "label": ["yes"], "asked_label": "war"}\n',
    "argilla": json.dumps(
        [
            {
                "id": "1",
                "fields": {"text": "t"},
                "metadata": {"sample_id": "a", "asked_label": "war"},
                "suggestions": {},
                "responses": {
                    "answer": [{"value": "yes", "user_id": "u", "status": "submitted"}]
                },
            }
        ]
    ),
}
FORMATS = list(GOOD)
LINES = ["jsonl", "prodigy", "doccano"]
ARRAYS = ["label_studio", "argilla"]


def raises(message, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def read(tmp_path, format, text, **options):
    file = tmp_path / "export"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_annotations(file, format, **options)


def read_one(format, record, **options):
    return read_annotations(io.StringIO(json.dumps(record) + "\n"), format, **options)


@pytest.mark.parametrize("format", FORMATS)
def test_the_good_file_of_each_format_is_read(format, tmp_path):
    answers = read(tmp_path, format, GOOD[format])
    assert [(r["sample"], r["label"], r["value"]) for r in answers.to_records()] == [
        ("a", "war", 1)
    ]


# Encodings


@pytest.mark.parametrize("format", FORMATS)
def test_byte_order_mark_is_passed_over(format, tmp_path):
    assert len(read(tmp_path, format, GOOD[format].encode("utf-8-sig"))) == 1
    assert len(read_annotations(io.StringIO("\ufeff" + GOOD[format]), format)) == 1


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused(format, encoding, tmp_path):
    what = "text in UTF-16" if encoding == "utf-16" else "zero bytes, as in UTF-16"
    message = f"export, line 1: expected text in UTF-8; got {what}. Save the file as "
    with raises(message + "UTF-8."):
        read(tmp_path, format, GOOD[format].encode(encoding))


@pytest.mark.parametrize("format", FORMATS)
def test_latin_1_is_refused_at_its_line(format, tmp_path):
    text = GOOD[format].replace("war", "Kürbis")
    line = 2 if format == "csv" else 1
    with raises(
        f"export, line {line}: expected text in UTF-8; got the byte 0xfc where none "
        "can stand. Save the file as UTF-8."
    ):
        read(tmp_path, format, text.encode("latin-1"))


@pytest.mark.parametrize("format", LINES)
def test_latin_1_after_more_lines_than_are_held_at_once(format, tmp_path):
    text = GOOD[format].encode() * 5000 + GOOD[format].replace("war", "ü").encode(
        "latin-1"
    )
    with pytest.raises(ValueError, match="^export, line 5001: expected text in UTF-8"):
        read(tmp_path, format, text)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04\x14\x00", "a zip archive. Unpack it, and read the file inside"),
        (b"\x1f\x8b\x08\x00", "a gzip archive. Unpack it first"),
    ],
)
def test_archives_are_refused(format, start, what, tmp_path):
    with raises(f"export, line 1: expected text in UTF-8; got {what}."):
        read(tmp_path, format, start + b"abc\n")


# Malformed, truncated, of another form


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("text", ["", " \n\n"], ids=["empty", "blank"])
def test_empty_file(format, text, tmp_path):
    with pytest.raises(ValueError, match=r"^export, line \d: .* got ") as caught:
        read(tmp_path, format, text)
    assert "\n" not in str(caught.value)
    if not text:
        assert str(caught.value).endswith("got an empty file.")


@pytest.mark.parametrize("format", FORMATS)
def test_every_truncation_is_refused_or_reads_whole_records(format, tmp_path):
    twice = GOOD[format] + GOOD[format].replace(GOOD["csv"][:19], "")
    if format in ARRAYS:
        record = GOOD[format][1:-1]
        twice = f"[{record},\n{record}]"
    whole = read(tmp_path, format, twice)
    assert len(whole) == 2
    n_refused = 0
    for end in range(len(twice)):
        try:
            part = read(tmp_path, format, twice[:end])
        except ValueError as error:
            n_refused += 1
            assert str(error).startswith("export, ") and "\n" not in str(error)
        else:
            assert format not in ARRAYS
            assert set(part.answers) <= {1} and len(part) <= 2
    assert n_refused > len(twice) / 2


@pytest.mark.parametrize("format", LINES)
def test_truncated_line(format, tmp_path):
    with raises(
        "export, line 2: the file ends in the middle of a record. Export it again."
    ):
        read(tmp_path, format, GOOD[format] + GOOD[format][:-9])


@pytest.mark.parametrize("format", ARRAYS)
def test_truncated_array(format, tmp_path):
    text = GOOD[format][:-1] + ",\n" + GOOD[format][1:-9]
    with raises(
        "export, record 2 (line 2): the file ends in the middle of this record. Export "
        "it again."
    ):
        read(tmp_path, format, text)
    with raises(
        "export, record 1 (line 1): the file ends before its array does. Export it "
        "again."
    ):
        read(tmp_path, format, GOOD[format][:-1])


def test_malformed_lines(tmp_path):
    for bad, reason in [
        ('{"sample": "b" "label"}', "Expecting ',' delimiter, column 16"),
        ("{'sample': 1}", "Expecting property name enclosed in double quotes, column"),
        ("hello", "Expecting value, column 1"),
    ]:
        with pytest.raises(
            ValueError,
            match=r"^export, line 3: expected a JSON object on this line; got what is "
            rf"no JSON \({re.escape(reason)}.*\)\. Mend the line, or export the file "
            r"again\.$",
        ):
            read(tmp_path, "jsonl", GOOD["jsonl"] + "\n" + bad + "\n" + GOOD["jsonl"])
    for bad, kind in [("5", "a number"), ("null", "null"), ('"x"', "text")]:
        with raises(
            f"export, line 2: expected a JSON object, a record a line; got {kind}."
        ):
            read(tmp_path, "jsonl", GOOD["jsonl"] + bad + "\n")


@pytest.mark.parametrize("format", ARRAYS)
def test_malformed_arrays(format, tmp_path):
    record = GOOD[format][1:-1]
    with raises(
        "export, record 1 (line 1): expected ',' or ']' after this record; got '{'."
    ):
        read(tmp_path, format, f"[{record} {record}]")
    with raises(
        "export, record 2 (line 2): expected a record, a JSON object; got '5'."
    ):
        read(tmp_path, format, f"[{record},\n5]")
    with raises(
        "export, record 1 (line 2): expected the end of the file after the array; got "
        "'['."
    ):
        read(tmp_path, format, f"[{record}]\n[{record}]")
    with raises(
        "export, record 2 (line 3): expected a JSON object; got what is no JSON "
        "(Expecting value, on line 4). Mend it, or export the file again."
    ):
        read(tmp_path, format, f'[{record},\n\n{{"a":\n ?}}, {record}{" " * 99}]')


def test_very_deep_nesting(tmp_path):
    deep = '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}"
    with pytest.raises(ValueError, match="^export, line 1: .*nested too deeply"):
        read(tmp_path, "jsonl", deep + "\n")
    with pytest.raises(ValueError, match="^export, record 1 .*nested too deeply"):
        read(tmp_path, "argilla", f"[{deep}]")


def test_numbers_without_end(tmp_path):
    number = '{"a": ' + "7" * 5000 + "}"
    with pytest.raises(
        ValueError, match=r"^export, line 1: .*\(a long number\)\. Mend"
    ):
        read(tmp_path, "jsonl", number + "\n")
    with pytest.raises(
        ValueError, match=r"^export, record 1 .*\(a long number\)\. Mend"
    ):
        read(tmp_path, "argilla", f"[{number}]")


def test_malformed_csv(tmp_path):
    head = "sample,label,value\n"
    for bad, message in [
        ("a,war\n", "expected 3 fields, as in the header; got 2. Mend the row, or"),
        ("a,war,1,\n", "expected 3 fields, as in the header; got 4. Mend the row, or"),
        ('a,"war,1\nb,war,0\n', "expected a row of CSV; got what is none (unexpected"),
        ('a,"war"x,1\n', "expected a row of CSV; got what is none ("),
        (
            'a,"war,' + "x\n" * 70_000,
            "expected a row of CSV; got what is none (field larger than field limit "
            "(131072)). Is a quote missing? If not, and texts are that long, raise",
        ),
    ]:
        with pytest.raises(ValueError, match=re.escape(f"export, line 3: {message}")):
            read(tmp_path, "csv", head + "b,war,1\n" + bad)
    for header, message in [
        ("id,label,value", "expected a header with a column 'sample'; got ['id', "),
        ("sample;label;value", "expected fields with commas between them; got "),
        ("sample,sample,label,value", "expected each column once in the header; got "),
    ]:
        with pytest.raises(ValueError, match=re.escape(f"export, line 1: {message}")):
            read(tmp_path, "csv", header + "\n")
    with pytest.raises(ValueError, match=r"Pass delimiter='\\t'\.$"):
        read(tmp_path, "csv", "sample\tlabel\tvalue\n")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("other", FORMATS)
def test_files_of_another_tool_are_refused_on_the_record(format, other, tmp_path):
    if format == other:
        return
    with pytest.raises(ValueError, match=r"^export, (line|record) \d") as caught:
        read(tmp_path, format, GOOD[other])
    assert "expected" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("format", LINES)
@pytest.mark.parametrize("other", LINES)
def test_a_record_of_another_tool_among_good_ones_is_refused(format, other, tmp_path):
    if format == other:
        return
    text = GOOD[format] * 2 + GOOD[other] + GOOD[format]
    with pytest.raises(ValueError, match="^export, line 3: expected"):
        read(tmp_path, format, text)


# Ids, names, values


@pytest.mark.parametrize("value", [None, "", 1.5, True, ["a"], {"a": 1}])
@pytest.mark.parametrize("format", ["jsonl", "prodigy", "label_studio", "argilla"])
def test_ids_that_are_none(format, value, tmp_path):
    text = GOOD[format].replace('"a"', json.dumps(value))
    got = "nothing" if value in (None, "") else repr(value)
    with pytest.raises(ValueError) as caught:
        read(tmp_path, format, text)
    message = str(caught.value)
    assert re.match(
        r"export, (line 1|record 1 \(line 1\)): expected the sample's id ", message
    )
    assert f"text or an integer; got {got}." in message
    if format != "jsonl":
        assert message.endswith("Pass id_field= to name the field that holds it.")


def test_missing_id_fields():
    with raises(
        "<source>, line 1: expected a field 'sample'; got ['label', 'value']. Pass "
        "columns={'sample': ...} for another name."
    ):
        read_one("jsonl", {"label": "war", "value": 1})
    with raises(
        "<source>, line 1: expected the sample's id in 'sample_id'; got none, and 'id' "
        "is doccano's own number. Pass id_field= to name the field of yours."
    ):
        read_one("doccano", {"id": 5, "text": "t", "label": []}, confirmed=True)


@pytest.mark.parametrize("label", [None, "", 0.5, True, ["war"], "\ud800"])
def test_labels_that_are_none(label):
    with pytest.raises(
        ValueError, match="^<source>, line 1: expected a label in 'label', text or an"
    ):
        read_one("jsonl", {"sample": 1, "label": label, "value": 1})


@pytest.mark.parametrize("value", [2, -1, 0.5, "maybe", "YES!", [1], "nan"])
def test_values_that_are_none(value):
    with raises(
        "<source>, line 1: expected 'yes', 'no' or 'skip' (or 1, 0) in 'value', or "
        f"nothing where nobody has answered; got {value!r}. Pass values={{...}} for "
        "other words."
    ):
        read_one("jsonl", {"sample": 1, "label": "war", "value": value})
    with pytest.raises(ValueError, match="^<source>, line 2: expected 'yes', 'no' or"):
        read_annotations(
            io.StringIO(f"sample,label,value\na,war,{str(value).strip('[]')}x\n"), "csv"
        )


def test_words_of_other_languages_are_values():
    values = {"ja": 1, "Nein": 0, "x": 1, "weiß nicht": None}
    lines = "a,war,JA\nb,war,nein\nc,war, x \nd,war,Weiß nicht\ne,war,yes\nf,war,\n"
    source = io.StringIO("sample,label,value\n" + lines)
    found = read_annotations(source, "csv", values=values)
    said = [one["value"] for one in found.to_records()]
    assert said == [1, 0, 1, None, 1]
    record = {"sample": 1, "label": "war", "value": "nein"}
    [only] = read_one("jsonl", record, values=values).to_records()
    assert only["value"] == 0


@pytest.mark.parametrize("values", ["ja", {"ja": 2}, {1: 1}, {"ja": True}])
def test_values_that_are_no_mapping_are_refused(values):
    with pytest.raises(ValueError, match="`values` accepts a dict of words to 1, 0 or"):
        read_annotations(io.StringIO("sample,label,value\n"), "csv", values=values)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (
            "timestamp",
            "yesterday",
            "expected a time in 'timestamp', as in '2026-11-23T",
        ),
        ("timestamp", True, "expected a time in 'timestamp', as in '2026-11-23T"),
        ("timestamp", float("nan"), "expected a time in 'timestamp', as in '2026-11"),
        ("weight", -1, "expected a weight in 'weight', a number from 0; got -1."),
        ("weight", float("inf"), "expected a weight in 'weight', a number from 0; got"),
        ("weight", "heavy", "expected a weight in 'weight', a number from 0; got "),
        ("annotator", 1.5, "expected an annotator in 'annotator', text or an integer"),
    ],
)
def test_other_fields(field, value, expected):
    record = {"sample": 1, "label": "war", "value": 1, field: value}
    with pytest.raises(ValueError, match=re.escape(f"<source>, line 1: {expected}")):
        read_one("jsonl", record)


# Ambiguous


AMBIGUOUS = (
    "this is a choice among labels, and the file does not say what the labels mean "
    'that were not selected; pass unselected="negative" if the annotators selected '
    'every label that applies, or unselected="unlabeled" if nothing is known of the '
    "others."
)
PRODIGY = {
    "sample_id": 1,
    "options": [{"id": "war"}, {"id": "law"}],
    "answer": "accept",
}


def studio(*results, **more):
    annotation = {"result": list(results), "was_cancelled": False}
    return {"data": {"sample_id": 1}, "annotations": [annotation], **more}


def result(*labels, tag="topic", kind="choices"):
    return {"from_name": tag, "type": kind, "value": {kind: list(labels)}}


def argilla(question="topic", **more):
    responses = {question: [{"value": ["war"], "user_id": "u", **more}]}
    return {"metadata": {"sample_id": 1}, "fields": {}, "responses": responses}


@pytest.mark.parametrize(
    ("format", "record", "options"),
    [
        ("label_studio", studio(result("war")), {}),
        ("prodigy", {**PRODIGY, "accept": ["war"]}, {}),
        ("doccano", {"sample_id": 1, "label": ["war"]}, {"confirmed": True}),
        ("argilla", argilla(status="submitted"), {}),
    ],
)
def test_choices_are_refused_until_told_what_the_others_mean(format, record, options):
    with raises(f"<source>, line 1: {AMBIGUOUS}"):
        read_one(format, record, **options)
    if format != "prodigy":
        with raises(
            '<source>, line 1: unselected="negative" needs the labels that were on '
            "offer, and the records do not name them; pass options=[...]."
        ):
            read_one(format, record, unselected="negative", **options)
    with raises(
        "<source>, line 1: expected labels among those on offer, "
        f"{['war', 'law'] if format == 'prodigy' else ['law']}; got 'peace'."
    ):
        record = json.loads(json.dumps(record).replace('["war"]', '["peace"]'))
        more = {} if format == "prodigy" else {"options": ["law"]}
        read_one(format, record, unselected="unlabeled", **options, **more)


@pytest.mark.parametrize("label", [[], ["war"]])
@pytest.mark.parametrize("unselected", [None, "unlabeled", "negative"])
def test_doccano_is_refused_until_told_what_was_reviewed(label, unselected):
    with raises(
        "<source>, line 1: expected 'is_confirmed' or 'annotation_approver'; got "
        "neither, so that there is no telling whether anyone reviewed the example or "
        "its labels were imported. Pass confirmed=True if all examples of the file "
        "were reviewed (as in the export of approved documents alone), or confirmed= "
        "the ids of those that were."
    ):
        read_one(
            "doccano",
            {"id": 1, "text": "t", "sample_id": 1, "label": label},
            unselected=unselected,
            options=["war"],
        )


def test_doccano_contradictions():
    example = {"sample_id": "a", "label": ["war"], "is_confirmed": False}
    with raises(
        "<source>, line 1: expected 'is_confirmed' to agree with `confirmed`; got "
        "false for sample 'a'. Leave out `confirmed` to go by the file."
    ):
        read_one("doccano", example, confirmed=True, unselected="unlabeled")
    with raises(
        "<source>: `confirmed` accepts ids of samples that are in the file; got 'b', "
        "which is not."
    ):
        read_one("doccano", example, confirmed=["b"], unselected="unlabeled")
    with raises(
        "<source>, line 1: expected true or false in 'is_confirmed'; got 'no'."
    ):
        read_one("doccano", {**example, "is_confirmed": "no"}, unselected="unlabeled")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([[0, 3, "war"]], "expected names of labels in 'label'; got [[0, 3, 'war']], "),
        ("war", "expected a list of labels in 'label'; got 'war'."),
        (["war", "war"], "expected each label once in 'label'; got 'war' twice."),
    ],
)
def test_doccano_lists(label, message):
    with pytest.raises(ValueError, match=re.escape(f"<source>, line 1: {message}")):
        read_one("doccano", {"sample_id": 1, "label": label}, confirmed=True)
    with pytest.raises(
        ValueError, match="got 'annotations' of numbered labels. Export"
    ):
        read_one("doccano", {"sample_id": 1, "annotations": [{"label": 3, "user": 1}]})


def test_label_studio_questions():
    two = studio(result("war"), result("good", tag="tone"))
    with raises(
        "<source>, line 1: expected one question in the file; got 'tone' beside "
        "'topic'. Pass question= to choose one."
    ):
        read_one("label_studio", two, unselected="unlabeled")
    with raises(
        "<source>: `question` accepts a question of the file, one of "
        "['topic', 'tone']; got 'topics'."
    ):
        read_one("label_studio", two, unselected="unlabeled", question="topics")
    with raises(
        "<source>, line 1: expected results of type 'choices'; got ['taxonomy']. Pass "
        "question= to name the Choices tag to read."
    ):
        taxonomy = studio(result("war", kind="taxonomy"))
        read_one("label_studio", taxonomy, unselected="unlabeled")
    with raises(
        "<source>, line 1: expected 'choices' in the value of 'topic'; got "
        "{'taxonomy': ['war']}."
    ):
        read_one("label_studio", taxonomy, unselected="unlabeled", question="topic")
    for tag in (None, ["topic"]):
        with raises(
            f"<source>, line 1: expected the name of a tag in 'from_name'; got {tag}."
        ):
            nameless = studio({**result("war"), "from_name": tag})
            read_one("label_studio", nameless, unselected="unlabeled")
    with raises(
        "<source>, line 1: expected one result of 'topic' in an annotation; got 2."
    ):
        twice = studio(result("war"), result("law"))
        read_one("label_studio", twice, unselected="unlabeled")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data": 5}, "an object in 'data'; got 5."),
        ({"annotations": None}, "a list in 'annotations'; got None."),
        ({"annotations": [17]}, "objects in 'annotations'; got 17."),
        ({"annotations": [{}]}, "a list of objects in 'result'; got None."),
        (
            {"annotations": [{"result": [], "was_cancelled": "no"}]},
            "true or false in 'was_cancelled'; got 'no'.",
        ),
    ],
)
def test_label_studio_shapes(change, expected):
    with raises(f"<source>, line 1: expected {expected}"):
        read_one("label_studio", {**studio(), **change}, unselected="unlabeled")


def test_label_studio_json_min():
    with raises(
        "<source>, line 1: expected a task with 'data' and 'annotations'; got "
        "['sample_id', 'topic']. For a JSON_MIN export, pass question=, the name of "
        "its Choices tag."
    ):
        read_one("label_studio", {"sample_id": 1, "topic": "war"})
    with raises(
        "<source>, line 1: expected an answer in 'topic', or 'annotation_id'; got "
        "neither, which leaves open whether anyone reviewed the task. Export as JSON."
    ):
        read_one("label_studio", {"sample_id": 1}, question="topic")
    with pytest.raises(ValueError, match="^<source>: `question` accepts a question of"):
        read_one(
            "label_studio",
            {"sample_id": 1, "topic": "war", "annotation_id": 4},
            question="topics",
            unselected="negative",
            options=["war"],
        )


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            {"answer": "yes", "label": "war"},
            "expected 'accept', 'reject' or 'ignore' in 'answer'; got 'yes'.",
        ),
        (
            {"answer": "accept"},
            "expected 'label', or 'options' and 'accept'; got ['sample_id', 'answer'].",
        ),
        (
            {"answer": "accept", "label": ["war"]},
            "expected one label in 'label'; got a list, as in doccano's exports: pass "
            'format="doccano" for these.',
        ),
        (
            {"answer": "accept", "options": [{"id": "war"}]},
            "expected the list of the options chosen in 'accept'; got None.",
        ),
        (
            {"answer": "accept", "options": ["war"], "accept": []},
            "expected a list of objects with 'id' in 'options'; got ['war'].",
        ),
    ],
)
def test_prodigy_shapes(task, message):
    with raises(f"<source>, line 1: {message}"):
        read_one("prodigy", {"sample_id": 1, **task}, unselected="unlabeled")


def test_argilla_without_status_is_refused():
    with raises(
        "<source>, line 1: expected the 'status' of a response, without which a draft "
        "looks like an answer; got none. Export records.to_list(flatten=True), which "
        "has it, or pass confirmed=True if all responses were submitted."
    ):
        read_one("argilla", argilla(), unselected="unlabeled")
    with raises(
        "<source>, line 1: expected one of ('submitted', 'discarded', 'draft') in "
        "'status'; got 'pending'."
    ):
        read_one("argilla", argilla(status="pending"), unselected="unlabeled")


def test_argilla_shapes():
    record = argilla()
    for responses, expected in [
        (5, "expected a list or an object in 'responses'; got 5."),
        ({"topic": 5}, "expected responses, objects with 'value', in 'topic'; got 5."),
        ({"topic": [{}]}, "expected responses, objects with 'value', in 'topic'; got "),
        ([5], "expected responses, objects with 'value', in 'responses'; got 5."),
        ([{"values": 5}], "expected responses, objects with 'value', in 'values'; got"),
        (
            [{"values": {"topic": "war"}, "status": "submitted"}],
            "expected responses, objects with 'value', in 'topic'; got 'war'.",
        ),
    ]:
        with pytest.raises(ValueError, match=re.escape(f"line 1: {expected}")):
            read_one(
                "argilla", {**record, "responses": responses}, unselected="unlabeled"
            )
    with pytest.raises(
        ValueError, match="one of the older text classification datasets"
    ):
        old = {"text": "t", "annotation": "war", "prediction": None, "id": 1}
        read_one("argilla", old)
    with pytest.raises(
        ValueError, match="expected lists of one length in 't.responses'"
    ):
        flat = {"sample_id": 1, "t.responses": ["war"], "t.responses.status": []}
        read_one("argilla", {**flat, "t.responses.users": ["a", "b"]})


def test_argilla_flat_responses_are_lists():
    with raises("<source>, line 1: expected a list in 't.responses'; got 5."):
        read_one("argilla", {"sample_id": 1, "t.responses": 5})


@pytest.mark.parametrize("chosen", [["maybe"], ["yes", "no"]])
def test_questions_about_one_label_have_yes_or_no(chosen):
    with raises(
        "<source>, line 1: expected 'yes' or 'no' about 'war', the label in "
        f"'asked_label'; got {chosen}."
    ):
        read_one("doccano", {"sample_id": 1, "asked_label": "war", "label": chosen})


# Arguments


def test_arguments():
    with raises(f"`format` accepts one of {tuple(FORMATS)}; got 'xml'."):
        read_annotations("x", "xml")
    with raises(
        "`unselected` has no meaning for format='csv', which takes `annotator`, "
        "`columns`, `delimiter`, `values`; got 'negative'."
    ):
        read_annotations("x", "csv", unselected="negative")
    with raises(
        "`unselected` accepts None or one of ('unlabeled', 'negative'); got 0."
    ):
        read_annotations("x", "doccano", unselected=0)
    for confirmed in ("a", False, 5):
        with raises(
            "`confirmed` accepts None, True where everything was reviewed, or the ids "
            f"of the samples that were; got {confirmed!r}.",
            TypeError,
        ):
            read_annotations("x", "doccano", confirmed=confirmed)
    with raises("`options` must all differ as text; got 'a' twice."):
        read_annotations("x", "doccano", options=["a", "a"])
    with raises("`options` accepts names that are not empty; got '' at position 1."):
        read_annotations("x", "doccano", options=["a", ""])
    with raises(
        "`options` accepts a sequence of names; got the string 'ab'.", TypeError
    ):
        read_annotations("x", "doccano", options="ab")
    with raises("`delimiter` accepts one character; got '::'."):
        read_annotations("x", "csv", delimiter="::")
    with raises("`columns` accepts a dict; got list.", TypeError):
        read_annotations("x", "csv", columns=["a"])
    with pytest.raises(ValueError, match="^`columns` accepts names of fields of the"):
        read_annotations(io.StringIO(GOOD["csv"]), "csv", columns={"id": "a"})
    with raises("`id_field` accepts the name of a field; got 5.", TypeError):
        read_annotations("x", "prodigy", id_field=5)
    with raises("`source` accepts a path or an open file; got list.", TypeError):
        read_annotations([1], "csv")
    with pytest.raises(FileNotFoundError):
        read_annotations("no such file", "csv")
