"""What the terminal program reads, and what it leaves behind."""

import csv
import json
from pathlib import Path

import joblib
import numpy as np
import pytest

from sklearn_masked.annotation import LabelingLoop, read_annotations
from sklearn_masked.annotation.terminal._export import write_answers, write_model
from sklearn_masked.annotation.terminal._labels import read_labels
from sklearn_masked.annotation.terminal._texts import Pool, read_texts


def written(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(call, *arguments):
    with pytest.raises(ValueError) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "texts", "ids"),
    [
        ("a.csv", "text\na war\nrain\n", ["a war", "rain"], None),
        ("a.csv", "\ufefftext\r\na war\r\n", ["a war"], None),  # as Excel saves it
        ("a.csv", "id,text\n7,a war\nx,rain\n", ["a war", "rain"], ["7", "x"]),
        ("a.csv", 'text\n"a war,\n""won"""\n\nrain\n', ['a war,\n"won"', "rain"], None),
        ("a.csv", 'text\na\n""\n', ["a", ""], None),  # a place of its own
        ("a.csv", "text\n" + "x" * 200_000, ["x" * 200_000], None),
        ("a.tsv", "id\ttext\n1\tone, two\n", ["one, two"], ["1"]),
        ("a.txt", "a war\r\n\n  \nrain", ["a war", "rain"], None),
        ("a.TXT", "one\x0cpage\nrain", ["one\x0cpage", "rain"], None),
        ("a.jsonl", '{"text": "a\\nb", "id": 7}\n\n', ["a\nb"], ["7"]),
        ("a.jsonl", '{"n": 1, "text": "\\ud83d"}', ["\ufffd"], None),
    ],
)
def test_texts_and_ids_are_read(tmp_path, name, text, texts, ids):
    assert read_texts(written(tmp_path, name, text)) == Pool(texts, ids)


def test_columns_are_those_that_are_named(tmp_path):
    path = written(tmp_path, "a.csv", "key,text,body\n1,no,yes\n2,no,yes too\n")
    pool = read_texts(path, text_column="body", id_column="key")
    assert pool == Pool(["yes", "yes too"], ["1", "2"])
    path = written(tmp_path, "b.csv", "id,text\n1,a\n1,b\n")  # `id` is the text
    assert read_texts(path, text_column="id").texts == ["1", "1"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "a.csv is empty; a header and texts are expected."),
        ("a.csv", "text\n", "a.csv has no text; one or more are expected."),
        ("a.txt", "\n \n", "a.txt has no text; one or more are expected."),
        ("a.jsonl", "", "a.jsonl must have a column 'text', or"),
        ("a.csv", "text\na\n\n\nb,c\n", "a.csv, line 5: 1 fields are expected, as in"),
        ("a.csv", 'text\n"a\nb"\n"c"d\n', "a.csv, line 4: not a row of CSV ("),
        ("a.csv", 'text\na\n"never ends\n', "a.csv, line 3: not a row of CSV ("),
        ("a.csv", "text,text\na,b\n", "a.csv, line 1: each column must have a name"),
        ("a.csv", "n,body\n1,a\n", "it has 'n', 'body'."),
        ("a.csv", "body\na war\n", "it has 'body'. If that is the name of the column,"),
        ("a.csv", "id;text\n1;a\n", "it has 'id;text'. The columns must be separated"),
        (
            "a.csv",
            "id,text\n1,a\n2,b\n1,c\n",
            "line 4: ids must all differ; '1' stands",
        ),
        ("a.csv", "id,text\n1,a\n,b\n", "a.csv, line 3: 'id' must be an id; got ''."),
        ("a.csv", b"text\na\nb\xe9\n", "line 3: must be UTF-8; got the byte 0xe9."),
        ("a.csv", "text\na".encode("utf-16"), "a.csv must be UTF-8; it is UTF-16."),
        ("a.jsonl", '{"text": "a"}\n{"text"', "a.jsonl, line 2: not JSON ("),
        (
            "a.jsonl",
            '\n["a"]',
            'line 2: an object is expected, such as {"text": "..."}',
        ),
        (
            "a.jsonl",
            '{"text": "a"}\n{"text": 3}',
            "line 2: 'text' must be text; got 3.",
        ),
        ("a.jsonl", '{"text": "a"}\n{}', "line 2: 'text' must be text; got None."),
        (
            "a.jsonl",
            '{"text": "a", "id": true}',
            "line 1: 'id' must be an id; got True",
        ),
        ("a.xlsx", "text\na\n", "must end in .csv, .tsv, .jsonl or .txt, which says"),
        ("a", "text\na\n", "says how to read it; it ends in nothing."),
    ],
)
def test_files_of_texts_that_cannot_be_read(tmp_path, name, text, said):
    message = refusal(read_texts, written(tmp_path, name, text))
    assert said in message


def test_columns_that_are_not_there(tmp_path):
    path = written(tmp_path, "a.csv", "text\na\n")
    said = "must be a column of {}, which has 'text'; got 'body'."
    assert refusal(read_texts, path, "body") == "--text-column " + said.format(path)
    assert refusal(read_texts, path, None, "body") == "--id-column " + said.format(path)
    path = written(tmp_path, "a.txt", "a\n")
    assert "has a text a line, and no columns" in refusal(read_texts, path, "text")


def test_labels_and_their_words_are_read(tmp_path):
    text = "\ufeffsport\r\n\n  politics :  vote  party\nre:zero\ncrime:\n賭博: 籤\n"
    names, words, *_ = read_labels(written(tmp_path, "labels.txt", text))
    assert names == ["sport", "politics", "re:zero", "crime", "賭博"]
    assert words == {"politics": "vote  party", "賭博": "籤"}


def test_a_hierarchy_and_exclusive_groups_are_read(tmp_path):
    text = "sport: game\nsport > football: goal\nsport > ball > tennis\na | b | sport\n"
    found = read_labels(written(tmp_path, "labels.txt", text + "ball: round\n"))
    assert found.names == ["sport", "football", "ball", "tennis", "a", "b"]
    assert found.words == {"sport": "game", "football": "goal", "ball": "round"}
    assert found.parents == {"football": "sport", "ball": "sport", "tennis": "ball"}
    assert found.exclusive == [["a", "b", "sport"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a > \n", "line 1: a label must have a name"),
        ("a |  | b\n", "line 1: a label must have a name"),
        ("a > b\nc > b\n", "line 2: labels must all differ; 'b' stands on line 1"),
        ("a > b\nc > b > d\n", "line 2: a label is below one other at most; 'b' is"),
        ("a | b: words\n", "line 1: labels of which at most one applies stand alone"),
        ("a | b > c\n", "line 1: labels of which at most one applies stand alone"),
        ("\n", "labels.txt has no label; one a line is expected."),
        (
            "a\n\na: b\n",
            "line 3: labels must all differ; 'a' stands on line 1 already.",
        ),
        ("a\n: b\n", "line 2: a label must have a name, with words behind a colon"),
        ("a\nb\x1bc\n", "line 2: a label must have a name"),
        (b"a\n\xff\n", "line 2: must be UTF-8; got the byte 0xff."),
    ],
)
def test_files_of_labels_that_cannot_be_read(tmp_path, text, said):
    assert said in refusal(read_labels, written(tmp_path, "labels.txt", text))


@pytest.mark.parametrize("ids", [None, ["x", "y", "z"]])
def test_answers_are_written_in_long_form(tmp_path, ids):
    pool = Pool(["a war\n", 'one "theft", 賭', "rain"], ids)
    path = tmp_path / "labels.csv"
    with LabelingLoop(
        None,
        pool.texts,
        folder=tmp_path / "loop",
        label_names=["war", "crime"],
        sample_ids=ids,
    ) as loop:
        loop.answer([0, 1, 2, 2], [0, 1, 0, 1], [1, 0, None, 1], annotator="ann")
        loop.undo(annotator="ann")
        assert write_answers(loop, pool, path) == 3
        labels = loop.labels
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["value"] for row in rows] == ["yes", "no", "skip"]
    assert [row["text"] for row in rows] == pool.texts
    assert rows[0]["sample"] == ("x" if ids else "0")
    assert {row["annotator"] for row in rows} == {"ann"}
    answers = read_annotations(path, "csv")
    again = answers.to_labels(ids or ["0", "1", "2"], ["war", "crime"])
    np.testing.assert_array_equal(again.to_dense(), labels.to_dense())
    assert [one.name for one in tmp_path.iterdir()].count("labels.csv.part") == 0


def test_model_is_written_with_its_vectorizer_and_is_not_stale(tmp_path):
    texts = ["a war goes on", "a thief was here", "war again", "rain"]
    path = tmp_path / "model.pkl"
    with LabelingLoop(
        None, texts, folder=tmp_path / "loop", label_names=["war"], random_state=0
    ) as loop:
        with pytest.raises(ValueError, match="needs one labeled cell or more"):
            write_model(loop, path)
        assert not path.exists()
        loop.answer([0, 1], [0, 0], [1, 0])
        write_model(loop, path)
        first = joblib.load(path).predict_proba(["a war", "rain"])
        assert first.shape == (2, 1)
        loop.answer([2, 3], [0, 0], [0, 1])
        write_model(loop, path)
        assert loop.report().n_since_fit == 0
        assert (joblib.load(path).predict_proba(["a war", "rain"]) != first).any()


def test_files_that_cannot_be_written_are_named(tmp_path):
    texts = ["a war", "rain"]
    with LabelingLoop(
        None, texts, folder=tmp_path / "loop", label_names=["war"]
    ) as loop:
        with pytest.raises(
            OSError, match=r"labels\.csv could not be written \(No such"
        ):
            write_answers(loop, Pool(texts, None), Path(tmp_path / "no" / "labels.csv"))


def test_ids_of_a_resumed_pool_let_texts_be_mended(tmp_path):
    rows = [{"id": "a", "text": "a wr"}, {"id": "b", "text": "rain"}]
    lines = "\n".join(map(json.dumps, rows))
    pool = read_texts(written(tmp_path, "a.jsonl", lines))
    options = {"folder": tmp_path / "loop", "label_names": ["war"]}
    with LabelingLoop(None, pool.texts, sample_ids=pool.ids, **options) as loop:
        loop.answer("a", "war", 1)
    rows[0]["text"] = "a war"
    lines = "\n".join(map(json.dumps, [*rows, {"id": "c", "text": "new"}]))
    pool = read_texts(written(tmp_path, "a.jsonl", lines))
    with LabelingLoop(None, pool.texts, sample_ids=pool.ids, **options) as loop:
        assert loop.labels.n_cells == 1
