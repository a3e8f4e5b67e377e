"""Hostile requests, made afresh in each run: the contract's status, the one shape, nothing written, never a 5xx."""

import asyncio
import json
import os
import random
import string
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from apis import Api, Caller, Serve

SEED = int(os.environ.get("TODO_TEST_SEED", "0")) or random.SystemRandom().getrandbits(32)
JSON = ("content-type", "application/json")
FUZZED = 400


class Hostile(NamedTuple):
    """One request that must get just this status."""

    what: str
    status: int
    method: str
    target: str
    how: dict[str, Any]


class Forge:
    """Makes requests from one random seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def word(self, alphabet: str = string.ascii_lowercase, least: int = 1, most: int = 12) -> str:
        return "".join(self.random.choices(alphabet, k=self.random.randint(least, most)))

    def junk(self, most: int = 200) -> bytes:
        return self.random.randbytes(self.random.randint(1, most))

    def control(self) -> str:
        return self.random.choice([chr(code) for code in [*range(9), 11, 12, *range(14, 32), *range(127, 160)]])

    def surrogate(self) -> str:
        return chr(self.random.randint(0xD800, 0xDFFF))

    def escaped(self, text: str) -> bytes:
        return json.dumps({"title": text}).encode()

    def not_utf_8(self) -> bytes:
        return self.random.choice(
            [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80", b"\xe2\x82", b"\xf0\x9f\x98"]
        )

    def bad_bodies(self) -> Iterator[tuple[str, int, bytes]]:  # noqa: PLR0915  a table
        word, number = self.word, self.random.randint(1, 10**9)
        deep = self.random.choice([60_000, 30_000 + self.random.randint(0, 2_000), 5_000, 1_500])
        yield "not UTF-8", 400, b'{"title": "' + word().encode() + self.not_utf_8() + b'"}'
        yield "a byte order mark", 400, b"\xef\xbb\xbf" + self.escaped(word())
        yield (
            "UTF-16",
            400,
            json.dumps({"title": word()}).encode(self.random.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32"])),
        )
        yield "NUL escaped", 400, self.escaped(word() + "\0" + word())
        yield "NUL raw", 400, b'{"title": "' + word().encode() + b'\0"}'
        yield "a control character", 400, self.escaped(word() + self.control())
        yield "a lone surrogate", 400, self.escaped(self.surrogate() + word())
        yield "a surrogate in a name", 400, json.dumps({"title": "x", word() + self.surrogate(): 1}).encode()
        yield "a control character in a name", 400, json.dumps({"title": "x", self.control(): 1}).encode()
        yield "a member twice", 400, f'{{"title": "{word()}", "title": "{word()}"}}'.encode()
        yield "a member twice, escaped", 400, f'{{"title": "{word()}", "\\u0074itle": "{word()}"}}'.encode()
        name = word()
        nested = f'{{"{name}": 1, "{name}": {number}}}'
        for _ in range(self.random.randint(1, 30)):
            nested = self.random.choice([f"[{nested}]", f'{{"{word()}": {nested}}}'])
        yield "a member twice, deep", 400, f'{{"title": "x", "y": {nested}}}'.encode()
        yield "nested arrays", 400, b"[" * deep + b"]" * min(deep, 65_000 - deep)
        yield "nested arrays that never end", 400, b"[" * 60_000
        yield "nested objects", 400, b'{"a":' * 10_000 + b"1" + b"}" * 5_000
        yield "nested in a member", 400, b'{"title": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"
        yield "nested beyond the size", 413, b"[" * (65_537 + self.random.randint(0, 50_000))
        yield "a huge integer", 400, b'{"title": ' + b"9" * self.random.randint(20, 60_000) + b"}"
        yield "a huge exponent", 400, f'{{"title": 1e{number}}}'.encode()
        yield "a huge integer elsewhere", 400, b'{"title": "x", "completed": ' + b"7" * 5_000 + b"}"
        yield (
            "NaN",
            400,
            f'{{"title": "x", "completed": {self.random.choice(["NaN", "Infinity", "-Infinity"])}}}'.encode(),
        )
        many = ", ".join(f'"{self.word(most=3)}{n}": 0' for n in range(4_000))
        yield "very many members", 400, f"{{{many}}}".encode()
        yield "very many members and one twice", 400, f'{{{many}, "z": 0, "z": 0}}'.encode()
        yield "a surrogate for a choice", 400, json.dumps({"title": "x", "status": self.surrogate()}).encode()
        yield (
            "a surrogate for a date",
            400,
            json.dumps({"title": "x", "due_date": f"2026-01-0{self.surrogate()}"}).encode(),
        )
        yield "an array", 400, json.dumps([{"title": word()}]).encode()
        yield "a scalar", 400, json.dumps(self.random.choice([None, True, number, word(), 1.5])).encode()
        yield "cut off", 400, self.escaped(word(most=50))[: -self.random.randint(1, 8)]
        yield "trailing", 400, self.escaped(word()) + self.random.choice([b"x", b"{}", b",", b"]", b"\0"])
        yield "single quotes", 400, f"{{'title': '{word()}'}}".encode()
        yield "a comment", 400, f'{{"title": "{word()}" /* {word()} */}}'.encode()
        yield "noise", 400, b"\x00" + self.junk(5_000)
        yield "an unknown member", 400, json.dumps({"title": "x", word() + "_": number}).encode()
        yield "a prototype", 400, b'{"title": "x", "__proto__": {"completed": true}}'
        yield "an operator", 400, json.dumps({"title": {"$gt": ""}}).encode()
        yield "a title too long", 400, self.escaped("é" * self.random.randint(256, 10_000))
        yield (
            "a description too long",
            400,
            json.dumps({"title": "x", "description": "a" * self.random.randint(5_001, 50_000)}).encode(),
        )
        yield "nothing visible", 400, self.escaped("".join(self.random.choices("\u200b\u2800\u3164\ufeff \u0301", k=9)))
        yield (
            "too many tags",
            400,
            json.dumps(
                {"title": "x", "tags": [f"{word()}{n}" for n in range(self.random.randint(21, 2_000))]}
            ).encode(),
        )
        yield "tags alike", 400, json.dumps({"title": "x", "tags": [name, name.upper()]}).encode()
        yield (
            "tags of the wrong kind",
            400,
            json.dumps({"title": "x", "tags": [word(), self.random.choice([None, 1, [], {}, True])]}).encode(),
        )
        yield "a quote from msgspec", 400, json.dumps({"title": "x", "status": f"{word()}' - at `$.{word()}`"}).encode()
        yield (
            "a date that is none",
            400,
            json.dumps(
                {"title": "x", "due_date": f"{self.random.randint(1, 9999):04}-02-3{self.random.randint(0, 1)}"}
            ).encode(),
        )
        yield "whose it is", 400, json.dumps({"title": "x", "user_id": word()}).encode()
        yield "too much white space", 413, b" " * 70_000 + self.escaped(word())

    def bad_targets(self, ann: Caller, task_id: int) -> Iterator[tuple[str, int, str, str]]:
        word, own = self.word, ann.path
        yield "an id too big", 400, "GET", f"{own}/tasks/{self.random.randint(2**53, 2**80)}"
        yield "an id of many digits", 400, "DELETE", f"{own}/tasks/{self.word('123456789', 5_000, 5_000)}"
        yield "a negative id", 400, "PATCH", f"{own}/tasks/-{task_id}/complete"
        yield "a padded id", 400, "GET", f"{own}/tasks/0{task_id}"
        yield "an id in words", 400, "GET", f"{own}/tasks/{self.word(most=9)}"
        yield "an id in other digits", 400, "GET", f"{own}/tasks/%D9%A{self.random.randint(1, 9)}"
        yield "an encoded id", 400, "GET", f"{own}/tasks/%3{str(task_id)[0]}{str(task_id)[1:]}"
        yield "an injected id", 400, "DELETE", f"{own}/tasks/{task_id}%20OR%201=1"
        yield "an unknown parameter", 400, "GET", f"{own}/tasks?{word()}_={word()}"
        yield (
            "a parameter twice",
            400,
            "GET",
            f"{own}/tasks?limit={self.random.randint(1, 9)}&limit={self.random.randint(1, 9)}",
        )
        yield (
            "an empty parameter",
            400,
            "GET",
            f"{own}/tasks?{self.random.choice(['tag', 'priority', 'sort', 'limit', 'status'])}=",
        )
        yield "a limit too big", 400, "GET", f"{own}/tasks?limit={self.random.randint(1_001, 10**40)}"
        yield "a bad escape of bytes", 400, "GET", f"{own}/tasks?q=%{self.random.randint(0x80, 0xBF):02X}"
        yield "NUL in a parameter", 400, "GET", f"{own}/tasks?{self.random.choice(['q', 'tag'])}={word()}%00"
        yield "a surrogate in a parameter", 400, "GET", f"{own}/tasks?q=%ED%A{self.random.randint(0, 9)}%80"
        yield (
            "a forged cursor",
            400,
            "GET",
            f"{own}/tasks?limit=1&cursor={self.word(string.ascii_letters + string.digits + '-_', 1, 2_000)}",
        )
        yield (
            "many tags",
            400,
            "GET",
            f"{own}/tasks?" + "&".join(f"tag={word()}" for _ in range(self.random.randint(21, 900))),
        )
        yield "a since too big", 400, "GET", f"{own}/changes?since={self.random.randint(2**53, 2**90)}"
        yield "a since ahead", 410, "GET", f"{own}/changes?since={self.random.randint(10**6, 2**53 - 1)}"
        yield "a sort by anything", 400, "GET", f"{own}/tasks?sort={word()};drop%20table%20tasks"
        yield "another user", 403, "GET", f"/api/{word()}-{word()}/tasks"
        yield "no user at all", 403, "GET", f"/api/%{self.random.randint(0x80, 0xFF):02x}/tasks"
        yield "a broken escape", 403, "GET", f"/api/%{self.word('ghijkxyz', 2, 2)}/tasks"
        yield "up the tree", 404, "GET", f"{own}/tasks/../../{word()}/tasks"
        yield "up the tree, encoded", 404, "GET", f"/api/%2e%2e/{ann.id}/tasks"
        yield "two slashes", 404, "GET", f"/api//{ann.id}/tasks"
        yield "a slash too many", 404, "GET", f"{own}/tasks/"
        yield "an encoded slash", 405, "GET", f"/api/{ann.id}%2Ftasks"
        yield "somewhere else", 404, "GET", f"/{word()}/{word()}"
        yield "a wrong case", 404, "GET", own.replace("/api/", "/Api/") + "/tasks"
        yield "a long path", 404, "GET", "/" + word(least=8_000, most=16_000)
        yield "too long a path", 431, "GET", "/" + word(least=17_000, most=60_000)
        yield "too long a query", 431, "GET", f"{own}/tasks?q=" + word(least=17_000, most=60_000)
        yield (
            "a method of nobody's",
            405,
            self.random.choice(["TRACE", "PROPFIND", "MKCOL", "LOCK", "PURGE"]),
            f"{own}/tasks",
        )
        yield "a task of nobody's", 404, "DELETE", f"{own}/tasks/{self.random.randint(10**9, 2**53 - 1)}"

    def bad_headers(self, task_id: int) -> Iterator[tuple[str, int, str, str, list[tuple[str, Any]]]]:
        word = self.word
        task = f"/tasks/{task_id}"
        yield "a bare condition", 400, "DELETE", task, [("if-match", str(self.random.randint(1, 99)))]
        yield "an open condition", 400, "DELETE", task, [("if-match", f'"{word()}')]
        yield "a noisy condition", 400, "DELETE", task, [("if-match", word() + '"' + word())]
        yield "a star and more", 400, "DELETE", task, [("if-match", f'*, "{word()}"')]
        yield "a stale condition", 412, "DELETE", task, [("if-match", f'"{self.random.randint(10**6, 10**15)}"')]
        yield "a weak condition", 412, "DELETE", task, [("if-match", 'W/"999999999999"')]
        yield "very many tags", 412, "DELETE", task, [("if-match", ", ".join(f'"{word()}"' for _ in range(900)))]
        yield "very many commas", 400, "DELETE", task, [("if-match", "," * 15_000)]
        yield "very many spaces", 400, "DELETE", task, [("if-match", '"1"' + " ," * 7_000 + "x")]
        yield "a bad read condition", 400, "GET", task, [("if-none-match", word())]
        yield "a bad key", 400, "POST", "/tasks", [("idempotency-key", f'"{word()}" {word()}')]
        yield "a long key", 400, "POST", "/tasks", [("idempotency-key", word(least=256, most=9_000))]
        yield "an odd key", 400, "POST", "/tasks", [("idempotency-key", word() + chr(self.random.randint(0x80, 0xFF)))]
        yield "two keys", 400, "POST", "/tasks", [("idempotency-key", word()), ("idempotency-key", word())]
        yield "another type", 415, "POST", "/tasks", [("content-type", f"{word()}/{word()}")]
        yield "a noisy type", 415, "POST", "/tasks", [("content-type", word("/;=, \xff", 1, 40))]
        yield "another charset", 415, "POST", "/tasks", [("content-type", f"application/json; charset={word()}")]
        yield "another encoding", 415, "POST", "/tasks", [JSON, ("content-encoding", word())]
        yield "big headers", 431, "GET", "/tasks", [(f"x-{word()}", word(least=16_384, most=60_000))]
        yield "many headers", 431, "GET", "/tasks", [(f"x-{number}", word()) for number in range(3_000)]
        yield "two tokens", 401, "GET", "/tasks", [("authorization", f"Bearer {word()}")]

    def bad_tokens(self, ann: Caller) -> Iterator[tuple[str, int, str | bytes | None]]:
        head, claims, signature = ann.token.split(".")
        place = self.random.randrange(len(signature) - 1)
        other = "A" if signature[place] != "A" else "B"
        yield "no token", 401, None
        yield "noise for a token", 401, bytes(self.random.choices([*range(0x21, 0x7F), *range(0x80, 0x100)], k=99))
        yield "three words", 401, f"{self.word()}.{self.word()}.{self.word()}"
        yield "another signature", 401, f"{head}.{claims}.{signature[:place]}{other}{signature[place + 1 :]}"
        yield "other claims", 401, f"{head}.{ann.api.user().token.split('.')[1]}.{signature}"
        yield "expired", 401, ann.api.token(ann.id, exp=int(time.time()) - self.random.randint(31, 10**6))
        yield "far ahead", 401, ann.api.token(ann.id, exp=int(time.time()) + self.random.randint(10**6, 10**8))
        yield "a subject of control characters", 401, ann.api.token(ann.id + self.control())
        yield "a long token", 401, self.word(string.ascii_letters, 9_000, 15_000)

    def all(self, ann: Caller, task_id: int) -> Iterator[Hostile]:
        own = ann.path
        for round_ in range(2):
            writes = [("POST", f"{own}/tasks"), ("PATCH", f"{own}/tasks/{task_id}"), ("PUT", f"{own}/tasks/{task_id}")]
            for what, status, body in self.bad_bodies():
                method, target = self.random.choice(writes)
                yield Hostile(
                    f"{what} {round_}", status, method, target, {"body": body, "headers": [JSON], "token": ann.token}
                )
            for what, status, method, target in self.bad_targets(ann, task_id):
                yield Hostile(f"{what} {round_}", status, method, target, {"token": ann.token})
            for what, status, method, below, headers in self.bad_headers(task_id):
                how: dict[str, Any] = {"headers": headers, "token": ann.token}
                if method == "POST":
                    how["body"] = b'{"title": "x"}'
                    how["headers"] = headers if any(name == "content-type" for name, _ in headers) else [*headers, JSON]
                yield Hostile(f"{what} {round_}", status, method, own + below, how)
            for what, status, token in self.bad_tokens(ann):
                yield Hostile(
                    f"{what} {round_}", status, "GET", f"{own}/tasks", {} if token is None else {"token": token}
                )


@pytest.fixture(scope="module")
def hostile_api(serve: Serve):
    with serve() as api:
        yield api


@pytest.fixture(scope="module")
def prepared(hostile_api: Api):
    """A user with a task, and all the hostile requests against them. The seed is in the report of a failure."""

    async def prepare():
        ann = hostile_api.user()
        task = await ann.task()
        return ann, list(Forge(SEED).all(ann, task["id"])), await ann.state()

    return asyncio.run(prepare())


async def test_each_hostile_request_gets_the_status_of_the_contract(hostile_api: Api, prepared):
    ann, requests, state = prepared
    assert len(requests) >= 200
    wrong = []
    for request in requests:
        try:
            response = await hostile_api.request(request.method, request.target, **request.how)
        except AssertionError as error:
            wrong.append(f"{request.what}: {str(error)[:500]}")
            continue
        if response.status != request.status:
            wrong.append(
                f"{request.what}: {response.status} instead of {request.status}: {str(request)[:300]} {response}"
            )
    assert not wrong, f"TODO_TEST_SEED={SEED}\n" + "\n".join(wrong)
    assert await ann.state() == state, f"something was written (TODO_TEST_SEED={SEED})"


async def test_hostile_requests_take_no_time(hostile_api: Api, prepared):
    _, requests, _ = prepared
    slowest = 0.0
    for request in requests:
        begun = time.perf_counter()
        await hostile_api.request(request.method, request.target, **request.how)
        slowest = max(slowest, time.perf_counter() - begun)
    assert slowest < 0.5, f"TODO_TEST_SEED={SEED}"


def mutations(forge: Forge) -> list[Callable[[bytes], bytes]]:
    """Ways to spoil bytes."""
    pick = forge.random

    def flipped(text: bytes) -> bytes:
        spoilt = bytearray(text)
        for _ in range(pick.randint(1, 4)):
            spoilt[pick.randrange(len(spoilt))] = pick.randrange(256)
        return bytes(spoilt)

    def cut(text: bytes) -> bytes:
        return text[pick.randrange(len(text)) :] + text[: pick.randrange(len(text))]

    def repeated(text: bytes) -> bytes:
        place = pick.randrange(len(text))
        return text[:place] + text[place : place + 5] * pick.randint(2, 500) + text[place:]

    def stuffed(text: bytes) -> bytes:
        place = pick.randrange(len(text))
        odd = pick.choice(
            [
                b"\0",
                b"\xff",
                b"\\ud800",
                b"\\u0000",
                b"{}",
                b"[]",
                b'"',
                b"\\",
                b"1e999",
                b"-",
                b"NaN",
                b"\xef\xbb\xbf",
                b",",
            ]
        )
        return text[:place] + odd + text[place:]

    return [flipped, cut, repeated, stuffed]


async def test_spoilt_requests_never_break_anything(hostile_api: Api):
    forge = Forge(SEED + 1)
    ann = hostile_api.user()
    task = await ann.task()
    good = json.dumps(
        {
            "title": "a",
            "tags": ["x"],
            "completed": True,
            "due_date": "2026-01-01",
            "priority": "low",
            "description": None,
        }
    ).encode()
    visible = bytes(range(0x21, 0x7F))
    for _ in range(FUZZED):
        spoil = forge.random.choice(mutations(forge))
        kind = forge.random.choice(["body", "query", "path", "header"])
        method, target, headers, body = "PATCH", f"{ann.path}/tasks/{task['id']}", [JSON], good
        if kind == "body":
            body = spoil(spoil(good))
        elif kind == "query":
            raw = spoil(b"status=complete&limit=10&tag=a&q=%C3%A9&sort=-title&due_after=2026-01-01&priority=low,high")
            method, target = "GET", f"{ann.path}/tasks?" + bytes(c for c in raw if c in visible and c != 0x23).decode()
        elif kind == "path":
            raw = spoil(target.encode())
            target = "/" + bytes(c for c in raw if c in visible and c not in b"?#").decode()
        else:
            name = forge.random.choice(
                [
                    "if-match",
                    "if-none-match",
                    "content-type",
                    "idempotency-key",
                    "x-request-id",
                    "origin",
                    "accept",
                    "host",
                    "cookie",
                ]
            )
            value = bytes(c for c in spoil(b'"17", W/"a,b"; charset=utf-8') if c >= 0x20 and c != 0x7F)
            headers = [JSON, (name, value)]
            method, target = forge.random.choice(
                [(method, target), ("GET", f"{ann.path}/tasks"), ("POST", f"{ann.path}/tasks")]
            )
        response = await hostile_api.request(
            method, target, headers=headers, body=body if method != "GET" else None, token=ann.token
        )
        assert response.status < 500, f"TODO_TEST_SEED={SEED}"
