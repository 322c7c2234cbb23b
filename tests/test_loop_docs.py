"""The page on the labeling loop runs as it stands."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "labeling.md"


def test_the_page_on_the_loop_runs_in_its_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert len(blocks) == 8
    names = {}
    for block in blocks:
        exec(compile(block, "labeling.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "[('ann', 1), ('bob', 0)]" in printed
    assert "112 of 1180 cells labeled, by 112 answers of 1 annotator\n" in printed
    files = {file.name for file in (tmp_path / "answers").iterdir()}
    named = set(re.findall(r"`([a-z.]+)`", table()))
    assert files == named - {"answers.torn", "answers.damaged.jsonl"}
    assert "1 lost.\nDamaged lines: 1" in printed
    damaged = {file.name for file in (tmp_path / "damaged").iterdir()}
    assert "answers.damaged.jsonl" in damaged


def table():
    """Return the first column of the table of files."""
    rows = PAGE.read_text().split("## What is in the folder")[1].split("##")[0]
    return "\n".join(row.split("|")[1] for row in rows.splitlines() if "|" in row)
