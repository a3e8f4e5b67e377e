"""docs/api.md, "Order by hand, and members of your own": `position` and `extra`."""

import json
from collections.abc import Mapping

import pytest
from apis import Caller

KINDS = '{"a":[1,1.0,true,-9007199254740992,9007199254740992,1e300,0.1,-0.5,null,"","\\u00e9\\n"],"b":{"c":{"d":[{}]}}}'


def exactly(value: object) -> str:
    """What tells apart values that Python holds for equal."""
    if isinstance(value, Mapping):
        value = [[name, value[name]] for name in sorted(value)]
    return f"[{','.join(map(exactly, value))}]" if isinstance(value, list) else repr(value)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_an_object_comes_back_equal_and_of_its_kinds(ann: Caller, method: str):
    task = await ann.task()
    path = "/tasks" if method == "POST" else f"/tasks/{task['id']}"
    body = b'{"title": "own", "extra": %s}' % KINDS.encode()
    response = await ann(method, path, body=body, headers=[("content-type", "application/json")])
    assert response.status in {200, 201}
    kept = response.json()
    assert exactly(kept["extra"]) == exactly(json.loads(KINDS))
    assert await ann.read(kept) == kept
    assert exactly((await ann.list())[0]["extra"]) == exactly(kept["extra"])
    changes = (await ann("GET", f"/changes?since={kept['revision'] - 1}")).json()
    assert exactly(changes["tasks"][0]["extra"]) == exactly(kept["extra"])
    assert (await ann("PUT", f"/tasks/{kept['id']}", json=kept)).json() == kept


async def test_kinds_of_numbers_are_values_of_their_own_and_the_order_of_names_means_nothing(ann: Caller):
    task = await ann.task(extra={"n": 1, "m": 2})
    path = f"/tasks/{task['id']}"
    for body in (b'{"extra": {"m": 2, "n": 1}}', b'{"extra": {"n": 1}}'):
        response = await ann("PATCH", path, body=body, headers=[("content-type", "application/json")])
        assert response.json() == task
    for step, number in enumerate((b"1.0", b"true", b'"1"', b"1e0", b"1"), 1):
        body = b'{"extra": {"m": 2, "n": %s}}' % number
        response = await ann("PUT", path, body=body, headers=[("content-type", "application/json")])
        assert response.json()["revision"] == task["revision"] + step


async def test_a_patch_merges_and_a_put_replaces(ann: Caller):
    task = await ann.task(extra={"a": {"b": 1, "c": 2}, "d": [1, {"e": 1}]})
    path = f"/tasks/{task['id']}"
    for method, given, result in (
        ("PATCH", {"a": {"b": None, "f": {"g": None, "h": 1}}}, {"a": {"c": 2, "f": {"h": 1}}, "d": [1, {"e": 1}]}),
        ("PATCH", {"d": [{"e": None}], "a": 5}, {"a": 5, "d": [{"e": None}]}),
        ("PATCH", {"a": {"i": None}}, {"a": {}, "d": [{"e": None}]}),
        ("PATCH", {}, {"a": {}, "d": [{"e": None}]}),
        ("PUT", {"n": None}, {"n": None}),
        ("PATCH", {"n": None}, {}),
        ("PATCH", {"o": {"p": None}}, {"o": {}}),
        ("PATCH", None, {}),
        ("PUT", None, {}),
    ):
        response = await ann(method, path, json={"extra": given})
        assert (response.status, response.json()["extra"]) == (200, result), given
    assert (await ann.task(extra={"n": None}))["extra"] == {"n": None}


REFUSED = [
    '{"a": 9007199254740993}',
    '{"a": -9007199254740993}',
    '{"a": [1e400]}',
    '{"a": "\\u0000"}',
    '{"a": "\\ud800"}',
    '{"\\u0007": 1}',
    '{"\\udc00": 1}',
    '{"a": {"\\ud83d": 1}}',
    '{"a": {"b": {"c": {"d": {"e": {}}}}}}',
    '{"a": [[[[[]]]]]}',
    "[]",
    '"{}"',
    "5",
    "true",
    json.dumps({"a": "x" * 4_089}),
    json.dumps({"a": "é" * 2_045}),
    '{"a": "%s"}' % ("\\n" * 2_045),
]


@pytest.mark.parametrize("extra", REFUSED, ids=lambda extra: extra[:30])
async def test_what_breaks_a_rule_is_refused_by_name_and_nothing_is_written(ann: Caller, extra: str):
    task = await ann.task(extra={"kept": True})
    body = f'{{"title": "x", "extra": {extra}}}'.encode()
    for method, path in (("POST", "/tasks"), ("PUT", f"/tasks/{task['id']}"), ("PATCH", f"/tasks/{task['id']}")):
        response = await ann(method, path, body=body, headers=[("content-type", "application/json")])
        assert (response.status, response.json()["fields"][0]["field"]) == (400, "extra")
    assert await ann.list() == [task]


async def test_the_largest_object_fits_and_a_patch_is_judged_by_its_result(ann: Caller):
    full = {"a": "é" * 2_000, "b": "x" * (4_096 - 4_000 - len('{"a":"","b":""}'))}
    task = await ann.task(extra=full)
    path = f"/tasks/{task['id']}"
    assert (await ann("PATCH", path, json={"extra": {"c": 1}})).status == 400
    assert await ann.read(task) == task
    nulls = {f"there-is-no-{number:08}": None for number in range(1_000)}
    assert (await ann("PATCH", path, json={"extra": nulls})).json() == task
    response = await ann("PATCH", path, json={"extra": {"b": None, "c": 1}})
    assert response.json()["extra"] == {"a": full["a"], "c": 1}


@pytest.mark.parametrize("position", ["", "a" * 65, "a-", "a b", "é", "a0\n", "٣", 5, True, ["a0"]])
async def test_a_position_is_1_to_64_letters_and_digits_of_ascii(ann: Caller, position: object):
    task = await ann.task(position="zZ09" * 16)
    assert task["position"] == "zZ09" * 16
    for method, path in (("POST", "/tasks"), ("PUT", f"/tasks/{task['id']}"), ("PATCH", f"/tasks/{task['id']}")):
        response = await ann(method, path, json={"title": "x", "position": position})
        assert (response.status, response.json()["fields"][0]["field"]) == (400, "position")
    assert (await ann("PATCH", f"/tasks/{task['id']}", json={"position": None})).json()["position"] is None


@pytest.mark.parametrize("sort", ["position", "-position"])
async def test_lists_are_ordered_by_position_with_those_without_at_the_end(ann: Caller, sort: str):
    for position in ("a0", None, "Zz", "a", "a0V", None, "0", "a0"):
        await ann.task(position=position)
    whole = await ann.list(f"?sort={sort}")
    ids = {position: [task["id"] for task in whole if task["position"] == position] for position in ("a0", None)}
    order = ["0", "Zz", "a", "a0", "a0", "a0V"]
    assert [task["position"] for task in whole] == [*(reversed(order) if sort[0] == "-" else order), None, None]
    for same in ids.values():
        assert same == sorted(same, reverse=sort[0] == "-")
    walked, target = [], f"?sort={sort}&limit=1"
    while target:
        response = await ann("GET", f"/tasks{target}")
        walked += response.json()
        target = (response.header("link") or "<>").split(">")[0].removeprefix("<")
    assert walked == whole
