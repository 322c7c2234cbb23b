"""What the terminal program reads, and what it leaves behind."""

import csv
import gzip
import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest

from sklearn_masked.annotate import main
from sklearn_masked.annotation import LabelingLoop, read_annotations
from sklearn_masked.annotation.session import Refused
from sklearn_masked.annotation.terminal._export import (
    no_formula,
    write_answers,
    write_model,
)
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
        (
            "a.json",
            '[{"text": "a", "id": 7},\n {"text": "b", "id": 8}]',
            ["a", "b"],
            ["7", "8"],
        ),
        (
            "a.CSV",
            "ID,Text,,\n1,a,,\n2,b\n".replace("b\n", "b,,\n"),
            ["a", "b"],
            ["1", "2"],
        ),
        ("a.csv", " TEXT \na\n", ["a"], None),
        ("a.csv.gz", gzip.compress(b"id,text\n1,a\n", mtime=0), ["a"], ["1"]),
        ("a.txt.gz", gzip.compress(b"a\nb", mtime=0), ["a", "b"], None),
    ],
)
def test_texts_and_ids_are_read(tmp_path, name, text, texts, ids):
    assert read_texts(written(tmp_path, name, text)) == Pool(texts, ids)


@pytest.mark.parametrize(
    ("name", "text", "options", "said"),
    [
        ("a.csv", "id;text\n1;é\n", {}, "read with semicolons between the fields."),
        ("a.tsv", "id,text\n1,é\n", {}, "read with commas between the fields."),
        ("a.csv", "id\ttext\n1\té\n", {}, "read with tabs between the fields."),
        ("a.csv", "id|TEXT\n1|é\n", {}, "read with bars (|) between the fields."),
        ("a.csv", "id;text\n1;é\n", {"delimiter": ";"}, ""),
        ("a.csv", "id,text\n1,é\n".encode("cp1252"), {}, "line 2: not UTF-8; the file"),
        ("a.csv", "id,text\n1,é\n".encode("cp1252"), {"encoding": "latin-1"}, ""),
        ("a.csv", "id,text\n1,é\n".encode("utf-16"), {}, "is read as UTF-16."),
        ("a.csv", "\ufeffid,text\n1,é\n", {"encoding": "UTF-8"}, ""),
    ],
)
def test_what_is_found_out_is_said(tmp_path, capsys, name, text, options, said):
    assert read_texts(written(tmp_path, name, text), **options) == Pool(["é"], ["1"])
    error = capsys.readouterr().err
    assert said in error and bool(said) == bool(error)


def test_an_encoding_that_is_none_is_refused(tmp_path):
    path = written(tmp_path, "a.csv", "text\na\n")
    with pytest.raises(ValueError, match="--encoding accepts the name of an encoding"):
        read_texts(path, encoding="klingon")
    path = written(tmp_path, "a.csv", b"text\n\xe9\n")
    with pytest.raises(ValueError, match="line 2: must be ascii; got the byte 0xe9"):
        read_texts(path, encoding="ascii")


def test_parquet_is_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table({"ID": [7, 8], "Text": ["a war", "rain"], "n": [1.5, None]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read_texts(tmp_path / "a.parquet") == Pool(["a war", "rain"], ["7", "8"])
    table = pa.table({"id": ["x", "y"], "text": ["a war", None]})
    parquet.write_table(table, tmp_path / "b.parquet")
    said = refusal(read_texts, tmp_path / "b.parquet")
    assert "b.parquet, row 2: 'text' must be text; got None." in said
    path = written(tmp_path, "c.parquet", (tmp_path / "b.parquet").read_bytes()[:-20])
    assert "c.parquet is no whole Parquet file (" in refusal(read_texts, path)


def test_a_spreadsheet_is_read(tmp_path, capsys):
    openpyxl = pytest.importorskip("openpyxl", reason="the extra `xlsx` is missing")
    book = openpyxl.Workbook()
    for row in [
        ["Id", "TEXT", None],
        [7, "a war"],
        [None, None, None],
        [8.0, "=1+1 é", ""],
    ]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert read_texts(tmp_path / "a.xlsx").ids == ["7", "8"]
    assert capsys.readouterr().err == ""
    book.create_sheet("more")
    book.active["A4"] = 7
    book.save(tmp_path / "b.xlsx")
    said = refusal(read_texts, tmp_path / "b.xlsx")
    assert "b.xlsx, row 4: ids must all differ; '7' stands on row 2 already." in said
    assert "is read from its first sheet, 'Sheet'." in capsys.readouterr().err
    path = written(tmp_path, "c.xlsx", (tmp_path / "b.xlsx").read_bytes()[:-200])
    assert "c.xlsx is no whole .xlsx file (" in refusal(read_texts, path)


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    for suffix, package in ((".xlsx", "openpyxl"), (".parquet", "pyarrow.parquet")):
        monkeypatch.setitem(sys.modules, package, None)
        path = written(tmp_path, f"a{suffix}", b"PK")
        with pytest.raises(Refused, match=f"needs {package}: pip install 'sk"):
            read_texts(path)


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
        ("a.csv", "id;body\n1;a\n", "it has 'id;body'. If another mark separates the"),
        (
            "a.csv",
            "id,text\n1,a\n2,b\n1,c\n",
            "line 4: ids must all differ; '1' stands",
        ),
        ("a.csv", "id,text\n1,a\n,b\n", "a.csv, line 3: 'id' must be an id; got ''."),
        ("a.csv", b"text\na\nb\x81\n", "line 3: must be UTF-8; got the byte 0x81."),
        ("a.csv", b"te\0xt\na\nb\xe9\n", "line 3: must be UTF-8; got the byte 0xe9."),
        ("a.jsonl", b'{"text": "b\xe9"}', "line 1: must be utf-8; got the byte 0xe9."),
        ("a.csv", "text,,\na,,b\n", "a.csv, line 2: 1 fields are expected, as in the"),
        ("a.csv", "Text,TEXT\na,b\n", "it has 'Text', 'TEXT'."),
        ("a.csv.gz", b"text\na\n", "a.csv.gz is no whole gzip file (Not a gzipped"),
        (
            "a.csv.gz",
            gzip.compress(b"text\na\n" * 9, mtime=0)[:-9],
            "is no whole gzip file (",
        ),
        ("a.json", '[{"text": "a"},\n{"text": ]', "a.json, line 2: not JSON (Expecti"),
        ("a.json", '[{"text": "a"}, {"te', "a.json, line 1: not JSON (Unterminated"),
        ("a.json", '[{"text": "a"}, 3]', "a.json, record 2: an object is expected"),
        ("a.json", '{"text": "a"}', "a.json, line 1: an array of objects is expected"),
        ("a.json", '[{"text": 3}]', "a.json, record 1: 'text' must be text; got 3."),
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
        ("a.docx", "text\na\n", "must end in .csv, .tsv, .json, .jsonl, .xlsx, .parqu"),
        ("a", "text\na\n", "says how to read it (.gz may follow); it ends in nothing."),
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
        (b"a\n\x81\n", "line 2: must be UTF-8; got the byte 0x81."),
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


# Predictions, and answers in other words


@pytest.fixture
def place(tmp_path):
    """Texts with answers enough for a model, in a folder of the program."""
    words = ["war", "rain"]
    lines = [f"t{i};=1+{i} {words[i % 2]} again" for i in range(20)]
    written(tmp_path, "texts.csv", "ID;Text\n" + "\n".join(lines) + "\n")
    written(tmp_path, "l.txt", "war\n-rain\n")
    answers = [
        f"t{i},{one},{'JX'[i % 2 != j]}"
        for i in range(16)
        for j, one in enumerate(["war", "-rain"])
    ]
    written(tmp_path, "old.csv", "\n".join(["sample,label,value", *answers]) + "\n")
    (tmp_path / "texts-answers").mkdir()
    with LabelingLoop(
        None,
        [line.split(";")[1] for line in lines],
        folder=tmp_path / "texts-answers",
        label_names=["war", "-rain"],
        sample_ids=[f"t{i}" for i in range(20)],
    ):
        pass
    return tmp_path


def run(place, capsys, *options):
    files = [place / "texts.csv", "--labels", place / "l.txt", *options]
    status = main([str(one) for one in files])
    said = capsys.readouterr()
    return status, said.out, said.err


def table(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_answers_come_in_by_other_words_and_predictions_go_out(place, capsys):
    status, out, error = run(place, capsys, "--import", place / "old.csv")
    assert status == 2 and "got 'J'. --values names other words." in error
    values = "--values", "j=yes, x=no"
    status, out, error = run(place, capsys, "--import", place / "old.csv", *values)
    assert status == 0 and "32 answers, of which 32 new" in out

    status, out, error = run(place, capsys, "--predict", place / "out.csv")
    assert (status, out) == (0, f"Predictions for 20 texts: {place / 'out.csv'}\n")
    assert (place / "out.csv").read_bytes().startswith(b"\xef\xbb\xbfid,text,war: prob")
    rows = table(place / "out.csv")
    assert list(rows[0]) == [
        "id",
        "text",
        "war: probability",
        "war: yes",
        "'-rain: probability",
        "'-rain: yes",
    ]
    assert [row["id"] for row in rows] == [f"t{i}" for i in range(20)]
    assert rows[3]["text"] == "'=1+3 rain again"  # no formula
    assert [row["war: yes"] for row in rows] == ["yes", "no"] * 10
    assert all(0 <= float(row["war: probability"]) <= 1 for row in rows)

    new = written(place, "new.jsonl", '{"text": "war, war"}\n{"text": "-5"}\n')
    options = "--predict", place / "out.csv", "--predict-from", new
    assert run(place, capsys, *options)[0] == 0  # this program wrote the file
    rows = table(place / "out.csv")
    assert [row["position"] for row in rows] == ["0", "1"]
    assert [row["text"] for row in rows] == ["war, war", "-5"]
    assert rows[0]["war: yes"] == "yes"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--predict", "texts.csv"], "--predict"),
        (["--predict", "new.txt", "--predict-from", "new.txt"], "--predict-from"),
        (["--predict-from", "new.txt"], "--predict-from needs --predict FILE"),
        (["--values", "j=yes"], "--values is for the file of --import; there is none."),
        (["--predict", "old.csv"], "old.csv exists, and is not what this program last"),
        (["--predict", "out.csv"], "fit_decisions() needs one labeled cell or more"),
    ],
)
def test_predictions_that_cannot_be_written(place, capsys, monkeypatch, options, said):
    monkeypatch.chdir(place)
    written(place, "new.txt", "a war\n")
    before = {path: path.read_bytes() for path in place.glob("*.*")}
    status, out, error = run(place, capsys, *options)
    assert status == 2 and said in error
    after = {path: path.read_bytes() for path in place.glob("*.*")}
    assert before == after


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--values", "ja"], "must be words and yes, no or skip, as in ja=yes,nein=no"),
        (["--values", "ja=si"], "got 'ja=si'"),
        (["--delimiter", "::"], "must be one character, or tab; got '::'"),
    ],
)
def test_options_that_cannot_be(place, capsys, options, said):
    with pytest.raises(SystemExit):
        run(place, capsys, *options)
    assert said in capsys.readouterr().err


def test_fields_that_spreadsheets_would_compute_are_text():
    assert no_formula("=SUM(A1)") == "'=SUM(A1)"
    assert [no_formula(one) for one in ("+x", "-x", "@x", "\tx")] == [
        "'+x",
        "'-x",
        "'@x",
        "'\tx",
    ]
    assert [no_formula(one) for one in ("a=b", "-3.5", "+4", 5, "")] == [
        "a=b",
        "-3.5",
        "+4",
        5,
        "",
    ]
