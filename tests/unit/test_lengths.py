"""No file of the service is longer than a reader takes in at once."""

from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def test_no_file_is_longer_than_three_hundred_lines():
    lengths = {str(path): path.read_text().count("\n") for path in (CHECKOUT / "src").rglob("*.py")}
    assert len(lengths) > 100
    assert {path: lines for path, lines in lengths.items() if lines > 300} == {}
