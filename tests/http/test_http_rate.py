"""The rate limits over HTTP: whom they stop, at which place in the order of responses, and whom they never hold up."""

import time

import pytest
from apis import in_memory

from todo_adapters.http.middleware.rate_limit import Rate


class RecordedEvents:
    """An audit log that keeps the reason, the subject and the peer of each event."""

    def __init__(self):
        self.events = []

    def record(self, event, **details):
        self.events.append((event, details["reason"], details["subject"], details["peer"]))


class Seconds:
    """A clock that stands still until the test moves it."""

    now = 5_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Seconds()


@pytest.fixture
def recorded():
    return RecordedEvents()


@pytest.fixture
def api(clock, recorded):
    """A service that lets three requests of a user and two refused tokens of an address through in a minute."""
    rates = {
        "user_rate": Rate("3/minute", reason="user", clock=clock),
        "refused_rate": Rate("2/minute", reason="refused_tokens", clock=clock),
    }
    with in_memory(audit=recorded, cors_origins=["https://app.example"], **rates) as api:
        yield api


async def statuses(send, number):
    return [(await send()).status for _ in range(number)]


async def test_a_user_beyond_the_limit_is_429_until_the_wait_is_over_and_others_are_not(api, clock, recorded):
    ann, bob = api.user(), api.user()
    assert await statuses(lambda: ann("GET", "/tasks"), 4) == [200, 200, 200, 429]
    clock.now += 12.5
    response = await ann("GET", "/tasks")
    assert (response.status, response.header("retry-after")) == (429, "48")
    assert response.json()["code"] == "rate_limited"
    assert (await bob("GET", "/tasks")).status == 200
    clock.now += 48
    assert (await ann("GET", "/tasks")).status == 200
    assert recorded.events == [("rate_limited", "user", ann.id, "127.0.0.1")] * 2


async def test_the_users_rate_comes_before_403_400_and_404(api):
    ann, bob = api.user(), api.user()
    assert await statuses(lambda: ann("GET", "/tasks"), 3) == [200] * 3
    for target in (f"{bob.path}/tasks", "/api/me/tasks?nope=1", "/api/me/tasks/0", "/api/me/tasks/1"):
        assert (await api.request("GET", target, token=ann.token)).status == 429


async def test_requests_for_another_users_path_count_too(api):
    ann, bob = api.user(), api.user()
    assert await statuses(lambda: api.request("GET", f"{bob.path}/tasks", token=ann.token), 4) == [403, 403, 403, 429]


async def test_one_user_is_one_user_whatever_token_or_spelling(api):
    ann = api.user("ann smith")
    for target, token in (
        ("/api/ann%20smith/tasks", ann.token),
        ("/api/%61nn%20smith/tasks", api.token("ann smith", exp=int(time.time()) + 60)),
        ("/api/me/tasks", ann.token),
    ):
        assert (await api.request("GET", target, token=token)).status == 200
    assert (await ann("GET", "/tasks")).status == 429


@pytest.mark.parametrize("token", [None, "a.b.c", "x" * 9_000])
async def test_an_address_beyond_the_limit_gets_429_in_the_place_of_401(api, clock, recorded, token):
    def send():
        return api.request("GET", "/api/me/tasks", token=token)

    assert await statuses(send, 4) == [401, 401, 429, 429]
    response = await send()
    assert response.header("retry-after") == "60"
    assert response.header("www-authenticate") is None
    assert [event for event, *_ in recorded.events] == ["token_refused"] * 2 + ["rate_limited"] * 3
    assert recorded.events[-1] == ("rate_limited", "refused_tokens", None, "127.0.0.1")
    clock.now += 60
    assert (await send()).status == 401


async def test_a_valid_token_is_never_held_up_by_an_address_that_floods(api, clock):
    ann = api.user()
    for _ in range(50):
        await api.request("GET", "/api/me/tasks", token="a.b.c")
    assert (await api.request("GET", "/api/me/tasks", token="a.b.c")).status == 429
    assert await statuses(lambda: ann("GET", "/tasks"), 3) == [200] * 3
    clock.now += 60
    assert (await ann("GET", "/tasks")).status == 200


async def test_valid_tokens_do_not_use_up_what_an_address_may_get_wrong(api):
    for _ in range(10):
        await api.user()("GET", "/tasks")
    assert await statuses(lambda: api.request("GET", "/api/me/tasks"), 3) == [401, 401, 429]


async def test_health_preflights_and_unknown_paths_are_not_counted(api):
    origin = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "GET")]
    for _ in range(10):
        assert (await api.request("GET", "/health/live")).status == 200
        assert (await api.request("OPTIONS", "/api/me/tasks", headers=origin)).status == 204
        assert (await api.request("GET", "/api/me/nowhere")).status == 404
    assert (await api.request("GET", "/api/me/tasks")).status == 401


async def test_a_page_of_another_origin_can_read_how_long_to_wait(api):
    origin = [("Origin", "https://app.example")]
    for _ in range(3):
        response = await api.request("GET", "/api/me/tasks", headers=origin)
    assert response.status == 429
    assert response.header("access-control-allow-origin") == "https://app.example"
    assert "Retry-After" in response.header("access-control-expose-headers")


async def test_without_a_setting_nothing_is_limited():
    with in_memory() as api:
        ann = api.user()
        assert await statuses(lambda: ann("GET", "/tasks"), 300) == [200] * 300
        assert await statuses(lambda: api.request("GET", "/api/me/tasks"), 300) == [401] * 300
