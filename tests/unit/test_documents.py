"""The documents are true where a machine can tell (tables, numbers, SQL, names, links), and in plain English."""

import ast
import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from todo_adapters.memory import MemoryTasks
from todo_adapters.observability.metrics import Metrics
from todo_adapters.sql.tables import metadata
from todo_app.settings import read_settings
from todo_app.wakes import Wakes

CHECKOUT = Path(__file__).parents[2]
PAGES = [*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").rglob("*.md"))]
OPERATIONS = (CHECKOUT / "docs/operations.md").read_text()

SOURCES = (
    "src",
    "tests",
    "examples",
    "migrations",
    "deploy",
    "benchmarks",
    "docs",
    "Makefile",
    "Dockerfile",
    "compose.yaml",
)
"""What a document may name."""

END = r"[.!?](?:[\"”)]|\*\*|\*)*"
"""The end of a sentence."""

ODD = {
    r"(?:^|[.!?:;] )\**Whoever\b": "say who: a caller, a client, a process",
    r"\bwho(?:ever)? asks\b": "say who: a caller, a client, a process",
    r"(?:^|[.!?] )\**Who\b[^?]*\.(?: |$)": "a question ends with a question mark; otherwise say who",
    r"\bis no (?:\w+ ){1,3}but\b": "say what it is",
    r"\bin vain\b": "say what happens: it times out",
    r"\b(?:is|are|be|was|were) told\b": "gets, receives, reports: say what is sent",
    r"\b(?:an|any|each|every|first|its|last|longest|no|one|the|whole) answers?\b": "a response, a result, an outcome",
    r"\b(?:a|finds?|for|ha[sd]|have|is|make|needs|no|without) room\b": "memory, space, capacity, a limit",
    r"\bin the place of\b": "instead of, for",
    r"\bat the door\b|\blets? in\b|\blife of the data\b|\blife before\b": "name the thing instead of a picture of it",
}
"""What has to be read twice, with what to write in its place."""

ODD_IN_CODE = {
    **ODD,
    r"^(?:What|Whom?|Whose|Which)\b(?![^.]*\?)": "begin with a noun or a verb: the most bytes, return the task",
    r"^Tells? (?:which|whether|what)\b": "returns, reports",
    r"(?<![Tt]here )\bis no (?:number|string|body|object|id|key|token|date|boolean|base64)\b": "is not a number",
}
"""The same in docstrings, comments and messages, which a call shows out of context."""

STRING_OR_COMMENT = re.compile(
    r'''(?P<string>"""(?:\\.|[^\\])*?"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|\#[ ]?(?P<comment>[^\n]*)''',
    re.DOTALL | re.VERBOSE,
)
"""The tokens of Python that hold prose; the formatter leaves no other quotation marks."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(CHECKOUT)))
written = pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent.name != "benchmarks"],  # those are written by a program
    ids=lambda path: str(path.relative_to(CHECKOUT)),
)


def outside_code(page):
    """The page with its blocks of code blanked out, so that lines keep their numbers."""
    return re.sub(
        r"^( *)```.*?^\1```$",
        lambda block: re.sub(".+", "", block[0]),
        page.read_text(),
        flags=re.DOTALL | re.MULTILINE,
    )


def prose(page):
    """Each paragraph and each item of a list: numbered lines without tables, headings, pictures, code and links."""
    paragraph = []
    for number, line in enumerate([*outside_code(page).splitlines(), ""], 1):
        text = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "`code`", line)).strip()
        item = re.match(r"(?:[*-]|\d+\.) +", text)
        if (not text or item or text.startswith(("|", "#", "<", "!["))) and paragraph:
            yield paragraph
            paragraph = []
        if text and not text.startswith(("|", "#", "<", "![")):
            paragraph.append((number, text[item.end() :] if item else text))


@cache
def sources():
    """The text of each file that a document may name, by its path in the checkout."""
    found = {}
    for name in SOURCES:
        place = CHECKOUT / name
        for path in place.rglob("*") if place.is_dir() else [place]:
            if path.is_file() and path.suffix not in {".pyc", ".png"}:
                found[str(path.relative_to(CHECKOUT))] = path.read_text()
    return found


@cache
def words():
    """Every word of the sources that are no documents."""
    return frozenset(
        word for path, text in sources().items() if not path.endswith(".md") for word in re.findall(r"\w+", text)
    )


@pytest.mark.parametrize("table", metadata.tables.values(), ids=str)
def test_the_data_model_names_every_column_and_index(table):
    page = (CHECKOUT / "docs/data-model.md").read_text()
    section = page.split(f"### `{table.name}`")[1].split("\n#")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(table.columns.keys())
    assert all(f"`{index.name}`" in section for index in table.indexes)
    key = ", ".join(table.primary_key.columns.keys())
    assert f"Primary key `({key})`" in section or f"`{key}` | the token's `sub`; primary key" in section


def test_every_number_is_explained():
    class Pool:
        def connections(self):
            return {"busy": 0, "idle": 0, "limit": 0, "waiting": 0}

    metrics = Metrics(Pool())
    Wakes(read_settings(environment={}), MemoryTasks(), metrics)
    exposed = set(re.findall(r"^# TYPE (todo_\w+)", metrics.text().decode(), re.MULTILINE))
    assert set(re.findall(r"^\| `(todo_\w+)`", OPERATIONS, re.MULTILINE)) == exposed


def test_the_commands_of_the_readme_have_no_comments():
    """The shell of macOS takes a comment in a line that a person pastes for arguments."""
    commands = "".join(re.findall(r"```sh\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL))
    assert commands.count("todo") > 20
    assert re.findall(r"^.*(?<!\S)#.*", commands, re.MULTILINE) == []


def test_the_first_list_for_operators_has_ten_lines_and_quotes_what_readiness_says():
    steps = re.findall(r"^\d+\. (.*)$", OPERATIONS.split("## What to do first")[1].split("\n## ")[0], re.MULTILINE)
    assert len(steps) == 10
    code = "".join(text for path, text in sources().items() if path.startswith("src/"))
    reasons = re.findall(r"`((?:the|too|row-level) [^`]+)`", "".join(steps))
    assert len(reasons) >= 9
    assert [reason for reason in reasons if reason not in code] == []


@pages
def test_the_files_and_sections_that_a_page_links_to_are_there(page):
    for target, section in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", page.read_text()):
        linked = (page.parent / target) if target else page
        assert linked.exists(), target
        if section:
            titles = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            assert section in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}, section


@pages
def test_what_a_page_names_in_code_is_there(page):
    """Files by the end of their path; tests, settings and classes by their name."""
    for name in set(re.findall(r"`([^`\n]+)`", outside_code(page))):
        if re.fullmatch(r"[\w-][\w./-]*\.(?:py|md|conf|ini|yaml|service|toml|sh)", name):
            assert any(f"/{path}".endswith(f"/{name}") for path in [*sources(), *map(str, PAGES), "pyproject.toml"]), (
                name
            )
        elif re.fullmatch(r"(?:tests|src|deploy|docs|migrations|benchmarks)/[\w./-]+", name):
            assert (CHECKOUT / name).exists(), name
        elif re.fullmatch(r"test_\w+|TODO_[A-Z_]*[A-Z]|[A-Z][a-z]+[A-Z]\w*", name):
            assert name in words(), name


@pytest.mark.parametrize("package", sorted((CHECKOUT / "src").rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_the_files_that_the_docstring_of_a_package_names_are_there(package):
    docstring = ast.get_docstring(ast.parse(package.read_text())) or ""
    for name in re.findall(r"`([\w/]+\.py)`", docstring):
        assert (package.parent / name).exists() or (CHECKOUT / "src" / name).exists(), name


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/python.md"])
def test_the_pages_for_programmers_name_what_the_code_has(name):
    named = set(re.findall(r"`(\w+)`", outside_code(CHECKOUT / name)))
    assert len(named) > 10
    assert {word for word in named - words() if not word.isdigit()} == set()


def test_the_sections_of_the_contract_that_tests_name_are_there():
    titles = set(re.findall(r"^## (.*)$", (CHECKOUT / "docs/api.md").read_text(), re.MULTILINE))
    for path, text in sources().items():
        named = re.findall(r"docs/api\.md, ([A-Z][a-z ]+)", text) if path.startswith("tests/") else []
        assert set(named) <= titles, path


@written
def test_a_line_is_one_sentence(page):
    """So that a change of a sentence is a change of a line."""
    wrong = []
    for paragraph in prose(page):
        for number, line in paragraph:
            one = re.sub(r"\([^()]*\)", "()", re.sub(rf"^(\*+)[^*]+{END}", "", re.sub(r"\b(?:e\.g|i\.e)\.", "", line)))
            if re.search(rf"{END} +(?=[A-Z`\[*\"“(])", one):
                wrong.append((number, "has two sentences", line))
        for (number, line), _ in pairwise(paragraph):
            if not re.search(rf"(?:{END}|:)$", line):
                wrong.append((number, "goes on in the next line", line))
    wrong += [(title, "has no empty line above it") for title in re.findall(r"[^\n]\n(#+ .*)", outside_code(page))]
    lines = [line for paragraph in prose(page) for _, line in paragraph if len(line) > 60]
    wrong += [(line, "is there twice") for line, times in Counter(lines).items() if times > 1]
    assert wrong == []


@pages
def test_the_english_is_plain(page):
    wrong = []
    for number, line in enumerate(outside_code(page).splitlines(), 1):
        for cell in re.sub(r"^ *(?:[*-]|\d+\.) +", "", line).split("|"):
            wrong += [(number, advice, line) for odd, advice in ODD.items() if re.search(odd, cell.strip())]
    assert wrong == []


@cache
def sentences_of_the_code():
    """Each paragraph of a docstring, each comment on a line of its own and each message of `src`, with its place."""
    found = []
    for path, text in sources().items():
        if not (path.startswith("src/") and path.endswith(".py")):
            continue
        for token in STRING_OR_COMMENT.finditer(text):
            spoken = token["comment"] or (token["string"] or "").strip('"')
            line = text.count("\n", 0, token.start()) + 1
            found += [(f"{path}:{line}", " ".join(each.split())) for each in spoken.split("\n\n")]
    return [(place, each) for place, each in found if " " in each]


def test_the_english_of_the_code_is_plain():
    assert len(sentences_of_the_code()) > 2_000
    wrong = [
        (place, advice, each)
        for place, each in sentences_of_the_code()
        for odd, advice in ODD_IN_CODE.items()
        if re.search(odd, each)
    ]
    assert wrong == []
