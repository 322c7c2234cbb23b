"""The guide to annotation tools runs as it stands, with the exports that it shows."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "annotation_tools.md"
FENCE = re.compile(r"(?:`([\w.]+)`:\n\n)?^```(\w*)\n(.*?)^```", re.M | re.S)


def test_guide_runs_in_its_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names, n_run, n_shown = {}, 0, 0
    for file, kind, text in FENCE.findall(GUIDE.read_text(encoding="utf-8")):
        if kind == "python":
            n_run += 1
            exec(compile(text, GUIDE.name, "exec"), names)
        elif kind in ("json", "csv"):
            n_shown += 1
            assert file, "an export without a name"
            Path(file).write_text(text, encoding="utf-8")
    assert n_run == 16 and n_shown == 5
    shown = capsys.readouterr().out
    assert "Annotations(2 records: 1 yes, 0 no, 1 skipped, 0 not reviewed)" in shown
    assert "Annotations(2 records: 1 yes, 1 no, 0 skipped, 0 not reviewed)" in shown
    assert "Annotations(2 records: 1 yes, 0 no, 0 skipped, 1 not reviewed)" in shown
    assert "MaskedLabels(3 x 3, 2 labeled cells: 1 positive, 1 negative)" in shown
    np.testing.assert_array_equal(
        names["labels"].to_dense(),
        [[1, np.nan, np.nan], [np.nan, 1, 0], [np.nan, np.nan, 1]],
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [("tasks.jsonl", "prodigy.jsonl"), ("examples.jsonl", "doccano.jsonl")],
)
def test_shown_exports_are_of_the_questions_written(
    written, shown, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    names = {}
    for file, kind, text in FENCE.findall(GUIDE.read_text(encoding="utf-8")):
        if kind == "python":
            exec(compile(text, GUIDE.name, "exec"), names)
        elif file:
            Path(file).write_text(text, encoding="utf-8")
    asked, answered = (
        [json.loads(line) for line in Path(name).read_text().splitlines()]
        for name in (written, shown)
    )
    for question, answer in zip(asked, answered, strict=True):
        same = set(question) - {"label", "probability"}
        assert {key: answer[key] for key in same} == {
            key: question[key] for key in same
        }
