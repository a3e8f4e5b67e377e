"""docs/api.md is true: each of its sections, run against a new service, prints what it shows."""

import re
from pathlib import Path

import pytest

from servers.todo import token_for
from support.examples import examples, mistakes
from support.serving import serving
from todo_app.compose import application
from todo_app.settings import read_settings

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
_, SETUP, *SECTIONS = re.split(r"^(?=## )", PAGE, flags=re.MULTILINE)
SERVED_WITH = re.compile(r"^<!-- served with (.*) -->$", re.MULTILINE)
"""A comment in a section whose service has other settings than the defaults."""

SECRET = "0123456789abcdef0123456789abcdef"
SIGNED = re.compile(r"\$\(\.venv/bin/todo token --user ('?)(\S+?)\1\)")
"""How the page gets a token; the README's tour runs that command."""


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.partition("\n")[0].removeprefix("## "))
def test_a_section_shows_what_the_service_answers(section, tmp_path):
    found = SERVED_WITH.search(section)
    own = dict(each.split("=", 1) for each in found[1].split()) if found else {}
    ours = {
        "TODO_DATABASE_URL": "memory:",
        "TODO_JWT_SECRET": SECRET,
        "TODO_AUDIT_LOG": str(tmp_path / "audit.log"),
        "TODO_LOG_FORMAT": "json",
    }
    shown = examples(section)
    assert shown
    with serving(application(read_settings(environment={**ours, **own}))) as origin:

        def replaced(command):
            signed = SIGNED.sub(lambda match: token_for(match[2], SECRET), command)
            return signed.replace("http://127.0.0.1:8000", origin)

        assert mistakes([*examples(SETUP), *shown], directory=tmp_path, replaced=replaced) == []
