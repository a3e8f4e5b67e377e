"""A JSON text is taken apart where its values begin and end: `formats/outline.py` against the decoder of Python."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.length import examples
from todo_adapters.formats import outline as module
from todo_adapters.formats.outline import NotJson, elements, outline

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(["tasks", "trash", "format", '"', "\\", "é", "[", ""]), VALUES)
LAYOUTS = st.sampled_from([{}, {"indent": 3}, {"ensure_ascii": False}, {"separators": (" \n, ", " :\t")}])

FOR_EACH_STRIDE = settings(max_examples=examples(10))
"""As many examples in all as another test has."""


@pytest.fixture(params=[2, 3, 7, 4_096])
def stride(request, monkeypatch):
    """The bytes of one look: as few as an escape has, so that each value is cut, and as many as there are."""
    monkeypatch.setattr(module, "STRIDE", request.param)


def taken_apart(text: bytes) -> dict:
    found = {}
    for part in outline(text, {"tasks"}):
        if part is None:
            continue
        if part.is_element:
            found[part.name].append(json.loads(text[part.begin : part.end]))
        elif part.end == part.begin:
            found[part.name] = []
            whole = [json.loads(text[slice(*place)]) for place in elements(text, part.begin) if place is not None]
        else:
            found[part.name] = json.loads(text[part.begin : part.end])
    assert not isinstance(found.get("tasks"), list) or found["tasks"] == whole
    return found


@pytest.mark.usefixtures("stride")
def test_the_parts_of_an_object_are_its_members_and_the_elements_of_its_arrays():
    @given(OBJECTS, LAYOUTS)
    @FOR_EACH_STRIDE
    def hold(value, layout):
        assert taken_apart(json.dumps(value, **layout).encode()) == value

    hold()


@pytest.mark.usefixtures("stride")
def test_a_text_that_is_cut_is_not_json():
    @given(OBJECTS.filter(bool), LAYOUTS, st.integers(0, 2**16))
    @FOR_EACH_STRIDE
    def hold(value, layout, cut):
        text = json.dumps(value, **layout).encode()
        with pytest.raises(NotJson) as refused:
            list(outline(text[: cut % len(text)], {"tasks"}))
        assert refused.value.at < len(text)

    hold()


@given(st.text(alphabet='{}[]":,\\ tasks1é', max_size=40), st.booleans())
@example('{"tasks":[}', False)
@example('{"tasks":[]]}', False)
def test_any_text_is_taken_apart_or_is_not_json(text, wrapped):
    raw = (f'{{"tasks":[{text}]}}' if wrapped else text).encode()
    try:
        expected = json.loads(raw)
    except ValueError:
        expected = None
    try:
        parts = [part for part in outline(raw, {"tasks"}) if part is not None]
    except NotJson:
        assert not isinstance(expected, dict)
    else:
        # What is inside a value may still be wrong; what is around it is right.
        pieces = [raw[part.begin : part.end] for part in parts if part.end > part.begin]
        if all(_is_json(piece) for piece in pieces):
            assert isinstance(expected, dict)


def _is_json(piece: bytes) -> bool:
    try:
        json.loads(piece)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        b'{"tasks":[' + b"1," * 20_000 + b"1]}",
        b'{"tasks":["' + b"\\\\" * 20_000 + b'"]}',
        b'{"tasks":[' + b"[" * 20_000 + b"]" * 20_000 + b"]}",
        b'{"tasks":[' + b" " * 40_000 + b"]}",
        b'{"tasks":[' + b"7" * 40_000 + b"]}",
        b'{"' + b"x" * 40_000 + b'":1}',
        b'{"tasks":[{"a":"' + b'x","b":"' * 6_000 + b'"}]}',
    ],
    ids=["many", "string", "deep", "gap", "number", "name", "members"],
)
def test_no_stride_passes_without_a_yield(text, monkeypatch):
    monkeypatch.setattr(module, "STRIDE", 512)
    assert sum(1 for _ in outline(text, {"tasks"})) >= len(text) // 1_200


@pytest.mark.parametrize("value", [b"[" * 5_000 + b"]" * 5_000, b"[" + b"[]," * 5_000 + b"{}]"], ids=["deep", "many"])
def test_no_more_than_some_brackets_pass_without_a_yield(value):
    brackets = sum(map(value.count, (b"[", b"]", b"{", b"}")))
    assert sum(1 for _ in outline(b'{"tasks":[' + value + b"]}", {"tasks"})) >= brackets // module.BRACKETS
