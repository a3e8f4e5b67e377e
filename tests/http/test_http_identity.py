"""docs/api.md, Identity: who is calling, whose path it is, and which pages of other origins may read the responses."""

import os
import re
import time
from typing import NoReturn

import jwt
import pytest
from apis import Api, Caller, Serve, in_memory
from conformance import Conforming

from todo_domain import Deadline, Unavailable

PAGE, OTHER_PAGE = "https://app.example", "http://localhost:5173"
APPS = ["tauri://localhost", "capacitor://localhost", "chrome-extension://abcdefghijklmnop", "http://[::1]:8080"]
EXPOSED = {
    *("etag", "link", "location", "retry-after", "x-request-id", "idempotency-replayed", "www-authenticate"),
    *("content-disposition", "date"),
}


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
    response = await ann.api.request("GET", ann.path + "/tasks", headers=headers)
    assert response.status == 401
    assert response.header("www-authenticate") == 'Bearer realm="todo"'


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


SIGN_IN_AGAIN = {"malformed", "key_unknown", "signature", "expired"}
"""The reasons that another token of the same issuer may not have."""


async def test_a_bad_token_is_401_never_403_and_says_invalid_token(api: Api, ann: Caller, bob: Caller):
    for which, token in bad_tokens(api, ann).items():
        for path in (ann.path, "/api/me", bob.path, "/api/%ff"):
            response = await api.request("GET", path + "/tasks", token=token)
            assert response.status == 401, which
            challenge = re.fullmatch(
                'Bearer realm="todo", error="invalid_token", error_description="([a-z_]+)"',
                response.header("www-authenticate"),
            )
            assert challenge, which
            error = response.json()["error"]
            may_be_jwt = isinstance(token, bytes) or token.count(".") == 2
            assert ("is not a JWT" in error) == (not may_be_jwt), which
            assert ("sign in" in error) == (may_be_jwt and challenge[1] in SIGN_IN_AGAIN), which
            said = token if isinstance(token, str) else "\xff\xfe"
            assert said not in response.body.decode()


async def test_two_authorization_headers_are_401_even_if_both_are_right(ann: Caller):
    right = f"Bearer {ann.token}"
    for values in ((right, right), (right, "Basic x"), ("Basic x", right), ("", right)):
        response = await ann.api.request("GET", ann.path + "/tasks", headers=authorization(*values))
        assert response.status == 401
        assert response.header("www-authenticate") == (
            'Bearer realm="todo", error="invalid_token", error_description="two_authorizations"'
        )
    assert (
        await ann.api.request("GET", ann.path + "/tasks", headers=authorization("Basic x", "Basic x"))
    ).status == 401


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   "])
async def test_the_schemes_case_means_nothing(ann: Caller, scheme: str):
    response = await ann.api.request("GET", ann.path + "/tasks", headers=authorization(scheme + ann.token))
    assert response.status == 200


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
    response = await ann("GET", "/tasks", headers=headers)
    assert (response.status, response.json()) == (200, [task])
    assert (await ann("POST", "/tasks", json={"title": "x", "user_id": bob.id})).status == 400


@pytest.mark.parametrize(
    "host", ["", "x:99999", "\xff", "a b", "<>", "x/y", "x@y", "[", "evil.test", "127.0.0.1:8000:8000"]
)
async def test_the_host_header_means_nothing(ann: Caller, host: str):
    assert (await ann("GET", "/tasks", headers=[("host", host)])).status == 200
    made = await ann("POST", "/tasks", json={"title": "x"}, headers=[("host", host)])
    assert made.header("location") == f"tasks/{made.json()['id']}"


# 503 while tokens cannot be verified.


class KeysOutOfReach:
    """A verifier whose keys cannot be fetched."""

    async def verify(self, token: str, *, deadline: Deadline | None = None) -> NoReturn:  # noqa: ARG002  the port's
        raise Unavailable("the issuer's keys are out of reach: try again", retry_after=5)

    async def check(self, *, deadline: Deadline | None = None) -> None:  # noqa: ARG002  the port's
        raise Unavailable("the issuer's keys are out of reach: try again", retry_after=5)


async def test_without_keys_a_token_is_503_and_no_token_is_401():
    with in_memory(verifier=KeysOutOfReach()) as api:
        client = Conforming(api.bare, failures=True)
        for path in ("/api/ann/tasks", "/api/%ff/tasks/01?x=1"):
            response = await client.request("GET", path, token="x.y.z")
            assert (response.status, response.json()["code"], response.header("retry-after")) == (
                503,
                "unavailable",
                "5",
            )
            assert "outcome" not in response.json()
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
    """The service with a few origins that may read it."""
    with serve(cors_origins=[PAGE, OTHER_PAGE, *APPS]) as api:
        yield api


def listed(value: str | None) -> set[str]:
    return {name.strip().lower() for name in (value or "").split(",")}


@pytest.mark.parametrize("origin", [PAGE, OTHER_PAGE, *APPS])
async def test_every_response_to_a_configured_origin_has_cors_headers_errors_too(cors: Api, origin: str):
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
        response = await cors.request(method, target, **how | {"headers": headers + how.get("headers", [])})
        assert response.status == status
        assert response.header("access-control-allow-origin") == origin
        assert listed(response.header("access-control-expose-headers")) == EXPOSED
        assert "origin" in listed(response.header("vary"))
        assert response.header("access-control-allow-credentials") is None


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
        "tauri://evil",
        "tauri://localhost:80",
        "chrome-extension://ponmlkjihgfedcba",
    ],
    ids=repr,
)
async def test_other_origins_get_none(cors: Api, origin: str | None):
    ann = cors.user()
    headers = [] if origin is None else [("origin", origin)]
    for method in ("GET", "OPTIONS", "POST"):
        response = await ann(method, "/tasks", headers=[*headers, ("access-control-request-method", "PUT")])
        assert response.status in {200, 204, 400}
        assert not [name for name, _ in response.headers if name.startswith("access-control-")]
        assert "origin" in listed(response.header("vary"))
    preflight = [*headers, ("access-control-request-method", "GET")]
    assert (await cors.request("OPTIONS", "/nowhere", headers=preflight)).status == 404


async def test_without_configured_origins_there_is_no_cors_at_all(ann: Caller):
    for method in ("GET", "OPTIONS"):
        response = await ann(method, "/tasks", headers=[("origin", PAGE), ("access-control-request-method", "PUT")])
        assert not [name for name, _ in response.headers if name.startswith("access-control-")]
        assert response.header("vary") == "Accept-Encoding"


def preflight(method: str, *asked: str | bytes) -> list:
    """The headers of a browser's preflight for a request of this method with these headers besides."""
    return [
        *(("origin", PAGE), ("access-control-request-method", method)),
        *(("access-control-request-headers", value) for value in asked),
    ]


@pytest.mark.parametrize(
    "below", ["/tasks", "/tasks/1", "/tasks/1/complete", "/tasks/nonsense", "/changes", "/tasks?nonsense=1"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_preflight_needs_no_token_and_allows_what_the_contract_has(cors: Api, below: str, method: str):
    headers = preflight(method, "authorization,if-match")
    response = await cors.request("OPTIONS", "/api/anyone" + below, headers=headers)
    assert response.status == 204
    assert response.header("access-control-allow-origin") == PAGE
    assert listed(response.header("access-control-allow-headers")) == {"authorization", "if-match"}
    assert {"get", "head", "post", "put", "patch", "delete"} <= listed(response.header("access-control-allow-methods"))
    assert response.header("access-control-max-age") == "7200"
    assert response.header("allow")


@pytest.mark.parametrize(
    "asked",
    [
        "authorization,traceparent",
        "authorization, baggage, sentry-trace",
        "prefer,x-requested-with,last-event-id",
        "X-Anything_At.All~1|2",
        "authorization ,\tif-match,,x-y",
    ],
)
async def test_a_preflight_allows_whatever_well_formed_names_it_asks_for(cors: Api, asked: str):
    response = await cors.request("OPTIONS", "/api/me/tasks", headers=preflight("PATCH", asked))
    assert response.status == 204
    assert listed(response.header("access-control-allow-headers")) == listed(asked) - {""}


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ([], None),
        ([""], None),
        (["a b"], None),
        (["authorization, x(y), if-match"], "authorization, if-match"),
        (['authorization, "', "if-match"], "authorization, if-match"),
        ([b"authorization, caf\xe9"], "authorization"),
        (["authorization", "x" * 2_049], "authorization"),
        (["x" * 2_048], "x" * 2_048),
        (["a, " + "x" * 2_045 + ", b"], "a, " + "x" * 2_045),
    ],
)
async def test_a_preflight_echoes_no_more_than_well_formed_names_of_2048_bytes(cors: Api, asked, allowed):
    response = await cors.request("OPTIONS", "/api/me/tasks", headers=preflight("GET", *asked))
    assert (response.status, response.header("access-control-allow-headers")) == (204, allowed)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/ann/tasks/", "/api/ann/task", "/API/ann/tasks", "/api//tasks", "/api/../x", "/docs/"]
)
async def test_a_preflight_of_any_path_is_204_so_that_the_page_can_read_the_404(cors: Api, path: str):
    response = await cors.request("OPTIONS", path, headers=preflight("GET", "authorization"))
    assert response.status == 204
    assert response.header("access-control-allow-origin") == PAGE
    assert response.header("access-control-allow-headers") == "authorization"
    response = await cors.request("GET", path, headers=[("origin", PAGE)])
    assert (response.status, response.header("access-control-allow-origin")) == (404, PAGE)


async def test_only_a_preflight_is_204_on_a_path_that_is_not_there(cors: Api):
    for headers in ([], [("origin", PAGE)], [("access-control-request-method", "GET")]):
        assert (await cors.request("OPTIONS", "/nowhere", headers=headers)).status == 404


async def test_a_preflight_comes_after_the_size_of_the_header_section(cors: Api):
    headers = [*preflight("GET"), ("x-huge", "a" * 17_000)]
    response = await cors.request("OPTIONS", "/api/ann/tasks", headers=headers)
    assert (response.status, response.header("access-control-allow-origin")) == (431, PAGE)
