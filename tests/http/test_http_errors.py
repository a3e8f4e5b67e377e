"""docs/api.md, Errors: one shape for every error, and the edges of sizes, types and ids."""

import asyncio
import gzip
import json
import logging

import pytest
from apis import Api, Caller, Serve, in_memory
from conformance import Conforming

from todo_adapters.memory import MemoryTasks
from todo_domain import Unavailable

JSON = ("content-type", "application/json")
KIB64 = 65_536


def padded(size: int, body: dict | None = None) -> bytes:
    """A valid body of exactly so many bytes."""
    text = json.dumps(body or {"title": "x"}).encode()
    return text + b" " * (size - len(text))


def writes(task: dict) -> list[tuple[str, str]]:
    return [
        ("POST", "/tasks"),
        ("PUT", f"/tasks/{task['id']}"),
        ("PATCH", f"/tasks/{task['id']}"),
        ("PATCH", f"/tasks/{task['id']}/complete"),
    ]


def fit(below: str) -> dict:
    return {"completed": True} if below.endswith("complete") else {"title": "x"}


# 413.


@pytest.mark.parametrize("size", [KIB64 - 1, KIB64])
@pytest.mark.parametrize("chunked", [False, True])
async def test_exactly_64_kib_are_allowed(ann: Caller, size: int, chunked: bool):
    for method, below in writes(await ann.task()):
        body = padded(size, fit(below))
        how = [body[i : i + 4096] for i in range(0, size, 4096)] if chunked else body
        assert (await ann(method, below, body=how, headers=[JSON])).status in {200, 201}


@pytest.mark.parametrize("size", [KIB64 + 1, 10 * KIB64, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_one_byte_more_is_413(ann: Caller, size: int, chunked: bool):
    task = await ann.task()
    state = await ann.state()
    for method, below in writes(task):
        for body in (padded(size, fit(below)), b"[" * size):
            how = [body[i : i + 30_000] for i in range(0, size, 30_000)] if chunked else body
            response = await ann(method, below, body=how, headers=[JSON])
            assert (response.status, response.json()["code"]) == (413, "too_large")
    assert await ann.state() == state


async def test_the_limit_is_a_setting(serve: Serve):
    with serve(body_limit=2_000) as api:
        ann = api.user()
        assert (await ann("POST", "/tasks", body=padded(2_000), headers=[JSON])).status == 201
        response = await ann("POST", "/tasks", body=padded(2_001), headers=[JSON])
        assert response.status == 413
        assert "2,000" in response.json()["error"]


async def test_escapes_count_as_sent(ann: Caller):
    body = json.dumps({"title": "x", "description": "\u0001é😀"[1:] * 2_500}).encode()
    assert len(body) < KIB64
    assert (await ann("POST", "/tasks", body=body, headers=[JSON])).status == 201


# 415.

GOOD_TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    'application/json; charset="utf-8"',
    "application/json; charset=utf8",
    'application/json;Charset="UTF8"',
    "Application/JSON",
    "APPLICATION/JSON ; CHARSET=utf-8",
    "application/json;",
    "application/json; profile=x",
    "application/json; boundary=x; charset=utf-8",
]
BAD_TYPES = [
    None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json",
    "application/jsonp", "application/vnd.api+json", "application/ld+json",
    "application/json-patch+json", "application", "json", "application/json/x", "application /json", "application/*",
    "*/*", "application/json, application/json", "application/json, text/plain",
    "application/json; charset=latin-1", "application/json; charset=utf-16", "application/json; charset=",
    "application/json; charset=utf_8", 'application/json; charset="utf-16"', "application/json; Charset=us-ascii",
    "application/json; charset=utf88", 'application/json; charset="utf8', "application/json; charset=utf--8",
    "application/json; charset=utf-8; charset=utf-16", "\xff", "application/json\xa0",
]  # fmt: skip


@pytest.mark.parametrize("media_type", GOOD_TYPES)
async def test_json_in_utf_8_is_read(ann: Caller, media_type: str):
    for method, below in writes(await ann.task()):
        response = await ann(method, below, json=fit(below), headers=[("content-type", media_type)])
        assert response.status in {200, 201}


@pytest.mark.parametrize("media_type", BAD_TYPES, ids=repr)
async def test_a_body_of_another_type_is_415(ann: Caller, media_type: str | None):
    task = await ann.task()
    state = await ann.state()
    headers = [] if media_type is None else [("content-type", media_type)]
    for method, below in writes(task):
        for body in (json.dumps(fit(below)).encode(), b" ", b"\xff"):
            response = await ann(method, below, body=body, headers=headers)
            assert (response.status, response.json()["code"]) == (415, "unsupported_media_type")
            patch = listed(response.header("accept-patch")) if method == "PATCH" else None
            assert patch == ({"application/json", "application/merge-patch+json"} if method == "PATCH" else None)
    assert await ann.state() == state


def listed(value: str | None) -> set[str]:
    return {name.strip() for name in (value or "").split(",")}


async def test_merge_patch_is_a_type_of_patch_only(ann: Caller):
    headers = [("content-type", "application/merge-patch+json; charset=utf-8")]
    for method, below in writes(await ann.task()):
        response = await ann(method, below, json=fit(below), headers=headers)
        assert response.status == (200 if method == "PATCH" else 415)


async def test_two_content_types_are_415(ann: Caller):
    for second in ("application/json", "text/plain"):
        for pair in ([JSON, ("content-type", second)], [("content-type", second), JSON]):
            response = await ann("POST", "/tasks", json={"title": "x"}, headers=pair)
            assert response.status == 415


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity", "", "x", "gzip, gzip"])
async def test_any_content_encoding_is_415(ann: Caller, coding: str):
    task = await ann.task()
    body = gzip.compress(b'{"title": "x"}') if coding == "gzip" else b'{"title": "x"}'
    for method, below in writes(task):
        for twice in ([], [("content-encoding", coding)]):
            response = await ann(method, below, body=body, headers=[JSON, ("content-encoding", coding), *twice])
            assert response.status == 415
        assert (await ann(method, below, headers=[("content-encoding", coding)])).status in {400, 200}


# 431.


def section(headers: list[tuple[str, str]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


@pytest.mark.parametrize(("size", "status"), [(16_384, 200), (16_385, 431), (60_000, 431)])
async def test_a_header_section_over_16_kib_is_431(ann: Caller, size: int, status: int):
    headers = [("host", "x"), ("authorization", f"Bearer {ann.token}")]
    for name in ("x-filler", "cookie", "if-match"):
        rest = size - section(headers) - len(name) - 4
        response = await ann.api.request("GET", ann.path + "/tasks", headers=[*headers, (name, "a" * rest)])
        assert response.status == status
    many = [*headers] + [(f"x{number}", "") for number in range((size - section(headers)) // 9)]
    assert (await ann.api.request("GET", ann.path + "/tasks", headers=many)).status in {200, status}


async def test_431_comes_before_anything_else(ann: Caller):
    big = [("x-filler", "a" * 17_000)]
    for method, target, token in [
        ("GET", "/nowhere", None),
        ("DELETE", ann.path + "/tasks", None),
        ("OPTIONS", ann.path + "/tasks", None),
        ("GET", ann.path + "/tasks", "bad"),
        ("GET", "/health/live", None),
    ]:
        response = await ann.api.request(method, target, headers=big, token=token)
        assert (response.status, response.json()["code"]) == (431, "too_large")
    assert (
        await ann.api.request("GET", ann.path + "/tasks", headers=[("authorization", "Bearer " + "a" * 17_000)])
    ).status == 431


@pytest.mark.parametrize(
    "target", ["/" + "a" * 17_000, "/api/me/tasks?q=" + "a" * 17_000, "/api/" + "%61" * 6_000 + "/tasks"]
)
async def test_a_request_target_over_16_kib_is_431(ann: Caller, target: str):
    assert (await ann.api.request("GET", target, token=ann.token)).status == 431


async def test_a_request_target_below_it_is_routed(ann: Caller):
    assert (await ann.api.request("GET", "/api/me/tasks?q=" + "a" * 15_000, token=ann.token)).status == 400
    assert (await ann.api.request("GET", "/api/" + "%61" * 5_000 + "/tasks", token=ann.token)).status == 403


# Request ids.

GOOD_REQUEST_IDS = ["a", "0", "-", "..", "A.b_c-9", "x" * 128, "00000000-0000-0000-0000-000000000000"]
BAD_REQUEST_IDS = [
    "",
    " ",
    "x" * 129,
    "a b",
    "a/b",
    "a,b",
    "a;b",
    "é",
    "\xff",
    '"a"',
    "a\tb",
    "<b>",
    "a:b",
    "a+b",
    "a=b",
    "%41",
    "a@b",
]


@pytest.mark.parametrize("request_id", GOOD_REQUEST_IDS)
async def test_a_clients_request_id_comes_back_on_every_response(ann: Caller, request_id: str):
    for method, target in [
        ("GET", ann.path + "/tasks"),
        ("GET", "/nowhere"),
        ("POST", ann.path + "/tasks"),
        ("OPTIONS", ann.path + "/tasks"),
        ("GET", "/health/live"),
        ("TRACE", "/health/live"),
    ]:
        for token in (ann.token, None):
            response = await ann.api.request(method, target, token=token, headers=[("X-Request-ID", request_id)])
            assert response.header("x-request-id") == request_id


@pytest.mark.parametrize("request_id", BAD_REQUEST_IDS, ids=repr)
async def test_any_other_request_id_is_replaced(ann: Caller, request_id: str):
    headers = [("x-request-id", request_id)]
    fresh = {(await ann("GET", "/tasks/0", headers=headers)).header("x-request-id") for _ in range(3)}
    assert len(fresh) == 3
    assert request_id not in fresh


async def test_each_request_has_an_id_of_its_own(ann: Caller):
    responses = await asyncio.gather(*(ann("GET", "/tasks") for _ in range(50)))
    assert len({response.header("x-request-id") for response in responses}) == 50


# 503 and 500.


class BrokenStore(MemoryTasks):
    """A store that fails as it is told."""

    error: BaseException | None = None

    async def page(self, *_, **__):
        raise self.error

    create = toggle = get = delete = changes = replace = page

    async def check(self, **_):
        if self.error:
            raise self.error


@pytest.fixture(scope="module")
def over_a_broken_store():
    store = BrokenStore()
    with in_memory(store=store) as api:
        api.client = Conforming(api.bare, failures=True)
        yield api, store


@pytest.fixture
def broken(over_a_broken_store):
    """The service over a store that a test breaks."""
    _, store = over_a_broken_store
    store.error = None
    return over_a_broken_store


OPERATIONS = [
    ("GET", "/tasks", {}),
    ("POST", "/tasks", {"json": {"title": "x"}}),
    ("GET", "/tasks/1", {}),
    ("PUT", "/tasks/1", {"json": {"title": "x"}}),
    ("PATCH", "/tasks/1", {"json": {"title": "x"}}),
    ("DELETE", "/tasks/1", {}),
    ("PATCH", "/tasks/1/complete", {}),
    ("GET", "/changes", {}),
]


@pytest.mark.parametrize(("method", "below", "how"), OPERATIONS)
@pytest.mark.parametrize("unknown", [False, True])
async def test_a_store_out_of_reach_is_503_and_says_whether_a_write_may_have_happened(
    broken, method, below, how, unknown: bool
):
    api, store = broken
    store.error = Unavailable("the database is out of reach: try again", outcome_unknown=unknown, retry_after=3)
    response = await api.user()(method, below, **how)
    assert (response.status, response.json()["code"], response.header("retry-after")) == (503, "unavailable", "3")
    assert response.json().get("outcome") == ("unknown" if unknown else None)


@pytest.mark.parametrize(("method", "below", "how"), OPERATIONS)
@pytest.mark.parametrize(
    "error", [KeyError("secret"), RecursionError("SELECT secret"), ValueError("/src/secret.py")], ids=repr
)
async def test_a_bug_is_500_tells_nothing_and_is_logged_with_the_request_id(broken, caplog, method, below, how, error):
    api, store = broken
    store.error = error
    with caplog.at_level(logging.ERROR):
        response = await api.user()(method, below, **how)
    assert (response.status, response.json()["code"]) == (500, "internal")
    assert "secret" not in response.body.decode()
    assert [record.request_id for record in caplog.records] == [response.header("x-request-id")]


async def test_readiness_follows_the_store_and_liveness_does_not(broken):
    api, store = broken
    assert (await api.request("GET", "/health/ready")).status == 200
    store.error = Unavailable("the database is out of reach: try again")
    for method in ("GET", "HEAD"):
        response = await api.request(method, "/health/ready")
        assert (response.status, response.header("retry-after")) == (503, "1")
        assert (await api.request(method, "/health/live")).status == 200
    store.error = ZeroDivisionError()
    assert (await api.request("GET", "/health/ready")).status == 500


# The shape itself: every other test sees it through the conforming client; here once in full.


async def test_the_shape_of_an_error(ann: Caller):
    response = await ann("POST", "/tasks", json={"title": ""}, headers=[("x-request-id", "r-1")])
    assert response.json() == {
        "error": "title must be 1 to 255 characters",
        "code": "invalid",
        "fields": [{"field": "title", "message": "must be 1 to 255 characters"}],
        "request_id": "r-1",
    }


async def test_no_error_echoes_long_input(api: Api, ann: Caller):
    long = "z" * 3_000
    requests = [
        ("GET", f"/tasks?{long}=1", {}),
        ("GET", f"/tasks?sort={long}", {}),
        ("GET", f"/tasks?limit=1&cursor={long}", {}),
        ("GET", f"/tasks/{long}", {}),
        ("POST", "/tasks", {"json": {"title": long}}),
        ("POST", "/tasks", {"json": {"title": "x", long: 1}}),
        ("POST", "/tasks", {"json": {"title": "x", "status": long}}),
        ("POST", "/tasks", {"body": f'{{"{long}": 1, "{long}": 2}}'.encode(), "headers": [JSON]}),
        ("POST", "/tasks", {"json": {"title": "x"}, "headers": [("idempotency-key", long)]}),
        ("POST", "/tasks", {"json": {"title": "x"}, "headers": [("content-type", long)]}),
        ("GET", "/tasks", {"headers": [("if-none-match", long)]}),
        ("GET", "/tasks", {"token": long}),
        ("PROPFIND", "/tasks", {}),
    ]
    for method, below, how in requests:
        response = await ann(method, below, **how)
        assert 400 <= response.status < 500
        assert "z" * 50 not in response.body.decode()
    assert "z" * 50 not in (await api.request("GET", f"/{long}")).body.decode()
