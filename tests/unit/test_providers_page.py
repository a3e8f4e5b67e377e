"""docs/providers.md says of each row how it was checked, and the tests hold it to that."""

import re
from pathlib import Path

from support.provider_shapes import SHAPES
from todo_app.settings.table import rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/providers.md").read_text()
REAL = {"Better Auth", "Better Auth, ES512", "oidc-provider, Ed25519"}


def table():
    """The rows by provider: issuer, audience, keys, what to mind, how it was checked."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_there_are_enough_providers_and_each_row_says_how_it_was_checked():
    assert len(table()) >= 25
    assert {row[-1] for row in table().values()} == {"real issuer", "exact shape", "documentation"}
    assert all(len(row) == 5 for row in table().values())


def test_what_is_said_to_be_run_is_run():
    shapes = {shape.provider for shape in SHAPES}
    run = {name for name, row in table().items() if row[-1] == "exact shape"}
    real = {name for name, row in table().items() if row[-1] == "real issuer"}
    assert run <= shapes, run - shapes
    assert real == REAL
    drills = "".join((ROOT / f"tests/drills/test_{name}.py").read_text() for name in ("better_auth", "oidc_provider"))
    assert all(algorithm in drills for algorithm in ("ES512", "PS256", "ES384", "Ed25519"))


def test_a_row_has_the_settings_of_its_shape():
    for shape in SHAPES:
        row = table().get(shape.provider)
        if row is None:
            continue
        _, audience, _, mind, _ = row
        none = shape.settings["TODO_JWT_AUDIENCE"] == "none"
        assert audience.startswith("*none*") == none, shape.provider
        if none:
            assert ("TODO_JWT_CLIENTS=any" in mind) == (shape.settings["TODO_JWT_CLIENTS"] == "any"), shape.provider
        assert ("TODO_JWT_USER_CLAIM" in mind) == ("TODO_JWT_USER_CLAIM" in shape.settings), shape.provider


def test_every_variable_on_the_page_exists():
    known = {variable for row in rows().values() for variable in row.variables}
    assert set(re.findall(r"\b(?:TODO|SSL|HTTPS|NO)_[A-Z_]+", PAGE)) <= known
