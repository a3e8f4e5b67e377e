"""docs/api.md, Erasing: `DELETE /api/{user_id}` leaves nothing of the user but the user id and the counter."""

import asyncio
from urllib.parse import quote

import pytest
from apis import Api, Caller, in_memory

from support.recorded_events import RecordedEvents
from todo_adapters.memory import MemoryTasks
from todo_domain import Unavailable
from todo_domain.deadline import RESPOND_WITHIN

UID = "0199c3a8-5d1e-7c4f-9b0a-3f7d2c11e8aa"


class Gated(MemoryTasks):
    """A store whose erasures wait until the test lets them go on."""

    def __init__(self):
        super().__init__()
        self.begun = asyncio.Semaphore(0)
        self.gate = asyncio.Event()

    async def erase(self, owner, *, deadline=None):
        self.begun.release()
        await self.gate.wait()
        await super().erase(owner, deadline=deadline)


async def erase(user: Caller, confirm: str | None = None, **how):
    return await user("DELETE", f"?confirm={quote(user.id if confirm is None else confirm, safe='')}", **how)


async def test_everything_is_gone_and_whatever_was_known_of_it_is_stale(ann: Caller, bob: Caller):
    task = await ann.task()
    named = (await ann("PUT", f"/tasks/{UID}", json={"title": "has a name"})).json()
    await ann("DELETE", f"/tasks/{(await ann.task())['id']}")
    his, state = await bob.task(), await bob.state()
    listed = await ann("GET", "/tasks")
    before = await ann.state()

    response = await erase(ann)
    assert (response.status, response.body, response.header("cache-control")) == (204, b"", "private, no-cache")
    counter = before["revision"] + 1
    assert await ann.state() == {"tasks": [], "deleted": [], "revision": counter, "has_more": False}
    again = await ann("GET", "/tasks", headers=[("if-none-match", listed.header("etag"))])
    assert (again.status, again.json()) == (200, [])
    for since in (task["revision"], named["revision"], before["revision"]):
        refused = await ann("GET", f"/changes?since={since}")
        assert (refused.status, refused.json()["code"]) == (410, "resync")
    assert (await ann("GET", f"/changes?since={counter}")).json()["revision"] == counter
    for key in (task["id"], named["id"], UID):
        assert (await ann("PATCH", f"/tasks/{key}", json={"title": "x"})).status == 404
    assert (await bob.read(his), await bob.state()) == (his, state)


async def test_the_user_may_begin_anew_and_nothing_of_before_is_replayed(ann: Caller):
    key = [("idempotency-key", "the-key")]
    first = (await ann("POST", "/tasks", json={"title": "x"}, headers=key)).json()
    assert (await erase(ann)).status == 204
    anew = await ann("POST", "/tasks", json={"title": "another"}, headers=key)
    assert (anew.status, anew.header("idempotency-replayed")) == (201, None)
    assert anew.json()["revision"] == first["revision"] + 2
    assert (
        await ann("PATCH", f"/tasks/{anew.json()['id']}", json={}, headers=[("if-match", f'"{first["revision"]}"')])
    ).status == 412


async def test_of_a_user_who_never_wrote_nothing_is_made(ann: Caller):
    assert (await erase(ann)).status == 204
    assert (await ann.state())["revision"] == 0


@pytest.mark.parametrize("sub", ["me", "a/b c", "..", "é%2F+&=", "user_😀"])
async def test_confirm_is_the_user_id_itself_however_the_path_spells_it(api: Api, sub: str):
    user = api.user(sub)
    for path in ["/api/me", *([user.path] if sub != ".." else [])]:
        await user.api.request("POST", "/api/me/tasks", token=user.token, json={"title": "x"})
        target = f"{path}?confirm={quote(sub, safe='')}"
        assert (await api.request("DELETE", target, token=user.token)).status == 204
        assert (await api.request("GET", "/api/me/tasks", token=user.token)).json() == []


async def test_without_the_user_id_nothing_is_erased(ann: Caller, bob: Caller):
    await ann.task()
    state = await ann.state()
    for query in (
        "",
        "?confirm",
        "?confirm=",
        "?confirm=me",
        "?confirm=yes",
        f"?confirm={bob.id}",
        f"?confirm={ann.id.upper()}",
        f"?confirm={ann.id}%20",
        f"?confirm={ann.id}&confirm={ann.id}",
        f"?Confirm={ann.id}",
        f"?confirm={ann.id}&force=true",
        "?confirm=%ff",
    ):
        refused = await ann("DELETE", query)
        assert (refused.status, refused.json()["code"]) == (400, "invalid"), query
        assert (await ann("DELETE", query, token=bob.token)).status == 403
    assert refused.json()["fields"][0]["field"] == "confirm"
    assert await ann.state() == state


async def test_the_path_of_a_user_has_delete_alone(ann: Caller):
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH"):
        refused = await ann(method, f"?confirm={ann.id}")
        assert (refused.status, refused.header("allow")) == (405, "DELETE, OPTIONS")
    options = await ann("OPTIONS", "", token=None)
    assert (options.status, options.header("allow")) == (204, "DELETE, OPTIONS")
    for target in (ann.path + "/", "/api/", "/api", "/api//"):
        assert (await ann.api.request("DELETE", f"{target}?confirm={ann.id}", token=ann.token)).status == 404


async def test_a_deployment_can_have_no_such_route():
    with in_memory(erase=False) as api:
        ann = api.user()
        await ann.task()
        for method in ("DELETE", "GET", "OPTIONS"):
            response = await api.bare.request(method, f"{ann.path}?confirm={ann.id}", token=ann.token)
            assert response.status == 404
        assert len(await ann.list()) == 1


async def test_an_erasure_is_an_event_of_the_audit_log_and_one_that_was_refused_is_none():
    recorded = RecordedEvents()
    with in_memory(audit=recorded) as api:
        ann = api.user()
        await ann.task(title="a secret")
        assert (await erase(ann, "me")).status == 400
        assert (await erase(ann, headers=[("x-request-id", "mine")])).status == 204
    (event,) = recorded.events
    assert (event["event"], event["subject"], event["method"], event["request_id"]) == (
        "user_erased",
        ann.id,
        "DELETE",
        "mine",
    )
    assert event["route"] == "/api/{user_id}"
    assert "a secret" not in str(event)


async def test_an_erasure_of_which_nobody_knows_whether_it_happened_is_noted_as_such():
    class Lost(MemoryTasks):
        async def erase(self, owner, **_):
            raise Unavailable("the database went away", outcome_unknown=owner == ann.id)

    recorded = RecordedEvents()
    with in_memory(audit=recorded, store=Lost()) as api:
        ann, bob = api.user(), api.user()
        responses = [
            await user.api.bare.request("DELETE", f"/api/me?confirm={user.id}", token=user.token) for user in (ann, bob)
        ]
    assert [(response.status, response.json().get("outcome")) for response in responses] == [
        (503, "unknown"),
        (503, None),
    ]
    assert [(event["event"], event["outcome"], event["subject"]) for event in recorded.events] == [
        ("user_erased", "unknown", ann.id)
    ]


async def test_of_one_user_one_goes_on_at_a_time_and_of_all_users_two():
    store, recorded = Gated(), RecordedEvents()
    with in_memory(store=store, audit=recorded) as api:
        users = [api.user() for _ in range(3)]
        for user in users:
            await user.task()
        first = asyncio.create_task(erase(users[0]))
        await store.begun.acquire()
        mine = await erase(users[0])
        second = asyncio.create_task(erase(users[1]))
        await store.begun.acquire()
        third = await erase(users[2])
        assert (await users[2]("DELETE", "?confirm=me")).status == 400  # which comes before it
        for refused in (mine, third):
            assert (refused.status, refused.json()["code"], refused.header("retry-after")) == (429, "rate_limited", "5")
        assert await users[0].list() != []
        store.gate.set()
        assert [(await one).status for one in (first, second)] == [204, 204]
        assert [(await erase(user)).status for user in users] == [204] * 3
    assert [event["reason"] for event in recorded.events if event["event"] == "rate_limited"] == ["transfers"] * 2


async def test_an_erasure_has_half_a_minute_and_gives_its_place_back_when_it_fails():
    deadlines = []

    class Down(MemoryTasks):
        async def erase(self, owner, *, deadline=None):  # noqa: ARG002  the shape of the port
            deadlines.append(deadline)
            raise Unavailable("the database is out of reach")

    with in_memory(store=Down()) as api:
        ann = api.user()
        for _ in range(3):
            assert (await api.bare.request("DELETE", f"/api/me?confirm={ann.id}", token=ann.token)).status == 503
    assert all(RESPOND_WITHIN + 20 < deadline.left() <= 30 for deadline in deadlines)
