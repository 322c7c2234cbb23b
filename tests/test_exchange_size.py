"""Files larger than what is held of them at once, and ids that look alike."""

import io
import json

import numpy as np
import pytest

from sklearn_masked.annotation import Annotations, read_annotations, write_annotations
from sklearn_masked.annotation.exchange import _columns, _decode


def long_form(n, text="€" * 40):
    return [
        {
            "sample": f"doc-{i % 700}ü",
            "label": f"l{i % 7}",
            "value": i % 2,
            "text": text,
        }
        for i in range(n)
    ]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("shift", range(4))
def test_arrays_and_lines_across_the_ends_of_what_is_read_at_once(
    indent, shift, tmp_path
):
    records = long_form(1500)
    array = " " * shift + json.dumps(records, ensure_ascii=False, indent=indent)
    lines = "\n" * shift + "\n".join(
        json.dumps(record, ensure_ascii=False) for record in records
    )
    for text in (array, lines):
        file = tmp_path / "export"
        file.write_text(text, encoding="utf-8")
        answers = read_annotations(file, "jsonl")
        assert answers.ids.tolist() == [record["sample"] for record in records]
        assert answers.answers.tolist() == [record["value"] for record in records]
        assert read_annotations(io.StringIO(text), "jsonl") == answers
        first = 1 if text is array else 1 + shift
        assert answers.numbers.tolist() == list(range(first, first + 1500))


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 50])
def test_what_is_read_at_once_may_end_anywhere(chunk, monkeypatch, tmp_path):
    monkeypatch.setattr(_decode, "_CHUNK", chunk)
    records = [
        {"sample": "ü€\U0001f3c6\n\\", "more": [True, None, -1.5e10, False, {}, ""]},
        {"sample": 12345678, "more": {"a": [[]], "b": '"}],{'}},
    ] * 3
    records = [{"value": True, "label": "\u2028x", **record} for record in records]
    file = tmp_path / "export"
    for ascii in (True, False):
        for indent in (None, 2):
            text = json.dumps(records, ensure_ascii=ascii, indent=indent)
            file.write_text(" \n" + text + "\n ", encoding="utf-8")
            answers = read_annotations(file, "jsonl")
            assert answers.ids.tolist() == ["ü€\U0001f3c6\n\\", "12345678"] * 3
            assert set(answers.labels) == {"\u2028x"}
        text = "\r\n".join(json.dumps(one, ensure_ascii=ascii) for one in records)
        file.write_text(text, encoding="utf-8", newline="")
        assert read_annotations(file, "jsonl").numbers.tolist() == list(range(1, 7))


def test_a_record_longer_than_what_is_read_at_once(tmp_path):
    record = {"sample": "a", "label": "x", "value": 1, "text": '"}],' * 100_000}
    for text in (json.dumps(record), json.dumps([record, {**record, "label": "y"}])):
        assert read_annotations(io.StringIO(text), "jsonl").ids[0] == "a"
        with pytest.raises(ValueError, match="the file ends in the middle of "):
            read_annotations(io.StringIO(text[:-100]), "jsonl")


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_a_line_without_end_is_refused_before_it_is_held(format, monkeypatch):
    monkeypatch.setattr(_decode, "_LONGEST", 1 << 20)
    text = {
        "jsonl": '{"sample": "a", "label": "x", "value": 1}\n{"sample": "'
        + "b" * (3 << 20),
        "csv": "sample,label,value\n" + "b" * (3 << 20),
    }[format]
    with pytest.raises(
        ValueError,
        match="^<source>, line 2: expected a record a line; got a line of more than 1 "
        r"MiB\. Is this the format of the file\?$",
    ):
        read_annotations(io.StringIO(text), format)


def test_a_record_without_end_is_refused_before_it_is_held(monkeypatch):
    monkeypatch.setattr(_decode, "_LONGEST", 1 << 20)
    with pytest.raises(
        ValueError,
        match=r"^<source>, record 1 \(line 1\): expected a JSON object; got what is no "
        r"JSON \(Unterminated string starting at, on line 1\)\. Mend it, or ",
    ):
        read_annotations(io.StringIO('[{"a": "' + "b" * (9 << 20)), "jsonl")


def test_text_file_opened_in_another_encoding(tmp_path):
    file = tmp_path / "export"
    file.write_bytes("sample,label,value\nä,b,1\n".encode("latin-1"))
    with open(file, encoding="utf-8") as text:
        with pytest.raises(
            ValueError, match="^export, after line 0: .*byte 0xe4 where"
        ):
            read_annotations(text, "csv")
    with open(file, encoding="latin-1") as text:
        assert read_annotations(text, "csv").ids.tolist() == ["ä"]
    with open(file, "rb") as binary:
        with pytest.raises(ValueError, match="^export, line 2: .*byte 0xe4 where"):
            read_annotations(binary, "csv")


def test_more_ids_than_are_gathered_at_once():
    n = 150_000
    text = "sample,label,value\n" + "".join(f"d{i % 90_000},x,1\n" for i in range(n))
    answers = read_annotations(io.StringIO(text), "csv")
    assert answers.ids.tolist() == [f"d{i % 90_000}" for i in range(n)]
    labels = answers.to_labels(
        [f"d{i}" for i in range(90_000)], ["x"], on_conflict="last"
    )
    assert labels.n_cells == 90_000


@pytest.mark.parametrize(
    "ids", [["aa", "bb", "aa", "cc"], ["aaa", "a", "aaa", "aa"], ["a", "ab", "a", "b"]]
)
def test_different_ids_of_one_hash_stay_apart(ids, monkeypatch):
    monkeypatch.setattr(_columns, "hash", lambda _: 7, raising=False)
    text = "sample,label,value\n" + "".join(
        f"{one},x{i},{i % 2}\n" for i, one in enumerate(ids)
    )
    answers = read_annotations(io.StringIO(text), "csv")
    assert answers.ids.tolist() == ids
    labels = answers.to_labels(sorted(set(ids)))
    assert [labels.to_dense()[sorted(set(ids)).index(one), i] for i, one in
            enumerate(ids)] == [0, 1, 0, 1]  # fmt: skip


def test_no_answers_at_all(tmp_path):
    answers = read_annotations(io.StringIO("sample,label,value\na,x,\n"), "csv")
    for format in ("csv", "label_studio", "argilla"):
        write_annotations(answers, tmp_path / format, format, texts={})
        back = read_annotations(tmp_path / format, format)
        assert back == answers == Annotations.concat(answers, back)
        assert back.to_frame().empty and back.to_records() == []
        np.testing.assert_array_equal(
            back.to_labels(["a"], ["x"]).to_dense(), [[np.nan]]
        )
