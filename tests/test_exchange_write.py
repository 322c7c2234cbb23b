"""Answers and questions out, and back again."""

import io
import json
import os
import re
import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_masked.annotation import (
    Annotations,
    query_cells,
    read_annotations,
    seed_cells,
    write_annotations,
    write_queries,
)
from sklearn_masked.labels import MaskedLabels

NAN = np.nan
# What each form has no place for, by its documentation.
LACKS = {
    "csv": (),
    "jsonl": (),
    "label_studio": ("weights",),
    "prodigy": ("weights",),
    "doccano": ("annotators", "skips", "timestamps", "weights"),
    "argilla": ("timestamps", "weights"),
}
FORMATS = list(LACKS)
LINES = ["jsonl", "prodigy", "doccano"]


def raises(message, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def written(answers, format, **options):
    file = io.StringIO(newline="")
    write_annotations(answers, file, format, **options)
    file.seek(0)
    return file


def records_of(text, format):
    if format in LINES:
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text)


# Text with all that gets lost on the way: quotes, line ends, separators, other planes.
words = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\x00"),
        st.sampled_from("\r\n\t\",;'\\\u2028\ufeff\U0001f3c6 {}[]"),
    ),
    min_size=1,
    max_size=8,
)
ids = st.one_of(words, st.integers(-5, 10**12))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC).isoformat()
)
rows = st.lists(
    st.fixed_dictionaries(
        {"sample": ids, "label": words, "value": st.sampled_from([1, 0, "skip"])},
        optional={
            "annotator": words,
            "timestamp": moments,
            "weight": st.floats(0, 1e9),
        },
    )
    | st.fixed_dictionaries(
        {"sample": ids, "label": st.none(), "value": st.just("skip")}
    ),
    max_size=6,
)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=60, deadline=None)
@given(rows)
def test_round_trip_of_answers(format, rows):
    if not rows:
        return
    text = "".join(json.dumps(row) + "\n" for row in rows)
    answers = read_annotations(io.StringIO(text, newline=""), "jsonl")
    answers = answers.without(*LACKS[format])
    if not len(answers):
        return
    back = read_annotations(written(answers, format), format)
    assert back == answers


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([1, 0, NAN]), min_size=3, max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_round_trip_of_labels(format, matrix):
    names = ["war", "law, order", 'the "arts"']
    labels = MaskedLabels.from_dense(np.array(matrix), label_names=names)
    if not labels.n_cells:
        return
    sample_ids = [f"doc {i}\n" for i in range(len(matrix))]
    answers = Annotations.from_labels(labels, sample_ids)
    assert len(answers) == labels.n_cells
    back = read_annotations(written(answers, format), format)
    assert back.to_labels(sample_ids, names) == labels
    order = np.arange(len(matrix))[::-1]
    assert back.to_labels([sample_ids[i] for i in order], names) == labels[order]


@pytest.mark.parametrize("format", ["label_studio", "argilla"])
def test_answers_of_several_people_about_a_cell_are_one_task(format):
    text = "sample,label,value,annotator\na,war,1,ann\na,law,1,ann\na,war,0,ben\n"
    answers = read_annotations(io.StringIO(text), "csv")
    file = written(answers, format)
    assert len(json.loads(file.getvalue())) == 2
    assert read_annotations(file, format) == answers


def test_from_labels_keeps_weights_and_both_fills():
    labels = MaskedLabels.from_cells(
        [0, 1], [0, 0], [1, 0], shape=(2, 1), weights=[1, 2.5], label_names=["war"]
    )
    answers = Annotations.from_labels(labels, [7, 8])
    assert answers.to_records() == [
        {"sample": "7", "label": "war", "value": 1, "weight": 1},
        {"sample": "8", "label": "war", "value": 0, "weight": 2.5},
    ]
    assert answers.to_labels([7, 8]) == labels
    dense = np.array([[1, 0, -1]])
    negative = MaskedLabels.from_sparse(sp.csr_matrix(dense), implicit="negative")
    answers = Annotations.from_labels(negative, ["a"], list("xyz"))
    assert [(r["label"], r["value"]) for r in answers.to_records()] == [
        ("x", 1),
        ("y", 0),
    ]


def test_from_labels_arguments():
    labels = MaskedLabels.from_dense(np.array([[1, NAN]]))
    with raises(
        "`label_names` is needed: these labels have no names, and answers are joined "
        "by name."
    ):
        Annotations.from_labels(labels, ["a"])
    with raises(
        "`labels` must have the 2 samples of `sample_ids` and the 2 labels of "
        "`label_names`; got (1, 2)."
    ):
        Annotations.from_labels(labels, ["a", "b"], ["x", "y"])


ALL = '{"sample": "a", "label": "war", "value": 1, "annotator": "anna", "weight": 2, "timestamp": "2026-03-01"}\n{"sample": "b", "label": "war", "value": "skip"}\n'  # noqa: E501


@pytest.mark.parametrize("format", [name for name in FORMATS if LACKS[name]])
def test_what_a_form_cannot_carry_is_refused(format, tmp_path):
    answers = read_annotations(io.StringIO(ALL), "jsonl")
    lacks = LACKS[format]
    with raises(
        f"format={format!r} has no place for the {' and '.join(lacks)} of these "
        f"answers; pass annotations.without({', '.join(map(repr, lacks))})."
    ):
        write_annotations(answers, tmp_path / "out", format)
    assert not list(tmp_path.iterdir())
    write_annotations(answers.without(*lacks), tmp_path / "out", format)


def test_texts_are_joined_by_id_and_all_are_needed(tmp_path):
    answers = read_annotations(
        io.StringIO("sample,label,value\n2,war,1\n1,war,0\n"), "csv"
    )
    texts = {1: "Peace talks", "2": "Cup final", 3: "Weather"}
    for format in FORMATS:
        text = written(answers, format, texts=texts).getvalue()
        first, second = (text.index(one) for one in ("Cup final", "Peace talks"))
        if format == "csv":
            assert text.splitlines()[1:] == [
                "2,war,yes,Cup final",
                "1,war,no,Peace talks",
            ]
        assert (first < second) and "Weather" not in text
        assert read_annotations(io.StringIO(text, newline=""), format) == answers
    with raises("`texts` must have the text of every sample; got none of '1'."):
        written(answers, "csv", texts={"2": "Cup final"})
    with raises(
        "`texts` accepts a mapping from id to text; got list. Answers are joined by "
        "id, never by order.",
        TypeError,
    ):
        written(answers, "csv", texts=["Cup final", "Peace talks"])
    with raises("`texts` accepts text; got float for sample '1'.", TypeError):
        written(answers, "csv", texts={1: NAN, 2: "x"})


def test_a_file_is_replaced_only_once_all_is_written(tmp_path, monkeypatch):
    answers = read_annotations(io.StringIO("sample,label,value\na,war,1\n"), "csv")
    target = tmp_path / "out.jsonl"
    write_annotations(answers, target, "jsonl")
    before = target.read_bytes()
    assert before == b'{"sample": "a", "label": "war", "value": "yes"}\n'

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_annotations(answers, target, "csv")
    assert target.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["out.jsonl"]


def test_write_arguments():
    answers = read_annotations(io.StringIO("sample,label,value\na,war,1\n"), "csv")
    with raises(
        "`annotations` accepts Annotations, as of read_annotations or "
        "Annotations.from_labels; got dict.",
        TypeError,
    ):
        write_annotations({}, io.StringIO(), "csv")
    with raises("`target` accepts a path or an open text file; got int.", TypeError):
        write_annotations(answers, 5, "csv")
    with pytest.raises(ValueError, match="^`format` accepts one of "):
        write_annotations(answers, io.StringIO(), "parquet")


# Questions


LABELS = np.array([[1, NAN], [NAN, 0], [NAN, NAN]])
PROBA = np.array([[0.9, 0.5], [0.25, 0.1], [0.8, 0.75]])
IDS, NAMES = ["doc-a", 17, "doc-c"], ["war", "law"]
TEXTS = ["Cup final", 'Peace, "at last"', "Verdict"]


@pytest.fixture(scope="module")
def cells():
    return query_cells(PROBA, LABELS, n_cells=4, strategy="uncertain", random_state=0)


def asked(cells, format, **options):
    file = io.StringIO(newline="")
    options = {"sample_ids": IDS, "label_names": NAMES, **options}
    write_queries(cells, file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("texts", [None, TEXTS])
def test_questions_are_no_answers(format, texts, cells):
    text = asked(cells, format, texts=texts)
    answers = read_annotations(io.StringIO(text, newline=""), format)
    assert len(answers) == 0
    assert answers.n_records == answers.n_not_reviewed == 4
    assert answers.to_labels(IDS, NAMES).n_cells == 0


def test_questions_in_csv(cells):
    assert asked(cells, "csv", texts=TEXTS).splitlines() == [
        "sample,label,value,probability,text",
        "doc-a,law,,0.5,Cup final",
        '17,war,,0.25,"Peace, ""at last"""',
        "doc-c,law,,0.75,Verdict",
        "doc-c,war,,0.8,Verdict",
    ]


def answer_all(text, format):
    """Return the questions as they come back: 'law' applies, 'war' does not."""
    if format == "csv":
        return re.sub(
            "^(.*),(war|law),,",
            lambda m: f"{m[1]},{m[2]},{'yes' if m[2] == 'law' else 'no'},",
            text,
            flags=re.M,
        )
    records = records_of(text, format)
    for number, record in enumerate(records):
        if format == "jsonl":
            record["value"] = "yes" if record["label"] == "law" else "no"
        elif format == "prodigy":
            record["answer"] = "accept" if record["label"] == "law" else "reject"
        elif format == "doccano":
            record["id"] = number
            record["label"] = ["yes" if record["asked_label"] == "law" else "no"]
        elif format == "label_studio":
            word = "yes" if record["data"]["asked_label"] == "law" else "no"
            result = {
                "from_name": "answer",
                "to_name": "text",
                "type": "choices",
                "value": {"choices": [word]},
            }
            record["annotations"] = [{"result": [result], "was_cancelled": False}]
        else:
            word = "yes" if record["metadata"]["asked_label"] == "law" else "no"
            response = {"value": word, "user_id": "u", "status": "submitted"}
            record["responses"] = {"answer": [response]}
    dump = [json.dumps(record) for record in records]
    return "\n".join(dump) if format in LINES else f"[{','.join(dump)}]"


@pytest.mark.parametrize("format", FORMATS)
def test_questions_come_back_as_labels(format, cells):
    text = answer_all(asked(cells, format, texts=TEXTS), format)
    answers = read_annotations(io.StringIO(text, newline=""), format)
    assert answers.to_labels(IDS, NAMES).to_dense().tolist()[2] == [0, 1]
    np.testing.assert_array_equal(
        answers.to_labels(IDS, NAMES).to_dense(), [[NAN, 1], [0, NAN], [0, 1]]
    )


def test_label_studio_json_min_of_questions(cells):
    tasks = records_of(asked(cells, "label_studio", texts=TEXTS), "label_studio")
    flat = [
        {**task["data"], "id": i, "answer": "yes", "annotation_id": i}
        for i, task in enumerate(tasks)
    ]
    answers = read_annotations(
        io.StringIO(json.dumps(flat)), "label_studio", question="answer"
    )
    assert answers.answers.tolist() == [1] * 4


def test_probabilities_are_predictions(cells):
    task = records_of(asked(cells, "label_studio"), "label_studio")[1]
    assert task["data"]["sample_id"] == "17"
    assert task["predictions"] == [
        {
            "model_version": "sklearn_masked",
            "score": 0.75,
            "result": [
                {
                    "from_name": "answer",
                    "to_name": "text",
                    "type": "choices",
                    "value": {"choices": ["no"]},
                }
            ],
        }
    ]
    record = records_of(asked(cells, "argilla"), "argilla")[2]
    assert record["suggestions"] == {
        "answer": {"value": "yes", "score": 0.75, "agent": "sklearn_masked"}
    }
    assert record["responses"] == {}
    assert (
        len({one["id"] for one in records_of(asked(cells, "argilla"), "argilla")}) == 4
    )


def test_seeds_have_no_probability():
    X = sp.csr_matrix(np.eye(3))
    labels = MaskedLabels.from_dense(LABELS, label_names=NAMES)
    cells = seed_cells(X, {"war": X[[1, 2]]}, labels, n_cells=2, random_state=0)
    for format in FORMATS:
        text = asked(cells, format, label_names=None)
        assert '"score"' not in text and "predictions" not in text
        assert "nan" not in text.lower() and '"probability"' not in text


def test_query_arguments(cells):
    with raises(
        "`label_names` is needed: these cells do not know the names of the labels."
    ):
        asked(cells, "csv", label_names=None)
    with raises(
        "`sample_ids` must name all that `cells` ask about; got 2, and row 2 asks "
        "about sample 2."
    ):
        asked(cells, "csv", sample_ids=["a", "b"])
    with raises(
        "`label_names` must name all that `cells` ask about; got 1, and row 0 asks "
        "about label 1."
    ):
        asked(cells, "csv", label_names=["war"])
    with raises(
        "`texts` must have a text for each of the 3 ids of `sample_ids`; got 1."
    ):
        asked(cells, "csv", texts=["x"])
    with raises("`texts` accepts text; got NoneType for sample '17'.", TypeError):
        asked(cells, "csv", texts=["x", None, "y"])
    with raises("`cells` accepts positions in 'label'; got dtype <U3.", TypeError):
        table = np.array([(0, "war")], dtype=[("sample", int), ("label", "U3")])
        asked(table, "csv")
    with raises(
        "`cells` accepts a table of cells with 'sample' and 'label', as of "
        "query_cells; got list.",
        TypeError,
    ):
        asked([(0, 1)], "csv")


# Size


@pytest.mark.parametrize("format", FORMATS)
def test_memory_grows_with_the_answers_and_not_with_the_file(format, tmp_path):
    def peak(n, length):
        labels = MaskedLabels.from_dense(np.ones((n, 1)), label_names=["war"])
        answers = Annotations.from_labels(labels, range(n))
        file = tmp_path / f"{n}"
        texts = dict.fromkeys(range(n), "x" * length)
        write_annotations(answers, file, format, texts=texts)
        tracemalloc.start()
        assert len(read_annotations(file, format)) == n
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size, file.stat().st_size

    short, _ = peak(2000, 10)
    long, on_disk = peak(2000, 4000)
    assert on_disk > 8_000_000
    assert long < short + 600_000
    assert long < 2_000_000
