"""What docs/security.md claims is shown by tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "security.md"


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    there = {name for path in TESTS.rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    assert len(named) > 60
    assert named - there == set()


def test_every_row_has_its_tests_or_says_why_not():
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| (API\d+|\d+\.\d+\.\d+) ", line)]
    assert len(rows) == 10 + 13 + 7 + 17
    for row in rows:
        excused = re.search(r"\| (no|n/a) \|", row) or row.startswith("| 16.1.1 ")
        assert "`test_" in row or excused, row
