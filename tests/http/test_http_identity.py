"""api.md, section 6: who is calling, whose path it is, and which pages of other origins may read the answers."""

import os
import time

import jwt
import pytest
from apis import Api, Caller, Serve, in_memory
from conformance import Conforming

from todo_domain import Unavailable, UserId

PAGE, OTHER_PAGE = "https://app.example", "http://localhost:5173"
ALLOWED = {"authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "x-request-id"}
EXPOSED = {"etag", "link", "location", "retry-after", "x-request-id", "idempotency-replayed"}


def authorization(*values: str | bytes) -> list:
    return [("authorization", value) for value in values]


# 401.


@pytest.mark.parametrize(
    "headers",
    [
        [],
        authorization(""),
        authorization("Bearer"),
        authorization("Basic dXNlcjpwYXNz"),
        authorization("Bearertoken"),
        authorization("Token x"),
        [("cookie", "token=TOKEN")],
        [("x-authorization", "Bearer TOKEN")],
        [("proxy-authorization", "Bearer TOKEN")],
        authorization("TOKEN"),
        authorization("Bearer\tTOKEN"),
    ],
    ids=str,
)
async def test_without_a_bearer_token_it_is_401_with_a_plain_challenge(ann: Caller, headers):
    headers = [(name, value.replace("TOKEN", ann.token)) for name, value in headers]
    answer = await ann.api.request("GET", ann.path + "/tasks", headers=headers)
    assert answer.status == 401
    assert answer.header("www-authenticate") == 'Bearer realm="todo"'


def bad_tokens(api: Api, ann: Caller) -> dict[str, str | bytes]:
    head, claims, signature = ann.token.split(".")
    now = int(time.time())
    return {
        "nonsense": "nonsense",
        "dots": "..",
        "expired": api.token(ann.id, exp=now - 60),
        "no exp": api.token(ann.id, exp=None),
        "no sub": api.token(ann.id, sub=None),
        "empty sub": api.token(""),
        "not yet": api.token(ann.id, nbf=now + 600),
        "other secret": jwt.encode({"sub": ann.id, "exp": now + 60}, os.urandom(32), "HS256"),
        "other algorithm": jwt.encode({"sub": ann.id, "exp": now + 60}, os.urandom(64), "HS512"),
        "none": jwt.encode({"sub": ann.id, "exp": now + 60}, "", "none"),
        "truncated": ann.token[:-1],
        "padded": ann.token + "=",
        "unsigned": f"{head}.{claims}.",
        "other claims": f"{head}.{api.user().token.split('.')[1]}.{signature}",
        "two": f"{ann.token}, {ann.token}",
        "spaced": f"{ann.token} x",
        "quoted": f'"{ann.token}"',
        "too long": "a" * 9_000,
        "not ascii": b"\xff\xfe",
    }


async def test_a_bad_token_is_401_never_403_and_says_invalid_token(api: Api, ann: Caller, bob: Caller):
    for which, token in bad_tokens(api, ann).items():
        for path in (ann.path, "/api/me", bob.path, "/api/%ff"):
            answer = await api.request("GET", path + "/tasks", token=token)
            assert answer.status == 401, which
            assert answer.header("www-authenticate") == 'Bearer realm="todo", error="invalid_token"'
            said = token if isinstance(token, str) else "\xff\xfe"
            assert said not in answer.body.decode()


async def test_two_authorization_headers_are_401_even_if_both_are_right(ann: Caller):
    right = f"Bearer {ann.token}"
    for values in ((right, right), (right, "Basic x"), ("Basic x", right), ("", right)):
        answer = await ann.api.request("GET", ann.path + "/tasks", headers=authorization(*values))
        assert answer.status == 401
        assert answer.header("www-authenticate") == 'Bearer realm="todo", error="invalid_token"'
    assert (
        await ann.api.request("GET", ann.path + "/tasks", headers=authorization("Basic x", "Basic x"))
    ).status == 401


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   "])
async def test_the_schemes_case_means_nothing(ann: Caller, scheme: str):
    answer = await ann.api.request("GET", ann.path + "/tasks", headers=authorization(scheme + ann.token))
    assert answer.status == 200


async def test_who_the_caller_is_comes_from_the_token_alone(ann: Caller, bob: Caller):
    task = await ann.task()
    headers = [
        ("x-user-id", bob.id),
        ("x-forwarded-user", bob.id),
        ("cookie", f"user={bob.id}"),
        ("host", bob.id),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", bob.path),
        ("x-rewrite-url", bob.path),
        ("forwarded", "for=1.1.1.1;host=x"),
    ]
    answer = await ann("GET", "/tasks", headers=headers)
    assert (answer.status, answer.json()) == (200, [task])
    assert (await ann("POST", "/tasks", json={"title": "x", "user_id": bob.id})).status == 400


@pytest.mark.parametrize(
    "host", ["", "x:99999", "\xff", "a b", "<>", "x/y", "x@y", "[", "evil.test", "127.0.0.1:8000:8000"]
)
async def test_the_host_header_means_nothing(ann: Caller, host: str):
    for hosts in ([("host", host)], [("host", host), ("host", "x")]):
        assert (await ann("GET", "/tasks", headers=hosts)).status == 200
        made = await ann("POST", "/tasks", json={"title": "x"}, headers=hosts)
        assert made.header("location") == f"tasks/{made.json()['id']}"


# 503 while tokens cannot be verified.


class KeysOutOfReach:
    """A verifier whose keys cannot be fetched."""

    async def verify(self, token: str) -> UserId:  # noqa: ARG002  the port's
        raise Unavailable("the issuer's keys are out of reach: try again", retry_after=5)

    async def check(self) -> None:
        raise Unavailable("the issuer's keys are out of reach: try again", retry_after=5)


async def test_without_keys_a_token_is_503_and_no_token_is_401():
    with in_memory(verifier=KeysOutOfReach()) as api:
        client = Conforming(api.bare, failures=True)
        for path in ("/api/ann/tasks", "/api/%ff/tasks/01?x=1"):
            answer = await client.request("GET", path, token="x.y.z")
            assert (answer.status, answer.json()["code"], answer.header("retry-after")) == (503, "unavailable", "5")
            assert "outcome" not in answer.json()
            assert (await client.request("GET", path)).status == 401
            assert (
                await client.request("GET", path, headers=authorization("Bearer x.y.z", "Bearer x.y.z"))
            ).status == 401
            assert (await client.request("OPTIONS", path)).status == 204
        assert (await client.request("GET", "/health/ready")).status == 503
        assert (await client.request("GET", "/health/live")).status == 200


# CORS.


@pytest.fixture(scope="module")
def cors(serve: Serve):
    """The service with two origins that may read it."""
    with serve(cors_origins=[PAGE, OTHER_PAGE]) as api:
        yield api


def listed(value: str | None) -> set[str]:
    return {name.strip().lower() for name in (value or "").split(",")}


@pytest.mark.parametrize("origin", [PAGE, OTHER_PAGE])
async def test_every_answer_to_a_configured_origin_has_cors_headers_errors_too(cors: Api, origin: str):
    ann = cors.user()
    task = await ann.task()
    headers = [("origin", origin)]
    huge = [("x-huge", "a" * 17_000)]
    for method, target, how, status in [
        ("GET", ann.path + "/tasks", {"token": ann.token}, 200),
        ("HEAD", ann.path + "/tasks", {"token": ann.token}, 200),
        ("GET", f"{ann.path}/tasks/{task['id']}", {"token": ann.token, "headers": [("if-none-match", "*")]}, 304),
        ("POST", ann.path + "/tasks", {"token": ann.token, "json": {"title": "x"}}, 201),
        ("POST", ann.path + "/tasks", {"token": ann.token, "json": {}}, 400),
        ("POST", ann.path + "/tasks", {"token": ann.token, "body": b"x"}, 415),
        ("POST", ann.path + "/tasks", {"token": ann.token, "json": "x" * 70_000}, 413),
        ("GET", ann.path + "/tasks", {}, 401),
        ("GET", "/api/other/tasks", {"token": ann.token}, 403),
        ("GET", ann.path + "/tasks/9007199254740991", {"token": ann.token}, 404),
        ("GET", "/nowhere", {}, 404),
        ("DELETE", ann.path + "/tasks", {}, 405),
        ("GET", ann.path + "/changes?since=99", {"token": ann.token}, 410),
        (
            "PATCH",
            f"{ann.path}/tasks/{task['id']}/complete",
            {"token": ann.token, "headers": [("if-match", '"9"')]},
            412,
        ),
        ("GET", "/health/live", {"headers": huge}, 431),
        ("GET", "/health/live", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("OPTIONS", "/health/live", {}, 204),
        ("DELETE", f"{ann.path}/tasks/{task['id']}", {"token": ann.token}, 204),
    ]:
        answer = await cors.request(method, target, **how | {"headers": headers + how.get("headers", [])})
        assert answer.status == status
        assert answer.header("access-control-allow-origin") == origin
        assert listed(answer.header("access-control-expose-headers")) == EXPOSED
        assert "origin" in listed(answer.header("vary"))
        assert answer.header("access-control-allow-credentials") is None


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "*",
        "https://app.example.",
        "https://app.example:443",
        "http://app.example",
        "https://APP.example",
        "https://app.example/",
        "https://app.example.evil.test",
        "https://evil.test",
        "http://localhost:5174",
        "http://localhost",
        "https://sub.app.example",
        f"{PAGE} {OTHER_PAGE}",
        f"{PAGE},{OTHER_PAGE}",
        "file://",
    ],
    ids=repr,
)
async def test_other_origins_get_none(cors: Api, origin: str | None):
    ann = cors.user()
    headers = [] if origin is None else [("origin", origin)]
    for method in ("GET", "OPTIONS", "POST"):
        answer = await ann(method, "/tasks", headers=[*headers, ("access-control-request-method", "PUT")])
        assert answer.status in {200, 204, 400}
        assert not [name for name, _ in answer.headers if name.startswith("access-control-")]
        assert "origin" in listed(answer.header("vary"))


async def test_without_configured_origins_there_is_no_cors_at_all(ann: Caller):
    for method in ("GET", "OPTIONS"):
        answer = await ann(method, "/tasks", headers=[("origin", PAGE), ("access-control-request-method", "PUT")])
        assert not [name for name, _ in answer.headers if name.startswith("access-control-") or name == "vary"]


@pytest.mark.parametrize(
    "below", ["/tasks", "/tasks/1", "/tasks/1/complete", "/tasks/nonsense", "/changes", "/tasks?nonsense=1"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_preflight_needs_no_token_and_allows_what_the_contract_has(cors: Api, below: str, method: str):
    headers = [
        ("origin", PAGE),
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization,if-match"),
    ]
    answer = await cors.request("OPTIONS", "/api/anyone" + below, headers=headers)
    assert answer.status == 204
    assert answer.header("access-control-allow-origin") == PAGE
    assert listed(answer.header("access-control-allow-headers")) == ALLOWED
    assert {"get", "head", "post", "put", "patch", "delete"} <= listed(answer.header("access-control-allow-methods"))
    assert answer.header("allow")


async def test_a_preflight_comes_after_routing(cors: Api):
    headers = [("origin", PAGE), ("access-control-request-method", "GET")]
    for path in ("/nowhere", "/api/ann/tasks/", "/api/ann/task", "/API/ann/tasks"):
        answer = await cors.request("OPTIONS", path, headers=headers)
        assert answer.status == 404
        assert answer.header("access-control-allow-origin") == PAGE
    assert (await cors.request("OPTIONS", "/api/ann/tasks", headers=[*headers, ("x-huge", "a" * 17_000)])).status == 431
