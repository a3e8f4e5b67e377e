"""docs/api.md, Conflicts: the revision, and what hangs on it: ETag, If-Match, If-None-Match, Cache-Control."""

import asyncio
from datetime import UTC, datetime

import pytest
from apis import Api, Caller, in_memory

from support.clock import FakeClock

WRITES = [("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("PATCH", "/complete")]
PAGES = ["/tasks", "/tasks?limit=1", "/tasks?status=complete", "/tasks?q=x&sort=title"]


def change(method: str, below: str) -> dict:
    return {"json": {"title": "Buy milk"}} if method in {"PUT", "PATCH"} and not below else {}


def condition(name: str, *values: str) -> dict:
    return {"headers": [(name, value) for value in values]}


def about(task: dict, value: str) -> str:
    """The value of a condition with the task's revision for `{now}` and the one after it for `{next}`."""
    return value.replace("{now}", str(task["revision"])).replace("{next}", str(task["revision"] + 1))


async def test_each_write_advances_the_users_counter_by_one(ann: Caller, bob: Caller):
    task, other = await ann.task(), await ann.task()
    await bob.task()
    revisions = [task["revision"], other["revision"]]
    for method, below, how in [
        ("PUT", "", {"json": {"title": "a"}}),
        ("PATCH", "", {"json": {"title": "b"}}),
        ("PATCH", "/complete", {}),
        ("PATCH", "/complete", {"json": {"completed": False}}),
    ]:
        response = await ann(method, f"/tasks/{task['id']}{below}", **how)
        revisions.append(response.json()["revision"])
    assert revisions == list(range(task["revision"], task["revision"] + 6))
    await ann("DELETE", f"/tasks/{task['id']}")
    assert await ann.writes() == 7
    assert (await ann.task())["revision"] == task["revision"] + 7
    assert await ann.read(other) == other
    assert await bob.writes() == 1


async def test_reads_and_refused_writes_take_no_revision(ann: Caller):
    task = await ann.task()
    for method, below, how in [
        ("GET", "/tasks", {}),
        ("GET", f"/tasks/{task['id']}", {}),
        ("POST", "/tasks", {"json": {}}),
        ("PATCH", f"/tasks/{task['id']}", {"json": {"title": ""}}),
        ("PATCH", f"/tasks/{task['id']}", {"json": {}}),
        ("PATCH", f"/tasks/{task['id']}", {"json": {"title": "y"}, **condition("if-match", '"9"')}),
        ("DELETE", "/tasks/9007199254740991", {}),
    ]:
        await ann(method, below, **how)
    assert (await ann.state())["revision"] == task["revision"]


# If-Match.


@pytest.mark.parametrize(("method", "below"), WRITES)
@pytest.mark.parametrize(
    "values",
    [
        ['"{now}"'],
        ["*"],
        [' "{now}" '],
        ['"0", "{now}"'],
        ['"x","{now}","y"'],
        [',, "{now}" ,,'],
        ['"7"', '"{now}"'],
        ['W/"{now}"'],
        ['W/"{next}", "{now}"'],
        ['"0", W/"{now}"'],
        ['"a,b", "{now}"'],
        [" * "],
        ['"\xff", "{now}"'],
    ],
    ids=str,
)
async def test_a_write_happens_if_the_condition_names_the_tasks_revision(ann: Caller, method, below, values):
    task = await ann.task()
    conditions = condition("if-match", *(about(task, value) for value in values))
    response = await ann(method, f"/tasks/{task['id']}{below}", **change(method, below), **conditions)
    assert response.status in {200, 204}
    assert await ann.writes() == 2


@pytest.mark.parametrize(("method", "below"), WRITES)
@pytest.mark.parametrize(
    "values",
    [
        ['"{next}"'],
        ['"0"'],
        ['W/"{next}"'],
        ['W/"0{now}"'],
        ['W/"x"'],
        ['"0{now}"'],
        ['""'],
        ['"abc"'],
        ['"+{now}"'],
        ['"{next}", "3"'],
        ['"{next}"', '"3"'],
        ['"99999999999999999999"'],
        ['"\xb9"'],
        ['"{now},"'],
        ['"-{now}"'],
    ],
    ids=str,
)
async def test_a_stale_condition_is_412_with_the_current_task(ann: Caller, method, below, values):
    task = await ann.task()
    conditions = condition("if-match", *(about(task, value) for value in values))
    response = await ann(method, f"/tasks/{task['id']}{below}", **change(method, below), **conditions)
    assert response.status == 412
    assert response.json()["code"] == "stale"
    assert response.json()["current"] == task
    assert response.header("etag") == f'"{task["revision"]}"'
    assert await ann.writes() == 1


@pytest.mark.parametrize(
    ("method", "below", "body"),
    [
        ("PUT", "", {"title": "Buy groceries"}),
        ("PATCH", "", {}),
        ("PATCH", "", {"completed": False}),
        ("PATCH", "/complete", {"completed": False}),
    ],
)
async def test_a_stale_condition_is_412_also_when_nothing_would_change(ann: Caller, method, below, body):
    task = await ann.task()
    how = {"json": body, **condition("if-match", '"7"')}
    assert (await ann(method, f"/tasks/{task['id']}{below}", **how)).status == 412


MALFORMED = [
    "",
    " ",
    "1",
    "'1'",
    '"1',
    '1"',
    '"',
    'w/"1"',
    'W/ "1"',
    "W/1",
    '"1" "2"',
    '"1"; "2"',
    '*, "1"',
    '"1", *',
    "**",
    '"a b"',
    "\xff",
    '"1",x',
    '"\t"',
    ",",
    '"1"*',
    "undefined",
    "null",
]


@pytest.mark.parametrize(("method", "below"), WRITES)
@pytest.mark.parametrize("value", MALFORMED, ids=repr)
async def test_a_malformed_if_match_is_400(ann: Caller, method, below, value):
    task = await ann.task()
    response = await ann(method, f"/tasks/{task['id']}{below}", **change(method, below), **condition("if-match", value))
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == "If-Match"
    assert await ann.read(task) == task


@pytest.mark.parametrize("value", MALFORMED, ids=repr)
async def test_a_malformed_if_none_match_is_400(ann: Caller, value):
    task = await ann.task()
    for below in ("/tasks", "/tasks?limit=1", f"/tasks/{task['id']}", "/changes"):
        response = await ann("GET", below, **condition("if-none-match", value))
        assert response.status == 400
        assert response.json()["fields"][0]["field"] == "If-None-Match"
        assert (await ann("HEAD", below, **condition("if-none-match", value))).status == 400


@pytest.mark.parametrize("value", ['"*"x', '"9"', "*"])
async def test_conditions_are_ignored_on_other_methods(ann: Caller, value):
    task = await ann.task()
    etag = condition("if-match", value)["headers"]
    none = condition("if-none-match", value)["headers"]
    for below in ("/tasks", f"/tasks/{task['id']}", "/changes"):
        assert (await ann("GET", below, headers=etag)).status == 200
        assert (await ann("OPTIONS", below, headers=etag + none)).status == 204
    assert (await ann("POST", "/tasks", json={"title": "x"}, headers=etag + none)).status == 201
    for method, below in WRITES[:2] + WRITES[3:] + WRITES[2:3]:
        how = change(method, below)
        status = (await ann(method, f"/tasks/{task['id']}{below}", headers=none, **how)).status
        assert status in ({412} if (method, value) == ("PUT", "*") else {200, 204})  # which creates only


@pytest.mark.parametrize(("method", "below"), WRITES)
async def test_a_task_that_is_gone_is_404_also_for_a_star(ann: Caller, bob: Caller, method, below):
    gone, foreign = await ann.task(), await bob.task()
    await ann("DELETE", f"/tasks/{gone['id']}")
    for task in (gone, foreign):
        for value in ("*", '"1"', '"9"'):
            how = {**change(method, below), **condition("if-match", value)}
            assert (await ann(method, f"/tasks/{task['id']}{below}", **how)).status == 404


async def test_of_racing_writers_with_the_same_condition_one_wins(ann: Caller):
    task = await ann.task()
    writes = [
        ann(
            "PATCH",
            f"/tasks/{task['id']}",
            json={"title": f"title {n}"},
            **condition("if-match", about(task, '"{now}"')),
        )
        for n in range(20)
    ]
    responses = await asyncio.gather(*writes)
    assert sorted(response.status for response in responses) == [200] + [412] * 19
    winner = next(response.json() for response in responses if response.status == 200)
    assert await ann.read(task) == winner


# If-None-Match.


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ('"{now}"', 304),
        ('W/"{now}"', 304),
        ("*", 304),
        ('"0", W/"{now}"', 304),
        ('"0","{next}"', 200),
        ('"0{now}"', 200),
        ('""', 200),
        ('W/"{next}"', 200),
    ],
)
async def test_a_task_is_304_if_the_client_has_it(ann: Caller, value, status):
    task = await ann.task()
    for method in ("GET", "HEAD"):
        response = await ann(method, f"/tasks/{task['id']}", **condition("if-none-match", about(task, value)))
        assert response.status == status
        assert response.header("etag") == about(task, '"{now}"')
        assert response.header("cache-control") == "private, no-cache"
        assert status == 200 or response.body == b""


@pytest.mark.parametrize("below", PAGES)
async def test_a_list_is_304_until_the_user_writes_something(ann: Caller, below: str):
    task = await ann.task()
    for _ in range(2):
        etag = (await ann("GET", below)).header("etag")
        assert etag.startswith('W/"')
        assert etag == (await ann("HEAD", below)).header("etag")
        for value in (etag, etag.removeprefix("W/"), f'"x", {etag}', f'{etag}, "y"', "*"):
            response = await ann("GET", below, **condition("if-none-match", value))
            assert (response.status, response.body, response.header("etag")) == (304, b"", etag)
            assert response.header("link") is None
        await ann("PATCH", f"/tasks/{task['id']}/complete")
        changed = await ann("GET", below, **condition("if-none-match", etag))
        assert changed.status == 200
        assert changed.header("etag") != etag


async def test_two_conditions_are_one_list(ann: Caller):
    task = await ann.task()
    assert (
        await ann("GET", f"/tasks/{task['id']}", **condition("if-none-match", '"7"', about(task, '"{now}"')))
    ).status == 304
    etag = (await ann("GET", "/tasks")).header("etag")
    assert (await ann("GET", "/tasks", **condition("if-none-match", '"7"', etag))).status == 304


async def test_a_lists_etag_differs_from_user_to_user(ann: Caller, bob: Caller):
    await ann.task()
    await bob.task()
    etags = [(await user("GET", "/tasks")).header("etag") for user in (ann, bob)]
    assert etags[0] != etags[1]
    response = await bob("GET", "/tasks", **condition("if-none-match", etags[0]))
    assert response.status == 200
    assert len(response.json()) == 1


async def test_no_forged_validator_brings_an_empty_list(ann: Caller):
    counter = [(await ann.task())["revision"] for _ in range(3)][-1]
    etag = (await ann("GET", "/tasks")).header("etag")
    stem, _, last = etag.rpartition(".")
    assert last == f'{counter}"'
    numbers = [0, 1, counter - 1, counter + 1, f"0{counter}", f"{counter}.", "9" * 16, "9" * 40, -counter, ""]
    forged = [f'{stem}.{number}"' for number in numbers]
    for value in [*forged, ", ".join(forged)]:
        response = await ann("GET", "/tasks", **condition("if-none-match", value))
        assert response.status == 200
        assert len(response.json()) == 3
    assert (await ann("GET", "/tasks", **condition("if-none-match", ", ".join([*forged, etag])))).status == 304


async def test_a_client_may_build_a_tasks_etag_from_its_revision(ann: Caller):
    task = (await ann.list())[:0] or [await ann.task()]
    response = await ann("DELETE", f"/tasks/{task[0]['id']}", **condition("if-match", f'"{task[0]["revision"]}"'))
    assert response.status == 204


async def test_every_2xx_that_carries_a_task_carries_its_etag_and_changes_has_none(ann: Caller):
    task = await ann.task()
    for method, below, how in [
        ("GET", "", {}),
        ("PUT", "", {"json": {"title": "a"}}),
        ("PATCH", "", {"json": {"title": "b"}}),
        ("PATCH", "/complete", {}),
    ]:
        response = await ann(method, f"/tasks/{task['id']}{below}", **how)
        assert response.header("etag") == f'"{response.json()["revision"]}"'
    assert (await ann("GET", "/changes")).header("etag") is None
    assert (await ann("GET", "/changes", **condition("if-none-match", "*"))).status == 200


async def test_nothing_of_a_lost_life_of_the_data_fits_the_new_one():
    clock = FakeClock(datetime(2026, 11, 22, 9, 15, 0, 123456, UTC))
    with in_memory(clock=clock) as api:
        ann = api.user("ann")
        lost = [await ann.task(title=f"{number}") for number in range(3)]
        list_tag = (await ann("GET", "/tasks")).header("etag")
    clock.advance(seconds=10)
    with in_memory(clock=clock) as api:
        ann = api.user("ann")
        task = await ann.task(title="of the new life")
        assert task["id"] == lost[0]["id"]
        listed = await ann("GET", "/tasks", **condition("if-none-match", list_tag))
        assert (listed.status, listed.json()) == (200, [task])
        for then in lost:
            stale = await ann(
                "PUT", f"/tasks/{task['id']}", json={"title": "x"}, **condition("if-match", about(then, '"{now}"'))
            )
            assert (stale.status, stale.json()["current"]) == (412, task)
            assert (await ann("GET", f"/changes?since={then['revision']}")).status == 410


# Cache-Control: the contract tests look at it on every response; here is the table itself.


async def test_responses_may_be_kept_by_nobody_else_and_errors_by_nobody(api: Api, ann: Caller):
    task = await ann.task()
    for method, below, status in [
        ("GET", "/tasks", 200),
        ("HEAD", "/tasks", 200),
        ("OPTIONS", "/tasks", 204),
        ("GET", f"/tasks/{task['id']}", 200),
        ("GET", "/changes", 200),
        ("PATCH", f"/tasks/{task['id']}/complete", 200),
        ("DELETE", f"/tasks/{task['id']}", 204),
        ("DELETE", f"/tasks/{task['id']}", 404),
        ("GET", "/tasks?x=1", 400),
        ("GET", "/nowhere", 404),
        ("DELETE", "/tasks", 405),
        ("GET", "/changes?since=99", 410),
    ]:
        response = await ann(method, below)
        assert response.status == status
        assert response.all("cache-control") == ["private, no-cache" if status < 400 else "no-store"]
    assert (await api.request("GET", ann.path + "/tasks")).all("cache-control") == ["no-store"]
