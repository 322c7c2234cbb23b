"""The list of slow tests that the root's conftest marks."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_slow_test_that_is_listed_exists():
    listed = (TESTS / "slow.txt").read_text().split()
    assert listed == sorted(set(listed))
    for name in listed:
        module, function = name.split("::")
        tree = ast.parse((TESTS / module).read_text())
        assert function in {getattr(node, "name", None) for node in tree.body}, name
