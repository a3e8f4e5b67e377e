"""docs/api.md, Safe retries: what an Idempotency-Key does."""

import asyncio
import json

import pytest
from apis import Caller, Serve, in_memory

from support.clock import FakeClock

BODY = {"title": "Buy groceries", "tags": ["home"]}


def key(value: str | bytes) -> list:
    return [("idempotency-key", value)]


async def post(user: Caller, value: str | bytes, body: object = BODY, **how):
    return await user("POST", "/tasks", json=body, headers=key(value), **how)


async def assert_replayed(user: Caller, value: str | bytes, first) -> None:
    again = await post(user, value)
    assert again.header("idempotency-replayed") == "true"
    assert (again.status, again.json()) == (201, first.json())
    assert again.header("etag") == first.header("etag")
    assert again.header("location") == first.header("location")


GOOD_KEYS = {
    "abc": "abc",
    '"abc"': "abc",
    "a": "a",
    '"a"': "a",
    "a" * 255: "a" * 255,
    '"' + "b" * 255 + '"': "b" * 255,
    '"a\\"b"': 'a"b',
    '"a\\\\b"': "a\\b",
    "a\\b": "a\\b",
    'a"b': 'a"b',
    "!#$%&'()*+,-./:;<=>?@[]^_`{|}~": None,
    "8e03978e-40d5-43e8-bc93-6894a57f9324": None,
    "a;q=1": None,
    '\\"': None,
    '"' + '\\"' * 255 + '"': '"' * 255,
}
BAD_KEYS = [
    "", '""', "a" * 256, '"' + "a" * 256 + '"', '"a b"', "a b", '"a', '"', '"a"b', '"a";q=1', '"a" ', '"a\\x"',
    '"a\\"', "a\tb", '"a\tb"', "\xe9", '"\xe9"', '"a"b"', ':YQ==:', '"a","b"',
]  # fmt: skip
BAD_KEYS = [text for text in BAD_KEYS if text not in {'"a" ', ":YQ==:"}]


@pytest.mark.parametrize("text", GOOD_KEYS, ids=lambda text: text[:20])
async def test_the_first_response_is_given_again(ann: Caller, text: str):
    first = await post(ann, text)
    assert first.status == 201
    assert first.header("idempotency-replayed") is None
    await assert_replayed(ann, text, first)
    await assert_replayed(ann, f"  {text}\t", first)
    assert await ann.list() == [first.json()]


@pytest.mark.parametrize(
    ("text", "same"),
    [(text, same) for text, same in GOOD_KEYS.items() if same and not same.startswith('"')],
    ids=lambda text: text[:20],
)
async def test_a_key_is_the_same_quoted_or_bare(ann: Caller, text: str, same: str):
    await assert_replayed(ann, same, await post(ann, text))


@pytest.mark.parametrize("text", BAD_KEYS, ids=lambda text: ascii(text)[:20])
async def test_a_malformed_key_is_refused_and_named(ann: Caller, text: str):
    response = await post(ann, text)
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == "Idempotency-Key"
    assert (await ann.state())["revision"] == 0


async def test_two_keys_are_refused(ann: Caller):
    for second in ("a", "b"):
        response = await ann("POST", "/tasks", json=BODY, headers=key("a") + key(second))
        assert response.status == 400
        assert response.json()["fields"][0]["field"] == "Idempotency-Key"


async def test_the_first_response_is_given_again_whatever_happened_meanwhile(ann: Caller):
    first = await post(ann, "k")
    below = f"/tasks/{first.json()['id']}"
    for method, body in (("PATCH", {"title": "Buy milk"}), ("PATCH", {"completed": True}), ("DELETE", None)):
        await ann(method, below, **({"json": body} if body else {}))
        state = await ann.state()
        await assert_replayed(ann, "k", first)
        assert await ann.state() == state


async def test_the_same_key_with_another_valid_body_is_422_and_writes_nothing(ann: Caller):
    await post(ann, "k")
    state = await ann.state()
    spelt = json.dumps(BODY).encode()
    others = [
        json.dumps(BODY | {"title": "x"}).encode(),
        spelt + b" ",
        spelt.replace(b": ", b":"),
        json.dumps(BODY | {"description": None}).encode(),
    ]
    for body in others:
        response = await ann("POST", "/tasks", body=body, headers=[*key("k"), ("content-type", "application/json")])
        assert (response.status, response.json()["code"]) == (422, "idempotency_mismatch")
    assert await ann.state() == state


async def test_the_same_key_with_an_invalid_body_is_400(ann: Caller):
    await post(ann, "k")
    for body in ({}, {"title": ""}, {"titel": "x"}):
        assert (await post(ann, "k", body)).status == 400


async def test_only_a_success_is_remembered(ann: Caller):
    assert (await post(ann, "k", {"title": ""})).status == 400
    assert (await ann("POST", "/tasks", body=b"{}", headers=[*key("k"), ("content-type", "text/plain")])).status == 415
    first = await post(ann, "k")
    assert first.status == 201
    await assert_replayed(ann, "k", first)


async def test_a_refusal_for_the_quota_is_not_remembered_and_a_replay_is_given_beyond_it(serve: Serve):
    with serve(quota=1) as api:
        ann = api.user()
        first = await post(ann, "first")
        assert (await post(ann, "second")).status == 409
        await assert_replayed(ann, "first", first)
        assert (await post(ann, "first", {"title": "x"})).status == 422
        await ann("DELETE", f"/tasks/{first.json()['id']}")
        assert (await post(ann, "second")).status == 201
        await assert_replayed(ann, "first", first)


async def test_fifty_retries_at_once_make_one_task(ann: Caller):
    responses = await asyncio.gather(*(post(ann, "k") for _ in range(50)))
    assert [response.status for response in responses] == [201] * 50
    assert len({response.body for response in responses}) == 1
    assert sorted(response.header("idempotency-replayed") or "" for response in responses) == [""] + ["true"] * 49
    assert len(await ann.list()) == 1
    assert (await ann.state())["revision"] == responses[0].json()["revision"]


async def test_keys_are_per_user_however_the_path_spells_the_user(ann: Caller, bob: Caller):
    first = await post(ann, "k")
    other = await post(bob, "k")
    assert (other.status, other.header("idempotency-replayed"), other.json()["user_id"]) == (201, None, bob.id)
    for user in ("me", ann.id.replace("u", "%75")):
        again = await ann.api.request("POST", f"/api/{user}/tasks", token=ann.token, json=BODY, headers=key("k"))
        assert again.header("idempotency-replayed") == "true"
        assert again.json() == first.json()
        assert again.header("location") == first.header("location") == f"tasks/{first.json()['id']}"


async def test_different_keys_and_no_key_are_different_tasks(ann: Caller):
    for value in ("a", "A", "a ", "b"):
        await post(ann, value)
    await ann.task()
    await ann.task()
    assert len(await ann.list()) == 5


@pytest.mark.parametrize("value", ["k", "", '"a', "a b"])
async def test_reads_ignore_the_header(ann: Caller, value: str):
    task = await ann.task()
    for method in ("GET", "HEAD", "OPTIONS"):
        for below in (f"/tasks/{task['id']}", "/tasks", "/changes"):
            assert (await ann(method, below, headers=key(value))).status in {200, 204}


async def test_the_order_of_headers_and_chunks_does_not_matter(ann: Caller):
    first = await post(ann, "k")
    spelt = json.dumps(BODY).encode()
    again = await ann(
        "POST",
        "/tasks",
        body=[spelt[:5], spelt[5:]],
        headers=[("Content-Type", "application/json; charset=utf-8"), ("IDEMPOTENCY-KEY", '"k"')],
    )
    assert again.header("idempotency-replayed") == "true"
    assert again.json() == first.json()


async def test_a_key_is_remembered_for_seven_days():
    clock = FakeClock()
    with in_memory(clock=clock) as api:
        ann = api.user()
        first = await post(ann, "k")
        clock.advance(days=6, hours=23)
        await assert_replayed(ann, "k", first)
        clock.advance(hours=1, seconds=1)
        other = await post(ann, "k", {"title": "x"})
        assert (other.status, other.header("idempotency-replayed")) == (201, None)
        assert len(await ann.list()) == 2
