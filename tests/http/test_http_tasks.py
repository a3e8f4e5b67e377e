"""docs/api.md, A task: what may be said about a task, and what comes back."""

import json
from datetime import UTC, datetime
from unicodedata import category

import pytest
from apis import Api, Caller, in_memory
from client import Response

from support.clock import FakeClock
from todo_domain.owner import LARGEST_ID

SETTABLE = {
    "title": "Call the plumber",
    "description": "The tap drips.",
    "status": "complete",
    "completed": True,
    "priority": "high",
    "due_date": "2026-11-30",
    "tags": ["home"],
}
GIVEN_BY_THE_SERVICE = ["id", "user_id", "completed_at", "revision", "created_at", "updated_at"]
WRITES = ["POST", "PUT", "PATCH"]
WHITE_SPACE = [chr(code) for code in range(0x10000) if chr(code).isspace() and category(chr(code)) != "Cc"] + [
    "\t",
    "\n",
    "\r",
]
REFUSED = [chr(code) for code in [*range(0x20), *range(0x7F, 0xA0)] if chr(code) not in "\t\n\r"] + [
    "\ud800",
    "\udfff",
    "\udc00",
]
INVISIBLE = [
    "\u115f",
    "\u1160",
    "\u2800",
    "\u3164",
    "\uffa0",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\u00ad",
    "\u2060",
    "\u0301",
    "\u20dd",
    "\ufe0f",
    "\U000e0001",
]


async def write(user: Caller, method: str, body: object):
    """Send a body where a task is written: a new one, or one that exists."""
    if method == "POST":
        return await user("POST", "/tasks", json=body)
    task = await user.task()
    return await user(method, f"/tasks/{task['id']}", json=body)


async def assert_refused(user: Caller, method: str, body: object, field: str):
    state = await user.state() if method == "POST" else None
    response = await write(user, method, body)
    assert response.status == 400, response
    assert response.json()["code"] == "invalid"
    assert response.json()["fields"][0]["field"] == field
    if state is not None:
        assert await user.state() == state
    else:
        assert (await user.list())[0]["revision"] == (await user.state())["revision"], "something was written"


# Members.


@pytest.mark.parametrize("method", WRITES)
async def test_every_settable_member_is_kept(ann: Caller, method: str):
    response = await write(ann, method, SETTABLE)
    assert response.status in {200, 201}
    task = response.json()
    assert task | SETTABLE == task
    assert task["completed_at"] == task["updated_at"]
    assert await ann.read(task) == task


UNKNOWN = ["titel", "Title", "", "__class__", "$ref", "title ", "constructor", "\x00", "x" * 500]


@pytest.mark.parametrize(
    ("method", "name"),
    [(method, name) for method in WRITES for name in UNKNOWN]
    + [(method, name) for method in ("POST", "PATCH") for name in GIVEN_BY_THE_SERVICE],
    ids=lambda text: ascii(text)[:20],
)
async def test_a_member_that_cannot_be_set_is_refused_and_named(ann: Caller, method: str, name: str):
    named = {"\x00": "\\x00", "x" * 500: "x" * 40 + "…"}.get(name, name)
    await assert_refused(ann, method, {"title": "x", name: 1}, named)


@pytest.mark.parametrize("method", WRITES)
async def test_an_unknown_member_is_refused_even_as_null(ann: Caller, method: str):
    await assert_refused(ann, method, {"title": "x", "note": None}, "note")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_null_for_what_the_service_gives_counts_as_absent(ann: Caller, method: str):
    response = await write(ann, method, dict.fromkeys(GIVEN_BY_THE_SERVICE) | {"title": "y"})
    assert (response.status, response.json()["title"]) == (201 if method == "POST" else 200, "y")
    for name in GIVEN_BY_THE_SERVICE:
        await assert_refused(ann, method, dict.fromkeys(GIVEN_BY_THE_SERVICE) | {"title": "y", name: "x"}, name)


async def test_a_title_is_required_on_create(ann: Caller):
    for body in ({}, {"description": "x"}):
        await assert_refused(ann, "POST", body, "title")


# Types are strict, and null stands for the default of a member.

WRONG_TYPES = {
    "title": [None, 1, 1.5, True, [], ["x"], {}],
    "description": [1, True, [], {}],
    "status": ["Complete", "COMPLETE", "done", "", "complete ", True, 1, ["complete"], {}, "`$.foo",
    "' - at `$.foo`"],
    "completed": ["true", "false", "", 0, 1, 1.0, 0.0, [], {}],
    "priority": ["High", "urgent", "", 0, 3, True, ["high"], "none "],
    "due_date": [
        "", "2026-11-31", "2026-02-29", "2026-13-01", "2026-00-10", "2026-1-2", "20261122", "22.11.2026",
        "2026-11-22T00:00:00Z",
        "2026-11-22 ", " 2026-11-22", "2026-11-22Z", "+2026-11-22", "-2026-11-22", "0000-01-01", "10000-01-01",
        "2026-W47-7",
        "٢٠٢٦-11-22", "\uff12\uff10\uff12\uff16-11-22", "2026\u201311\u201322", "tomorrow", 20261122, True, [], {},
    ],
    "tags": ["home", {}, 1, True, [1], [None], [["home"]], [True], {"0": "home"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG_TYPES.items() for value in values], ids=repr
)
async def test_a_value_of_another_type_is_refused_and_named(ann: Caller, name: str, value: object):
    for method in WRITES:
        await assert_refused(ann, method, {"title": "x", name: value} if method == "POST" else {name: value}, name)


@pytest.mark.parametrize("body", [b"null", b" null", b"\r\n\tnull \n"], ids=repr)
@pytest.mark.parametrize("media_type", ["application/json", "application/merge-patch+json"])
async def test_null_is_a_toggle_on_complete_and_no_object_elsewhere(ann: Caller, body: bytes, media_type: str):
    task = await ann.task()
    sent = {"body": body, "headers": [("content-type", media_type)]}
    for completed in (True, False):
        response = await ann("PATCH", f"/tasks/{task['id']}/complete", **sent)
        assert (response.status, response.json()["completed"]) == (200, completed)
    if media_type == "application/json":
        assert_not_an_object(await ann("POST", "/tasks", **sent))
        assert_not_an_object(await ann("PUT", f"/tasks/{task['id']}", **sent))
    assert_not_an_object(await ann("PATCH", f"/tasks/{task['id']}", **sent))
    assert await ann.writes() == 3


def assert_not_an_object(response: Response) -> None:
    assert (response.status, response.json()["fields"]) == (
        400,
        [{"field": "body", "message": "must be a JSON object"}],
    )


@pytest.mark.parametrize("body", [b"nul", b"NULL", b"nullnull", b"\xa0null", b"\x0bnull", b"\xef\xbb\xbfnull", b"[]",
                                  b"false", b"0", b'""', b"[null]"], ids=repr)  # fmt: skip
async def test_anything_else_but_an_object_is_refused_by_complete(ann: Caller, body: bytes):
    task = await ann.task()
    json = [("content-type", "application/json")]
    response = await ann("PATCH", f"/tasks/{task['id']}/complete", body=body, headers=json)
    assert (response.status, response.json()["fields"][0]["field"]) == (400, "body")
    assert await ann.read(task) == task


async def test_a_null_without_a_media_type_is_415(ann: Caller):
    task = await ann.task()
    assert (await ann("PATCH", f"/tasks/{task['id']}/complete", body=b"null")).status == 415


@pytest.mark.parametrize("value", [None, "true", 1, 0, 1.0, "", [], {}], ids=repr)
async def test_complete_is_as_strict(ann: Caller, value: object):
    task = await ann.task()
    for name in ("completed", "status"):
        response = await ann("PATCH", f"/tasks/{task['id']}/complete", json={name: value})
        assert response.status == 400
        assert response.json()["fields"][0]["field"] == name
    assert await ann.read(task) == task


@pytest.mark.parametrize(
    "name", [*sorted(SETTABLE.keys() - {"status", "completed"}), *GIVEN_BY_THE_SERVICE, "Completed"]
)
async def test_complete_knows_status_and_completed_only(ann: Caller, name: str):
    task = await ann.task()
    response = await ann("PATCH", f"/tasks/{task['id']}/complete", json={name: SETTABLE.get(name, 1)})
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == name


DEFAULTS = {"description": None, "due_date": None, "priority": "none", "tags": []}


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("method", WRITES)
async def test_null_stands_for_the_default_of_a_member(ann: Caller, method: str, name: str):
    task = await ann.task(**{name: SETTABLE[name]})
    target = "/tasks" if method == "POST" else f"/tasks/{task['id']}"
    response = await ann(method, target, json={"title": "x", name: None})
    assert response.status in {200, 201}
    assert response.json()[name] == DEFAULTS[name]


@pytest.mark.parametrize("twins", [{"status": None}, {"completed": None}, {"status": None, "completed": True}], ids=str)
async def test_a_twin_that_is_null_is_as_if_it_were_not_there_in_a_post_or_put(ann: Caller, twins):
    completed = twins.get("completed") is True
    made = await ann("POST", "/tasks", json={"title": "x", **twins})
    assert (made.status, made.json()["completed"]) == (201, completed)
    task = await ann.task(completed=True)
    put = await ann("PUT", f"/tasks/{task['id']}", json={"title": "y", **twins})
    assert (put.status, put.json()["completed"], put.json()["title"]) == (200, True, "y")
    assert (await ann("PUT", f"/tasks/{task['id']}", json=dict.fromkeys(twins))).status == 400
    for below in ("", "/complete"):
        assert (await ann("PATCH", f"/tasks/{task['id']}{below}", json=dict.fromkeys(twins))).status == 400


@pytest.mark.parametrize(
    "day", ["0001-01-01", "1582-10-10", "1900-01-01", "2000-02-29", "2024-02-29", "2038-01-20", "9999-12-31"]
)
async def test_a_due_date_is_a_day_and_comes_back_as_given(ann: Caller, day: str):
    task = await ann.task(due_date=day)
    assert task["due_date"] == day
    assert [found["id"] for found in await ann.list(f"?due_after={day}")] == [task["id"]]
    assert await ann.list(f"?due_before={day}") == []


@pytest.mark.parametrize("priority", ["none", "low", "medium", "high"])
async def test_a_priority_comes_back_as_given(ann: Caller, priority: str):
    assert (await ann.task(priority=priority))["priority"] == priority


# JSON, strictly.


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"title": "a", "title": "b"}', "title"),
        (b'{"title": "a", "title": "a"}', "title"),
        (b'{"title": "a", "t\\u0069tle": "b"}', "title"),
        (b'{"title": "a", "x": {"y": 1, "y": 2}}', "y"),
        (b'{"title": "a", "tags": [{"y": 1, "y": 2}]}', "y"),
        (b'{"title": "a", "x": [[[{"y": {"z": 1, "z": 1}}]]]}', "z"),
        (b'{"a": 1, "a": 2, "title": "x"}', "a"),
        (b'{"title": "x", "": 1, "": 2}', ""),
    ],
    ids=str,
)
async def test_a_member_given_twice_is_refused_at_any_depth(ann: Caller, body: bytes, field: str):
    task = await ann.task()
    headers = [("content-type", "application/json")]
    for method, below in [("POST", "/tasks"), ("PUT", f"/tasks/{task['id']}"), ("PATCH", f"/tasks/{task['id']}")]:
        response = await ann(method, below, body=body, headers=headers)
        assert response.status == 400
        assert response.json()["fields"] == [{"field": field, "message": "is given twice"}]
    assert await ann.list() == [task]


@pytest.mark.parametrize(
    ("method", "below", "field"), [("POST", "/tasks", "Idempotency-Key"), ("GET", "/events", "Last-Event-ID")]
)
async def test_a_header_given_twice_is_named_as_its_rfc_writes_it(ann: Caller, method: str, below: str, field: str):
    how = {"json": {"title": "x"}} if method == "POST" else {}
    response = await ann(method, below, headers=[(field.lower(), "1"), (field.lower(), "2")], **how)
    assert (response.status, response.json()["fields"][0]["field"]) == (400, field)


@pytest.mark.parametrize(
    "body",
    [
        b"true", b"1", b'"title"', b"[]", b"[{}]", b'[["title", "x"]]', b"{", b"}", b'{"title"',
        b'{"title": "x"', b'{"title": "x",}',
        b"{'title': 'x'}", b"{title: 1}", b'{"title": "x"} {}', b'{"title": "x"}]', b"title=x",
        b'{"title": "x", "due_date": NaN}', b'{"title": Infinity}',
        b'{"title": -Infinity}', b'{"title": 01}', b'{"title": 1.}', b'{"title": .5}', b'{"title": +1}',
        b'{"title": 0x1}', b'{"title": "a\nb"}', b'{"title": "a\x00b"}',
        b'{"title": "\\x41"}', b'{"title": "\\ud8"}', b'\xef\xbb\xbf{"title": "x"}', b'{"title": "\xff"}',
        b'{"title": "\xed\xa0\x80"}', b'{"title": "\xc0\x80"}', b'{"title": "\xf4\x90\x80\x80"}',
        '{"title": "x"}'.encode("utf-16"), '{"title": "x"}'.encode("utf-32"), '{"title": "é"}'.encode("latin-1"),
        b"\x00", b" ", b"\n\n", b"/* */{}", b"{} // no",
        b'{"title": "x"}\x00', b"\x1f\x8b\x08\x00", b"--x\r\ncontent-disposition: form-data\r\n\r\n", b"<task/>",
    ],
    ids=str,
)  # fmt: skip
async def test_a_body_that_is_no_json_object_is_refused_as_a_whole(ann: Caller, body: bytes):
    task = await ann.task()
    state = await ann.state()
    headers = [("content-type", "application/json")]
    for method, below in [
        ("POST", ""),
        ("PUT", f"/{task['id']}"),
        ("PATCH", f"/{task['id']}"),
        ("PATCH", f"/{task['id']}/complete"),
    ]:
        response = await ann(method, "/tasks" + below, body=body, headers=headers)
        assert response.status == 400
        assert response.json()["fields"][0]["field"] == "body"
    assert await ann.state() == state


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize(
    "headers",
    [[], [("content-type", "application/json")], [("content-type", "text/plain")], [("content-encoding", "gzip")]],
    ids=str,
)
@pytest.mark.parametrize("body", [None, b"", [b""], []], ids=repr)
async def test_an_empty_body_is_no_body_whatever_its_type(ann: Caller, method: str, headers, body):
    task = await ann.task()
    response = await ann(method, "/tasks" if method == "POST" else f"/tasks/{task['id']}", headers=headers, body=body)
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == "body"


async def test_a_body_in_pieces_is_a_body(ann: Caller):
    body = json.dumps({"title": "Grüße 😀"}, ensure_ascii=False).encode()
    headers = [("content-type", "application/json")]
    response = await ann("POST", "/tasks", body=[body[i : i + 1] for i in range(len(body))], headers=headers)
    assert (response.status, response.json()["title"]) == (201, "Grüße 😀")


# Text.


@pytest.mark.parametrize("character", REFUSED, ids=lambda c: f"U+{ord(c):04X}")
async def test_control_characters_and_lone_surrogates_are_refused_before_trimming(ann: Caller, character: str):
    for text in (f"a{character}b", f"{character}ab", f"ab{character}"):
        await assert_refused(ann, "POST", {"title": text}, "title")
    await assert_refused(ann, "PATCH", {"description": character}, "description")
    await assert_refused(ann, "PUT", {"tags": ["a", f"b{character}"]}, "tags")


@pytest.mark.parametrize("space", WHITE_SPACE, ids=lambda c: f"U+{ord(c):04X}")
async def test_titles_and_tags_are_trimmed_of_white_space_and_descriptions_are_not(ann: Caller, space: str):
    text = f"{space}{space}a{space}b{space}"
    task = await ann.task(title=text, tags=[text], description=text)
    assert (task["title"], task["tags"], task["description"]) == (f"a{space}b", [f"a{space}b"], text)
    await assert_refused(ann, "POST", {"title": space * 3}, "title")
    await assert_refused(ann, "PATCH", {"tags": [space]}, "tags")


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda c: f"U+{ord(c):04X}")
async def test_something_in_a_title_and_in_a_tag_must_be_visible(ann: Caller, character: str):
    for text in (character, character * 5, f" {character} {character} "):
        await assert_refused(ann, "POST", {"title": text}, "title")
        await assert_refused(ann, "PATCH", {"tags": ["home", text]}, "tags")
    task = await ann.task(title=f"{character}a{character}", description=character, tags=[f"a{character}"])
    assert (task["title"], task["description"]) == (f"{character}a{character}", character)


@pytest.mark.parametrize(
    "text",
    [
        "é",
        "e\u0301",
        "ß",
        "İ",
        "ﬁ",
        "\u212b",
        "שלום",
        "مرحبا",
        "\u202eabc",
        "👩‍👩‍👧",
        "a\tb\nc\rd",
        "<script>",
        "'; DROP TABLE tasks; --",
        "%_\\",
        "${x}",
        "\ufffd",
        "\uffff",
        "\U0010ffff",
        "\u00ad-",
    ],
    ids=ascii,
)
async def test_text_comes_back_byte_for_byte(ann: Caller, text: str):
    task = await ann.task(title=text, description=text, tags=[text])
    assert (task["title"], task["description"], task["tags"]) == (text, text, [text])
    assert await ann.read(task) == task


@pytest.mark.parametrize("character", ["a", "é", "😀", "e\u0301"])
async def test_lengths_are_counted_in_code_points_after_trimming(ann: Caller, character: str):
    longest = (character * 255)[:255]
    assert (await ann.task(title=f"   {longest}   "))["title"] == longest
    await assert_refused(ann, "POST", {"title": longest + "a"}, "title")
    longest = (character * 50)[:50]
    assert (await ann.task(tags=[f" {longest} "]))["tags"] == [longest]
    await assert_refused(ann, "POST", {"title": "x", "tags": [longest + "a"]}, "tags")
    longest = (character * 5_000)[:5_000]
    assert (await ann.task(description=longest))["description"] == longest
    await assert_refused(ann, "POST", {"title": "x", "description": longest + " "}, "description")


async def test_an_empty_description_stays_empty(ann: Caller):
    task = await ann.task(description="")
    assert task["description"] == ""
    assert (await ann.read(task))["description"] == ""


# Tags.


async def test_twenty_tags_keep_their_order_and_a_twenty_first_is_refused(ann: Caller):
    tags = [f"tag {number}" for number in range(20, 0, -1)]
    assert (await ann.task(tags=tags))["tags"] == tags
    await assert_refused(ann, "POST", {"title": "x", "tags": [*tags, "one more"]}, "tags")


@pytest.mark.parametrize(
    "tags",
    [
        ["a", "a"],
        ["a", "A"],
        ["a", " a "],
        ["ß", "SS"],
        ["é", "e\u0301"],
        ["\u212a", "k"],
        ["\u017f", "s"],
        ["ﬁ", "FI"],
        ["Σ", "ς"],
        ["İ", "i̇"],
        ["ǆ", "ǅ"],
    ],
    ids=ascii,
)
async def test_tags_are_distinct_ignoring_case(ann: Caller, tags):
    await assert_refused(ann, "POST", {"title": "x", "tags": tags}, "tags")
    assert (await ann.task(tags=tags[:1]))["tags"] == [tags[0].strip()]


@pytest.mark.parametrize("tags", [["i", "\u0131"], ["a", "å"], ["o", "0"], ["a", "\u0430"]], ids=ascii)
async def test_tags_that_only_look_alike_are_two(ann: Caller, tags):
    assert (await ann.task(tags=tags))["tags"] == tags


# The twins.


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize(("status", "completed"), [("complete", False), ("incomplete", True)])
async def test_twins_that_contradict_each_other_are_refused(ann: Caller, method: str, status: str, completed: bool):
    response = await write(ann, method, {"title": "x", "status": status, "completed": completed})
    assert response.status == 400
    assert response.json()["fields"][0]["field"] in {"status", "completed"}


@pytest.mark.parametrize(
    "said", [{"status": "complete"}, {"completed": True}, {"status": "complete", "completed": True}], ids=str
)
@pytest.mark.parametrize("method", WRITES)
async def test_either_twin_may_be_given_and_both_are_sent(ann: Caller, method: str, said):
    task = (await write(ann, method, {"title": "x"} | said)).json()
    assert (task["status"], task["completed"], task["completed_at"]) == ("complete", True, task["updated_at"])


async def test_completed_at_is_set_when_it_becomes_complete_kept_after_and_null_when_reopened(ann: Caller):
    task = await ann.task()
    done = (await ann("PATCH", f"/tasks/{task['id']}", json={"completed": True})).json()
    again = (await ann("PATCH", f"/tasks/{task['id']}", json={"status": "complete", "title": "Buy milk"})).json()
    assert again["completed_at"] == done["completed_at"] == done["updated_at"] > task["updated_at"]
    reopened = (await ann("PATCH", f"/tasks/{task['id']}", json={"completed": False})).json()
    assert reopened["completed_at"] is None


@pytest.mark.parametrize("flip", [{"completed": True}, {"status": "complete"}], ids=str)
async def test_a_task_put_back_with_one_twin_changed_means_that_change(ann: Caller, flip):
    task = await ann.task(tags=["home"])
    for completed in (True, False):
        flip = {
            name: completed if name == "completed" else ("complete" if completed else "incomplete") for name in flip
        }
        response = await ann("PUT", f"/tasks/{task['id']}", json=task | flip)
        assert response.status == 200
        assert response.json()["completed"] is completed
        task = response.json()


async def test_a_task_put_back_as_it_was_changes_nothing(ann: Caller):
    task = await ann.task(completed=True, description="x")
    response = await ann("PUT", f"/tasks/{task['id']}", json=task)
    assert (response.status, response.json()) == (200, task)


@pytest.mark.parametrize("revision", ["2", 2.0, True, [2], {"a": 2}], ids=repr)
async def test_a_revision_in_a_put_is_an_integer(ann: Caller, revision):
    task = await ann.task()
    for change in ({"title": "Buy milk"}, {"completed": True}, {}):
        response = await ann("PUT", f"/tasks/{task['id']}", json=task | change | {"revision": revision})
        assert response.status == 400
        assert response.json()["fields"][0]["field"] == "revision"
    assert await ann.read(task) == task


@pytest.mark.parametrize("flip", [{"completed": True}, {"status": "complete"}, {"title": "y"}, {"tags": []}], ids=str)
@pytest.mark.parametrize("behind", [1, -1, LARGEST_ID, "all of it"])
async def test_a_task_put_back_after_it_was_changed_is_412_with_the_current_task(ann: Caller, flip, behind):
    read = await ann.task(tags=["home"])
    task = (await ann("PATCH", f"/tasks/{read['id']}", json={"priority": "high"})).json()
    revision = 0 if behind == "all of it" else task["revision"] - behind
    response = await ann("PUT", f"/tasks/{task['id']}", json={**read, **flip, "revision": revision})
    assert (response.status, response.json()["code"], response.json()["current"]) == (412, "stale", task)
    assert response.header("etag") == f'"{task["revision"]}"'
    assert await ann.read(task) == task


async def test_a_put_that_was_sent_twice_does_not_conflict_with_itself(ann: Caller):
    read = await ann.task()
    body = read | {"title": "y", "status": "complete", "completed": True}
    first = await ann("PUT", f"/tasks/{read['id']}", json=body)
    again = await ann("PUT", f"/tasks/{read['id']}", json=body)
    assert (first.status, again.status) == (200, 200)
    assert again.json() == first.json()
    contradicting = await ann("PUT", f"/tasks/{read['id']}", json=read | {"title": "y", "completed": True})
    assert contradicting.status == 412


async def test_an_if_match_and_a_revision_must_both_hold(ann: Caller):
    task = await ann.task()
    now, other = task["revision"], task["revision"] - 1
    for header, revision in ((now, other), (other, now)):
        how = {"headers": [("if-match", f'"{header}"')]}
        response = await ann("PUT", f"/tasks/{task['id']}", json={"title": "y", "revision": revision}, **how)
        assert response.status == 412
    how = {"headers": [("if-match", f'"{now}"')]}
    assert (await ann("PUT", f"/tasks/{task['id']}", json={"title": "y", "revision": now}, **how)).status == 200


async def test_null_for_what_a_put_cannot_set_is_as_if_it_were_not_there(ann: Caller):
    task = await ann.task()
    nothing = dict.fromkeys(GIVEN_BY_THE_SERVICE)
    response = await ann("PUT", f"/tasks/{task['id']}", json=nothing | {"title": "y"})
    assert (response.status, response.json()["title"]) == (200, "y")
    twins = nothing | {"status": "complete", "completed": False}
    assert (await ann("PUT", f"/tasks/{task['id']}", json=twins)).status == 400


async def test_only_a_put_may_carry_contradicting_twins(ann: Caller):
    task = await ann.task()
    body = {"status": "incomplete", "completed": True, "revision": task["revision"]}
    assert (await ann("PUT", f"/tasks/{task['id']}", json=body)).status == 200
    task = await ann.task()
    for method, below in [("PATCH", ""), ("PATCH", "/complete")]:
        assert (await ann(method, f"/tasks/{task['id']}{below}", json=body)).status == 400


# What a PUT may carry.


@pytest.mark.parametrize("value", [None, "x", 0, [], {}, {"a": [1]}, 1e400, "2026-11-22T09:15:00.123456Z"], ids=repr)
@pytest.mark.parametrize("name", ["completed_at", "created_at", "updated_at"])
async def test_a_put_ignores_what_it_cannot_set(ann: Caller, name: str, value):
    task = await ann.task()
    body = json.dumps({"title": "Buy milk", name: value}).replace("Infinity", "1e400")
    response = await ann(
        "PUT", f"/tasks/{task['id']}", body=body.encode(), headers=[("content-type", "application/json")]
    )
    assert response.status == 200
    now = response.json()
    assert now == task | {"title": "Buy milk", "revision": task["revision"] + 1, "updated_at": now["updated_at"]}


async def test_a_put_carries_its_own_id_and_user_or_none(ann: Caller, bob: Caller):
    task, other = await ann.task(), await ann.task()
    below = f"/tasks/{task['id']}"
    assert (await ann("PUT", below, json={"title": "a", "id": task["id"], "user_id": ann.id})).status == 200
    wrong = [
        ("id", value) for value in (other["id"], 0, -1, str(task["id"]), float(task["id"]), True, [task["id"]], 10**30)
    ]
    wrong += [("user_id", value) for value in (bob.id, "", "me", ann.id.upper(), ann.id + " ", 1, [ann.id], "\ud800")]
    for name, value in wrong:
        response = await ann("PUT", below, json={"title": "b", name: value})
        assert response.status == 400, (name, value)
        assert response.json()["fields"][0]["field"] == name
    assert (await ann.read(task))["title"] == "a"


async def test_a_put_without_a_settable_member_is_refused(ann: Caller):
    task = await ann.task()
    ignored = {name: task[name] for name in GIVEN_BY_THE_SERVICE}
    for body in ({}, ignored, {"revision": task["revision"]}, {"id": task["id"]}):
        response = await ann("PUT", f"/tasks/{task['id']}", json=body)
        assert response.status == 400
        assert response.json()["fields"]
    assert await ann.read(task) == task


# Times and ids.


@pytest.mark.parametrize("microsecond", [0, 1, 500_000, 999_999])
async def test_times_have_exactly_six_decimals_whatever_the_clock_says(microsecond: int):
    clock = FakeClock(datetime(2026, 3, 29, 1, 30, 0, microsecond, UTC))
    with in_memory(clock=clock) as api:
        task = await api.user().task(completed=True)
    expected = f"2026-03-29T01:30:00.{microsecond:06}Z"
    assert [task[name] for name in ("created_at", "updated_at", "completed_at")] == [expected] * 3


async def test_updated_at_never_goes_back():
    clock = FakeClock()
    with in_memory(clock=clock) as api:
        ann = api.user()
        task = await ann.task()
        clock.advance(hours=-1)
        now = (await ann("PATCH", f"/tasks/{task['id']}", json={"title": "Buy milk"})).json()
    assert now["updated_at"] == task["updated_at"]
    assert now["revision"] == 2


async def test_updated_at_moves_only_when_something_really_changed(ann: Caller):
    task = await ann.task(tags=["a", "b"], description="x")
    nothing = [
        {"title": " Buy groceries "},
        {"tags": ["a", "b"]},
        {"completed": False},
        {"description": "x"},
        {"priority": "none"},
    ]
    for body in nothing:
        assert (await ann("PATCH", f"/tasks/{task['id']}", json=body)).json() == task
        assert (await ann("PUT", f"/tasks/{task['id']}", json=body)).json() == task
    for body in ({"tags": ["b", "a"]}, {"tags": ["B", "a"]}, {"title": "buy groceries"}, {"description": "x "}):
        now = (await ann("PATCH", f"/tasks/{task['id']}", json=body)).json()
        assert now["updated_at"] > task["updated_at"]
        assert now["revision"] == task["revision"] + 1
        assert now["created_at"] == task["created_at"]
        task = now


async def test_ids_are_unique_over_all_users_and_never_reused(api: Api):
    seen: list[int] = []
    for _ in range(3):
        user = api.user()
        for _ in range(3):
            task = await user.task()
            seen.append(task["id"])
            await user("DELETE", f"/tasks/{task['id']}")
    assert len(set(seen)) == 9
    assert all(1 <= number <= LARGEST_ID for number in seen)


BAD_IDS = [
    "0", "00", "01", "+1", "-1", "1_0", "1.0", "1e0", "%201", "1%20", "0x1", "abc", "1a", "%31", "%D9%A1",
    "%EF%BC%91", "null", "*",
    "9007199254740992", "9223372036854775807", "9223372036854775808", "18446744073709551616", "9" * 5_000, "1%00",
    "1,2", "1;2", "'1'", "%ff", "%zz", "me",
]  # fmt: skip


@pytest.mark.parametrize("spelling", BAD_IDS, ids=lambda text: text[:30])
async def test_a_path_id_is_a_plain_decimal_spelt_one_way(ann: Caller, spelling: str):
    await ann.task()
    state = await ann.state()
    for method, below in [
        ("GET", ""),
        ("PUT", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("PATCH", "/complete"),
        ("HEAD", ""),
    ]:
        how = {"json": {"title": "x"}} if method in {"PUT", "PATCH"} and not below else {}
        response = await ann(method, f"/tasks/{spelling}{below}", **how)
        assert response.status == 400
        if method != "HEAD":
            assert response.json()["fields"][0]["field"] == "id"
    assert await ann.state() == state


@pytest.mark.parametrize("number", [LARGEST_ID, LARGEST_ID - 1, 999_999_999_999_999])
async def test_a_task_that_never_was_is_404(ann: Caller, number: int):
    for method, below in [("GET", ""), ("DELETE", ""), ("PATCH", "/complete")]:
        response = await ann(method, f"/tasks/{number}{below}")
        assert (response.status, response.json()["code"]) == (404, "not_found")
