"""The modules of examples/web: small enough to be read, complete, and without a way from text to HTML."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "examples/web"
MODULES = sorted(WEB.glob("*.js"))
LIMITS = {"stream.js": 40, "outbox.js": 120}


def lines(module):
    return len(module.read_text().splitlines())


def test_the_page_is_at_most_900_lines_of_javascript():
    assert len(MODULES) > 5
    assert sum(lines(module) for module in MODULES) <= 900


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_each_module_is_short_and_no_line_is_long(module):
    assert lines(module) <= LIMITS.get(module.name, 200)
    assert max(len(line) for line in module.read_text().splitlines()) <= 120


@pytest.mark.parametrize("name", LIMITS)
def test_what_people_copy_imports_nothing(name):
    assert "import" not in re.sub(r"//.*", "", (WEB / name).read_text())


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_each_import_is_a_module_of_the_page(module):
    imported = re.findall(r'^import .* from "(.*)";$', module.read_text(), re.MULTILINE)
    assert {WEB / name for name in imported} <= set(MODULES)


@pytest.mark.parametrize("file", [*MODULES, WEB / "index.html"], ids=lambda file: file.name)
def test_nothing_turns_text_into_html_or_a_program(file):
    text = file.read_text()
    into_html = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|DOMParser|createContextualFragment"
    assert re.findall(into_html, text) == []
    assert re.findall(r"\beval\b|new Function", text) == []
    assert re.findall(r"\son\w+=|style=|javascript:|https?://(?!www\.w3\.org)", text) == []
