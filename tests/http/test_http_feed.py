"""docs/api.md, The calendar feed: a secret URL shows the open tasks with a due date, and tells strangers nothing."""

import base64
from datetime import date, timedelta
from urllib.parse import urljoin

import pytest
from apis import Api, Caller, in_memory
from icalendar import Calendar

from support.clock import FakeClock
from support.recorded_events import RecordedEvents
from todo_adapters.http.endpoints.feed import feed_url
from todo_adapters.http.middleware.rate_limit import Rate
from todo_adapters.memory import MemoryTasks
from todo_domain import Unavailable, user_id
from todo_domain.feed import FeedToken, new_feed_token, read_feed_token


async def make(user: Caller) -> str:
    """Make a feed, and return the path of it."""
    response = await user("POST", "/feed")
    assert response.status == 201, response
    assert response.header("cache-control") == "no-store"
    return urljoin(user.path + "/feed", response.json()["url"])


async def read(api: Api, path: str, **how):
    """Return the response to a reader who has nothing but the URL."""
    return await api.request("GET", path, **how)


def days(response) -> dict[str, date]:
    """The day of each event, by its summary."""
    assert response.status == 200, response
    assert response.header("content-type") == "text/calendar; charset=utf-8; component=vevent"
    return {str(event["summary"]): event.start for event in Calendar.from_ical(response.body).events}


async def test_each_open_task_with_a_due_date_is_an_event_of_that_day(ann: Caller, api: Api, bob: Caller):
    for title, day in (("near", "2026-12-01"), ("far", "9999-12-31"), ("long ago", "0001-01-01")):
        await ann.task(title=title, due_date=day)
    await ann.task(title="some day")
    await ann.task(title="done", due_date="2026-12-01", completed=True)
    await bob.task(title="of bob", due_date="2026-12-01")
    path = await make(ann)
    response = await read(api, path)
    assert days(response) == {"near": date(2026, 12, 1), "far": date(9999, 12, 31), "long ago": date(1, 1, 1)}
    (event, *_) = [each for each in Calendar.from_ical(response.body).events if each["summary"] == "near"]
    assert event["dtstart"].params == {"VALUE": "DATE"}
    assert (event.duration, event["transp"]) == (timedelta(days=1), "TRANSPARENT")
    assert "DTEND" not in event


TEXTS = [
    "plain",
    "a,b;c:d\\e\\nf",
    'quotes " and \\, and :',
    "lines\nand\ttabs",
    "BEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR",
    "日本 🤷🏽‍♀️ é e\u0301 ﷽",
    "x" * 255,
]


async def test_texts_come_back_as_they_are(ann: Caller, api: Api):
    for number, text in enumerate(TEXTS):
        await ann.task(title=f"{number} {text}"[:255], description=text, tags=["a,b", "c;d"], due_date="2026-12-01")
    await ann.task(title="plain", priority="high", due_date="2026-12-02")
    events = Calendar.from_ical((await read(api, await make(ann))).body).events
    *others, plain = sorted(events, key=lambda each: str(each["summary"]))
    assert [str(each["summary"]) for each in others] == [f"{number} {text}"[:255] for number, text in enumerate(TEXTS)]
    assert [str(each["description"]) for each in others] == TEXTS
    assert {tuple(map(str, each["categories"].cats)) for each in others} == {("a,b", "c;d")}
    assert (plain["priority"], "description" in plain, "categories" in plain) == (1, False, False)


async def test_the_feed_of_an_empty_account_is_a_calendar_without_events(ann: Caller, api: Api):
    response = await read(api, await make(ann))
    assert days(response) == {}
    assert str(Calendar.from_ical(response.body)["x-wr-calname"]) == "Todo"
    assert (await ann.state())["revision"] == 0


async def test_the_validator_is_weak_and_changes_with_every_write(ann: Caller, api: Api):
    task = await ann.task(due_date="2026-12-01")
    path = await make(ann)
    first = await read(api, path)
    etag = first.header("etag")
    assert etag.startswith('W/"')
    for sent in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
        again = await read(api, path, headers=[("if-none-match", sent)])
        assert (again.status, again.header("etag"), again.body) == (304, etag, b"")
        assert again.header("cache-control") == "private, no-cache"
    await ann("PATCH", f"/tasks/{task['id']}", json={"title": "another"})
    changed = await read(api, path, headers=[("if-none-match", etag)])
    assert list(days(changed)) == ["another"]
    assert changed.header("etag") != etag
    assert (await ann("GET", "/tasks", headers=[("if-none-match", changed.header("etag"))])).status == 200
    listed = (await ann("GET", "/tasks")).header("etag")
    assert (await read(api, path, headers=[("if-none-match", listed)])).status == 200
    assert (await read(api, path, headers=[("if-none-match", "17")])).status == 400


async def test_the_same_state_is_the_same_bytes(ann: Caller, api: Api):
    await ann.task(due_date="2026-12-01")
    path = await make(ann)
    assert (await read(api, path)).body == (await read(api, path)).body


async def test_a_new_feed_ends_the_one_before_and_ending_or_erasing_ends_it(ann: Caller, api: Api):
    first = await make(ann)
    second = await make(ann)
    assert (await read(api, first)).status == 404
    assert (await read(api, second)).status == 200
    for _ in range(2):
        ended = await ann("DELETE", "/feed")
        assert (ended.status, ended.header("cache-control")) == (204, "no-store")
    assert (await read(api, second)).status == 404
    third = await make(ann)
    assert (await ann("DELETE", f"?confirm={ann.id}")).status == 204
    assert (await read(api, third)).status == 404


async def test_a_wrong_token_says_the_same_whomever_it_names(ann: Caller, bob: Caller, api: Api):
    await ann.task(due_date="2026-12-01")
    path = await make(ann)
    right = read_feed_token(path.removeprefix("/feeds/").removesuffix(".ics"))
    id_ = [("x-request-id", "one")]
    tokens = [
        new_feed_token(right.owner),
        FeedToken(right.owner, bytes(20)),
        new_feed_token(user_id(bob.id)),
        FeedToken(user_id(bob.id), right.secret),
        new_feed_token(user_id("nobody has heard of me")),
    ]
    wrong = [await read(api, f"/feeds/{token.text}.ics", headers=id_) for token in tokens]
    assert {(each.status, each.body) for each in wrong} == {(404, wrong[0].body)}
    assert wrong[0].json()["code"] == "not_found"
    text = right.text
    spellings = [
        "x",
        "",
        text[:-1],
        text + "=",
        text + "A",
        text.swapcase(),
        f"%{ord(text[0]):x}{text[1:]}",
        base64.urlsafe_b64encode(bytes(20)).decode().rstrip("="),
        base64.urlsafe_b64encode(bytes(20) + b"\xff").decode().rstrip("="),
        base64.urlsafe_b64encode(bytes(20) + b"a\0b").decode().rstrip("="),
        base64.urlsafe_b64encode(bytes(20) + b"a" * 256).decode().rstrip("="),
        "%C3%A9",
        "a" * 5_000,
    ]
    for spelt in spellings:
        response = await api.bare.request("GET", f"/feeds/{spelt}.ics".encode("latin-1"), headers=id_)
        assert (response.status, response.json()["code"]) == (404, "not_found"), spelt
    assert (await read(api, path)).status == 200


async def test_a_malformed_token_is_refused_without_the_store():
    class Counting(MemoryTasks):
        asked = 0

        async def feed(self, *arguments, **named):
            type(self).asked += 1
            return await super().feed(*arguments, **named)

    with in_memory(store=Counting()) as api:
        for malformed in ("x", "a" * 300, base64.urlsafe_b64encode(bytes(20)).decode().rstrip("=")):
            assert (await read(api, f"/feeds/{malformed}.ics")).status == 404
        assert Counting.asked == 0
        assert (await read(api, f"/feeds/{new_feed_token(user_id('ann')).text}.ics")).status == 404
        assert Counting.asked == 1


@pytest.mark.parametrize("sub", ["me", "a/b c", "..", "é%2F+&=", "user_😀", "x" * 255])
async def test_every_user_id_has_a_feed_and_can_be_read_in_its_token(api: Api, sub: str):
    user = api.user(sub)
    response = await api.request("POST", "/api/me/feed", token=user.token)
    path = urljoin("/api/me/feed", response.json()["url"])
    assert (await read(api, path)).status == 200
    text = path.removeprefix("/feeds/").removesuffix(".ics")
    assert base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[20:].decode() == sub


async def test_the_url_is_right_under_any_prefix():
    url = feed_url(new_feed_token(user_id("ann")))
    assert urljoin("https://example.com/todo/api/me/feed", url).startswith("https://example.com/todo/feeds/")


async def test_methods_are_told_as_elsewhere(ann: Caller, api: Api):
    path = await make(ann)
    whole = await read(api, path)
    head = await api.request("HEAD", path)
    assert (head.status, head.header("etag"), head.body) == (200, whole.header("etag"), b"")
    assert (await api.request("HEAD", path, headers=[("if-none-match", whole.header("etag"))])).status == 304
    assert (await api.request("HEAD", "/feeds/x.ics")).status == 404
    options = await api.request("OPTIONS", path)
    assert (options.status, options.header("allow")) == (204, "GET, HEAD, OPTIONS")
    options = await ann("OPTIONS", "/feed", token=None)
    assert (options.status, options.header("allow")) == (204, "DELETE, OPTIONS, POST")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        refused = await api.request(method, path)
        assert (refused.status, refused.header("allow")) == (405, "GET, HEAD, OPTIONS")
    for method in ("GET", "PUT", "PATCH"):
        refused = await ann(method, "/feed")
        assert (refused.status, refused.header("allow")) == (405, "DELETE, OPTIONS, POST")
    for target in (path.removesuffix(".ics"), path + "/", "/feeds", "/feeds/", "/feeds/.ics/x", path + "x"):
        assert (await api.bare.request("GET", target)).status == 404


async def test_making_one_takes_no_body_or_an_empty_one_and_no_parameter(ann: Caller, bob: Caller):
    for how in ({}, {"json": {}}, {"json": None}, {"body": b"", "headers": [("content-type", "application/json")]}):
        assert (await ann("POST", "/feed", **how)).status == 201
    assert (await ann("POST", "/feed", json={"title": "x"})).status == 400
    assert (await ann("POST", "/feed", body=b"{}", headers=[("content-type", "text/plain")])).status == 415
    for method in ("POST", "DELETE"):
        assert (await ann(method, "/feed?x=1")).status == 400
        assert (await ann(method, "/feed", token=None)).status == 401
        assert (await ann(method, "/feed", token=bob.token)).status == 403


async def test_a_deployment_can_have_no_feeds():
    store = MemoryTasks()
    with in_memory(store=store) as api:
        ann = api.user("ann")
        path = await make(ann)
    with in_memory(store=store, feeds=False) as api:
        ann = api.user("ann")
        for method, target in (("GET", path), ("OPTIONS", path), ("POST", ann.path + "/feed")):
            assert (await api.bare.request(method, target, token=ann.token)).status == 404


async def test_pages_of_a_configured_origin_may_read_feeds():
    with in_memory(cors_origins=["https://app.example.com"]) as api:
        path = await make(api.user())
        response = await read(api, path, headers=[("origin", "https://app.example.com")])
        assert response.header("access-control-allow-origin") == "https://app.example.com"


async def test_wrong_tokens_count_as_refused_tokens_of_their_address_and_right_ones_as_requests_of_the_user():
    clock = FakeClock()
    recorded = RecordedEvents()
    with in_memory(
        audit=recorded,
        user_rate=Rate("3/minute", reason="user", clock=clock.now.timestamp),
        refused_rate=Rate("2/minute", reason="refused_tokens", clock=clock.now.timestamp),
    ) as api:
        ann, bob = api.user(), api.user()
        path = await make(ann)
        assert [(await read(api, path)).status for _ in range(3)] == [200, 200, 429]
        assert (await ann("GET", "/tasks")).status == 429
        other = await make(bob)
        wrong = [f"/feeds/{new_feed_token(user_id(ann.id)).text}.ics", "/feeds/x.ics"]
        assert [(await read(api, wrong[number % 2])).status for number in range(4)] == [404, 404, 429, 429]
        assert (await api.request("GET", "/api/me/tasks", token="x.y.z")).status == 429
        assert (await read(api, other)).status == 200, "a right token of the same address is served"
    assert [each["reason"] for each in recorded.of("token_refused")] == ["feed", "feed"]
    limited = recorded.of("rate_limited")
    assert [each["reason"] for each in limited] == ["user", "user", *["refused_tokens"] * 3]
    assert limited[0]["subject"] == ann.id


async def test_a_feed_made_or_ended_is_in_the_audit_log_and_no_event_has_the_token():
    recorded = RecordedEvents()
    with in_memory(audit=recorded) as api:
        ann = api.user()
        path = await make(ann)
        await read(api, path)
        await read(api, path.replace("/feeds/", "/feeds/AAAA"))
        await ann("DELETE", "/feed")
        await ann("DELETE", "/feed")
        assert (await ann("POST", "/feed", json={"x": 1})).status == 400
    assert [each["event"] for each in recorded.events] == ["feed_made", "token_refused", "feed_ended"]
    made, refused, ended = recorded.events
    assert (made["subject"], made["route"]) == (ann.id, "/api/{user_id}/feed")
    assert (ended["subject"], ended["method"]) == (ann.id, "DELETE")
    assert (refused["subject"], refused["route"], refused["reason"]) == (None, "/feeds/{token}", "feed")
    token = path.removeprefix("/feeds/").removesuffix(".ics")
    assert token[:12] not in str(recorded.events)


async def test_a_feed_of_which_nobody_knows_whether_it_was_made_is_in_the_audit_log():
    class Failing(MemoryTasks):
        async def make_feed(self, *_, **__):
            raise Unavailable("the database went away", outcome_unknown=True)

        async def end_feed(self, *_, **__):
            raise Unavailable("the database is out of reach")

    recorded = RecordedEvents()
    with in_memory(audit=recorded, store=Failing()) as api:
        ann = api.user()
        refused = await api.bare.request("POST", ann.path + "/feed", token=ann.token)
        assert (refused.status, refused.json()["outcome"]) == (503, "unknown")
        assert (await api.bare.request("DELETE", ann.path + "/feed", token=ann.token)).status == 503
    assert [(each["event"], each.get("outcome")) for each in recorded.events] == [("feed_made", "unknown")]


async def test_metrics_and_traces_say_the_route_and_never_the_token():
    with in_memory() as api:
        path = await make(api.user())
        await read(api, path)
        await read(api, path.replace("/feeds/", "/feeds/A"))
        text = (await api.request("GET", "/metrics")).body.decode()
    token = path.removeprefix("/feeds/").removesuffix(".ics")
    assert token not in text
    assert 'route="/feeds/{token}",status="200"' in text
    assert 'todo_auth_total{outcome="feed"} 1.0' in text


async def test_a_long_feed_is_sent_in_pieces_and_whole(ann: Caller, api: Api):
    for start in range(0, 300, 100):
        operations = [
            {"op": "put", "key": f"a-long-name-{start + number}", "task": {"title": "x", "due_date": "2026-12-01"}}
            for number in range(100)
        ]
        assert (await ann("POST", "/batch", json={"operations": operations})).status == 200
    response = await read(api, await make(ann))
    assert len(Calendar.from_ical(response.body).events) == 300
    assert {str(each["uid"]) for each in Calendar.from_ical(response.body).events} == {
        f"a-long-name-{number}" for number in range(300)
    }
