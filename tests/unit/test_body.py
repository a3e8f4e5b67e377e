"""A body with one colon for each member is read at once, and means what it means when it is read strictly."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from todo_adapters.http.protocol import body
from todo_adapters.http.protocol.schemas import Completion, NewTask, TaskPatch, TaskPut
from todo_domain import Invalid

SHAPES = [NewTask, TaskPatch, TaskPut, Completion]
NAMES = sorted({*TaskPut.__struct_fields__, "x", "Title"})
RAW = [
    *("NaN", "-Infinity", "01", "-", "-0", "-0.0", "1.0", "1e5", "1E400", "1e-400", "0.1", ".5", "5.", "+1", "tru"),
    *("18446744073709551617", "9007199254740993", "-9223372036854775809", "1" * 5000, "[[[]]]", "[" * 2000, "{ }"),
    *(r'"\u0000"', r'"\ud800"', r'"\ud83d\ude00"', r'"\u12"', r'"\x"', r'"\/"', '"a\tb"', '"\x7f"', '"é"', '"a:b"'),
    *('"complete"', '"low"', '"2026-11-22"', '"2026-02-30"', '"2026-11-22T00:00:00"', "true", "null", '["a"]', "[1]"),
]
VALUES = st.sampled_from(RAW) | st.text(max_size=5).map(json.dumps) | st.integers().map(str)
BLANKS = st.sampled_from(["", "", " ", "\n", "\x0b", "\ufeff"])


@st.composite
def bodies(draw):
    """Bytes that are nearly always an object of a task's members, some of them wrong, twice, or no JSON."""
    members = []
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(NAMES))
        name = draw(st.sampled_from([name, name, name, name[:-1] + f"\\u{ord(name[-1]):04x}"]))
        members.append(f'"{name}"{draw(BLANKS)}:{draw(BLANKS)}{draw(VALUES)}')
    text = ("{" + ",".join(members) + "}" + draw(BLANKS)).encode()
    at, byte = draw(st.integers(0, len(text) - 1)), draw(st.integers(0, 255))
    return draw(st.sampled_from([text, text, text, text[:at] + bytes([byte]) + text[at + 1 :]]))


def outcome(read):
    """What reading a body gives: the form of the struct, or the words of the error."""
    try:
        return repr(read())
    except Invalid as refused:
        return refused.field, str(refused)


@given(text=bodies(), shape=st.sampled_from(SHAPES))
@example(text=b'{"title": "a", "title": "b"}', shape=TaskPatch)
@example(text=b'{"title": "a", "t\\u0069tle": null}', shape=TaskPut)
@example(text=b'{"extra": {}, "extra": {}}', shape=TaskPatch)
@example(text=b'{"revision": 18446744073709551617}', shape=TaskPut)
def test_a_body_means_what_it_means_when_it_is_read_strictly(text, shape):
    def strictly():
        return body.shaped(body.document_of(text, body._DECODER), shape)

    assert outcome(lambda: body.parse(text, shape)) == outcome(strictly)


@pytest.mark.parametrize("text", [b'{"title": "a", "title": "b"}', b'{"extra": {"a": 1, "a": 2}}'])
def test_a_name_that_is_given_twice_is_refused(text):
    with pytest.raises(Invalid, match="is given twice"):
        body.parse(text, TaskPatch)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_member_that_a_body_leaves_out_is_unset(shape):
    # With another default it would count as given, and its colon could be that of a name given twice.
    assert all(field.required or field.default is msgspec.UNSET for field in msgspec.structs.fields(shape))
