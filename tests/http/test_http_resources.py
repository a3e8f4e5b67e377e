"""docs/api.md, Before you start: which paths there are, what they do, how they are spelt."""

import asyncio
import re

import pytest
from apis import Api, Caller
from client import Response, follow

LIST = "/tasks"

METHODS = {
    "/tasks": "GET, HEAD, OPTIONS, POST",
    "/tasks/1": "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
    "/tasks/1/complete": "OPTIONS, PATCH",
    "/batch": "OPTIONS, POST",
    "/changes": "GET, HEAD, OPTIONS",
    "/trash": "DELETE, GET, HEAD, OPTIONS",
    "/trash/1": "DELETE, OPTIONS",
    "/trash/1/restore": "OPTIONS, POST",
}
OPEN = ["/health/live", "/health/ready", "/openapi.json"]
EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


def names(allow: str | None) -> set[str]:
    return set((allow or "").split(", "))


# The table of resources.


async def test_a_list_is_a_bare_array_newest_first(ann: Caller):
    assert await ann.list() == []
    made = [await ann.task(title=title) for title in ("first", "second", "third")]
    assert await ann.list() == made[::-1]


async def test_a_create_answers_201_with_location_etag_and_the_task(ann: Caller):
    response = await ann("POST", LIST, json={"title": "Buy groceries"})
    task = response.json()
    assert response.status == 201
    assert response.header("location") == f"tasks/{task['id']}"
    read = await ann.api.request("GET", follow(f"{ann.path}{LIST}", response.header("location")), token=ann.token)
    assert read.json() == task
    assert response.header("etag") == f'"{task["revision"]}"'
    assert await ann.read(task) == task


async def test_a_task_has_all_its_members_and_no_others_in_the_promised_order(ann: Caller):
    task = await ann.task()
    times = {name: task[name] for name in ("created_at", "updated_at")}
    assert list(task.items()) == list(
        {
            "id": task["id"],
            "uid": None,
            "user_id": ann.id,
            "title": "Buy groceries",
            "description": None,
            "status": "incomplete",
            "completed": False,
            "completed_at": None,
            "priority": "none",
            "due_date": None,
            "tags": [],
            "position": None,
            "extra": {},
            "revision": task["revision"],
            **times,
        }.items()
    )
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time) for time in times.values())
    assert times["created_at"] == times["updated_at"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
async def test_whatever_answers_with_a_task_answers_200_with_its_etag(ann: Caller, method: str):
    task = await ann.task()
    response = await ann(method, f"/tasks/{task['id']}", **({} if method == "GET" else {"json": {"title": "Buy milk"}}))
    assert response.status == 200
    assert response.header("etag") == f'"{response.json()["revision"]}"'
    assert response.json()["title"] == ("Buy groceries" if method == "GET" else "Buy milk")


async def test_a_put_changes_the_members_given_and_leaves_the_others(ann: Caller):
    task = await ann.task(description="Two bags", priority="high", tags=["home"], due_date="2026-12-01")
    response = await ann("PUT", f"/tasks/{task['id']}", json={"title": "Buy milk"})
    now = response.json()
    assert now == task | {"title": "Buy milk", "revision": task["revision"] + 1, "updated_at": now["updated_at"]}


async def test_a_patch_is_a_merge_patch_under_either_media_type(ann: Caller):
    task = await ann.task(description="Two bags", tags=["home", "shop"])
    for media_type in ("application/json", "application/merge-patch+json"):
        patch = {"description": None, "tags": [media_type[:12]]}
        headers = [("content-type", media_type)]
        response = await ann("PATCH", f"/tasks/{task['id']}", json=patch, headers=headers)
        assert response.status == 200
        assert {name: response.json()[name] for name in patch} == patch


async def test_an_empty_patch_is_200_and_changes_nothing(ann: Caller):
    task = await ann.task()
    response = await ann("PATCH", f"/tasks/{task['id']}", json={})
    assert (response.status, response.json()) == (200, task)
    assert await ann.read(task) == task


async def test_a_delete_is_204_without_a_body_and_then_the_task_is_gone(ann: Caller):
    task = await ann.task()
    response = await ann("DELETE", f"/tasks/{task['id']}")
    assert (response.status, response.body) == (204, b"")
    for method in ("GET", "DELETE"):
        assert (await ann(method, f"/tasks/{task['id']}")).status == 404
    assert await ann.list() == []


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"json": {}},
        {"body": b""},
        {"body": b"", "headers": [("content-type", "application/json")]},
        {"body": b"", "headers": [("content-type", "text/plain")]},
        {"headers": [("content-type", "application/json")]},
        {"body": [b""]},
        {"body": b" {} "} | {"headers": [("content-type", "application/json")]},
    ],
    ids=str,
)
async def test_complete_without_a_body_or_with_an_empty_object_toggles(ann: Caller, how):
    task = await ann.task()
    for completed in (True, False, True):
        response = await ann("PATCH", f"/tasks/{task['id']}/complete", **how)
        assert response.status == 200
        assert response.json()["completed"] is completed
        assert response.header("etag") == f'"{response.json()["revision"]}"'


@pytest.mark.parametrize(
    ("body", "completed"),
    [
        ({"completed": True}, True),
        ({"completed": False}, False),
        ({"status": "complete"}, True),
        ({"status": "incomplete"}, False),
        ({"status": "complete", "completed": True}, True),
        ({"status": "incomplete", "completed": False}, False),
    ],
    ids=str,
)
async def test_complete_with_a_member_sets_and_setting_twice_changes_nothing(ann: Caller, body, completed: bool):
    for begun in (False, True):
        task = await ann.task(completed=begun)
        once = (await ann("PATCH", f"/tasks/{task['id']}/complete", json=body)).json()
        twice = (await ann("PATCH", f"/tasks/{task['id']}/complete", json=body)).json()
        assert once["completed"] is completed
        assert twice == once
        assert (once == task) == (begun == completed)


async def test_racing_toggles_are_never_lost(ann: Caller):
    task = await ann.task()
    responses = await asyncio.gather(*(ann("PATCH", f"/tasks/{task['id']}/complete") for _ in range(25)))
    assert [response.status for response in responses] == [200] * 25
    assert (await ann.read(task))["completed"] is True
    assert sorted(response.json()["revision"] for response in responses) == list(
        range(task["revision"] + 1, task["revision"] + 26)
    )


async def test_writers_of_different_members_both_survive(ann: Caller):
    task = await ann.task()
    said = [{"title": "Buy milk"}, {"description": "Two"}, {"priority": "low"}, {"tags": ["a"]}, {"completed": True}]
    for method in ("PATCH", "PUT"):
        await asyncio.gather(*(ann(method, f"/tasks/{task['id']}", json=body) for body in said))
    now = await ann.read(task)
    for body in said:
        assert now | body == now


async def test_health_and_the_contract_need_no_token(api: Api):
    for path in OPEN:
        response = await api.request("GET", path)
        assert response.status == 200
        assert response.json()
    assert (await api.request("GET", "/health/live")).json() == {"status": "live"}
    assert (await api.request("GET", "/health/ready")).json() == {"status": "ready"}
    assert (await api.request("GET", "/openapi.json")).json()["openapi"].startswith("3.1.")


# Whose path.


def spellings(text: str) -> list[str]:
    encoded = text.encode()
    return [
        "".join(f"%{byte:02X}" for byte in encoded),
        "".join(f"%{byte:02x}" for byte in encoded),
        f"%{encoded[0]:02x}"
        + "".join(chr(byte) if byte < 128 and chr(byte).isalnum() else f"%{byte:02X}" for byte in encoded[1:]),
        "me",
        "%6de",
        "m%65",
    ]


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "ü",
        "a b",
        "a/b",
        "100%",
        "%61",
        "a+b",
        "a?b#c",
        "a;b=c&d",
        "\U0001f600",
        "e\u0301",
        "\u202eabc",
        "a\u00a0",
        '"<>\\^`{|}',
    ],
)
async def test_different_encodings_of_a_user_id_are_one_user(api: Api, subject: str):
    ann = api.user(subject + api.user().id)
    one, two = await ann.task(), await ann.task()
    assert one["user_id"] == ann.id
    for spelling in spellings(ann.id):
        path = f"/api/{spelling}/tasks"
        listed = await api.request("GET", path, token=ann.token)
        assert (listed.status, listed.json()) == (200, [two, one])
        page = await api.request("GET", f"{path}?limit=1", token=ann.token)
        link = re.fullmatch(r'<(\?limit=1&cursor=[\w.~-]+)>; rel="next"', page.header("link"))
        rest = await api.request("GET", follow(f"{path}?limit=1", link[1]), token=ann.token)
        assert rest.json() == [one]
        made = await api.request("POST", path, token=ann.token, json={"title": "x"})
        location = follow(path, made.header("location"))
        assert location == f"{path}/{made.json()['id']}"
        assert (await api.request("DELETE", location, token=ann.token)).status == 204


@pytest.mark.parametrize("subject", ["/", ".", "..", "a/b", "//", "../x", "./."])
async def test_a_subject_that_no_segment_can_carry_has_an_address(api: Api, subject: str):
    token = api.token(subject)
    made = await api.request("POST", "/api/me/tasks", token=token, json={"title": "x"})
    assert made.json()["user_id"] == subject
    read = await api.request("GET", follow("/api/me/tasks", made.header("location")), token=token)
    assert read.json() == made.json()


async def test_a_user_whose_subject_is_me_is_themself(api: Api, ann: Caller):
    await ann.task()
    token = api.token("me")
    made = await api.request("POST", "/api/me/tasks", token=token, json={"title": "mine"})
    assert made.json()["user_id"] == "me"
    titles = {
        (task["user_id"], task["title"]) for task in (await api.request("GET", "/api/me/tasks", token=token)).json()
    }
    assert titles == {("me", "mine")}
    assert (await api.request("GET", ann.path + LIST, token=token)).status == 403


@pytest.mark.parametrize(
    ("subject", "segment"),
    [
        ("ann", "Ann"),
        ("ann", "ANN"),
        ("ann", "ann%20"),
        ("ann", "%20ann"),
        ("ann", "an%"),
        ("ann", "ann%"),
        ("ann", "%zz"),
        ("ann", "ann%zz"),
        ("ann", "%ff"),
        ("\ufffd", "%ff"),
        ("\ufffd", "%fe"),
        ("\ufffd", "%ed%a0%80"),
        ("%ff", "%ff"),
        ("%zz", "%zz"),
        ("%61nn", "%61nn"),
        ("ann", "%2561nn"),
        ("ann", "a%00nn"),
        ("/", "%c0%af"),
        ("é", "e%CC%81"),
        ("é", "%E9"),
        ("a b", "a+b"),
        ("ann", "Me"),
        ("ann", "ME"),
        ("ann", "me%20"),
        ("ann", "*"),
        ("ann", "ann;v=1"),
        ("ann", "ann,bob"),
        ("ann", "ann@bob"),
        ("ann", "%EF%BC%81nn"),
        ("\u212a", "K"),
        ("k", "%E2%84%AA"),
    ],
)
async def test_another_users_path_is_forbidden_however_it_is_spelt(api: Api, subject: str, segment: str):
    for below in METHODS:
        method = METHODS[below].replace("OPTIONS, ", "").split(", ")[0]
        response = await api.request(method, f"/api/{segment}{below}", token=api.token(subject))
        assert response.status == 403
        assert response.json()["code"] == "forbidden"


# One spelling for each path.

ONE_SPELLING = [
    "/api",
    "/api/",
    "/api/USER/",
    "/api/USER/tasks/",
    "/api/USER/tasks//",
    "/api/USER//tasks",
    "/api//tasks",
    "/api///tasks",
    "//api/USER/tasks",
    "/api/USER/tasks/1/",
    "/api/USER/tasks//1",
    "/api/USER/tasks/1//complete",
    "/api/USER/tasks/1/complete/",
    "/api/USER/changes/",
    "/api/USER/TASKS",
    "/api/USER/Tasks",
    "/API/USER/tasks",
    "/Api/USER/tasks",
    "/api/USER/tasks/1/Complete",
    "/api/USER/Changes",
    "/api/USER/task",
    "/api/USER/tasks/1/completed",
    "/api/USER/tasks/1/complete/1",
    "/api/USER/tasks/1/2",
    "/api/USER/tasks/.",
    "/api/USER/tasks/..",
    "/api/USER/./tasks",
    "/api/USER/../USER/tasks",
    "/api/./tasks",
    "/api/../api/USER/tasks",
    "/api/%2e/tasks",
    "/api/%2e%2e/tasks",
    "/api/%2E./tasks",
    "/api/.%2E/tasks",
    "/api/USER/tasks/%2e%2e",
    "/api/USER/%2e/tasks",
    "/./api/USER/tasks",
    "/../api/USER/tasks",
    "/%61pi/USER/tasks",
    "/api/USER/%74asks",
    "/api/USER/task%73",
    "/api/USER/tasks/1/%63omplete",
    "/api/USER/tasks%2F1",
    "/api/USER/tasks%2f",
    "/api/USER/tasks;v=1",
    "/api/USER/tasks.json",
    "/api/USER/tasks%00",
    "/api/USER/tasks%20",
    "/api/v1/USER/tasks",
    "/tasks",
    "/health",
    "/health/",
    "/health/live/",
    "/health/ready/",
    "/Health/live",
    "/health/live/x",
    "/health//live",
    "/openapi.json/",
    "/OpenAPI.json",
    "/openapi",
    "/%6fpenapi.json",
    "/favicon.ico",
    "/.well-known/security.txt",
    "/api/USER/tasks/1/../1",
]


@pytest.mark.parametrize("path", ONE_SPELLING)
async def test_a_path_spelt_otherwise_does_not_exist(ann: Caller, path: str):
    await ann.task()
    state = await ann.state()
    for method in ("GET", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        for token in (ann.token, None):
            response = await ann.api.request(
                method, path.replace("USER", ann.id), token=token, json={"title": "x", "completed": True}
            )
            assert response.status == 404
            if method != "HEAD":
                assert response.json()["code"] == "not_found"
    assert await ann.state() == state


@pytest.mark.parametrize("segment", ["USER%2Ftasks", "USER\\\\tasks", "USER%2F", "USERtasks"])
async def test_one_segment_is_a_user_whatever_is_in_it_and_this_path_has_delete_alone(ann: Caller, segment: str):
    path = f"/api/{segment.replace('USER', ann.id)}"
    await ann.task()
    state = await ann.state()
    for method, status in (("GET", 405), ("HEAD", 405), ("POST", 405), ("OPTIONS", 204), ("DELETE", 403)):
        response = await ann.api.request(method, f"{path}?confirm={ann.id}", token=ann.token)
        assert response.status == status
    assert await ann.state() == state


# HEAD, OPTIONS, and methods that a path does not have.


async def test_head_is_get_without_the_body_also_for_errors(ann: Caller, bob: Caller):
    task, other = await ann.task(), await ann.task()
    await ann("DELETE", f"/tasks/{other['id']}")
    etag = (await ann("GET", LIST)).header("etag")
    requests = [
        (f"{ann.path}/tasks", []),
        (f"{ann.path}/tasks?limit=1", []),
        (f"{ann.path}/tasks?limit=1000", [("if-none-match", etag)]),
        (f"{ann.path}/tasks", [("if-none-match", "*")]),
        (f"{ann.path}/tasks?limit=0", []),
        (f"{ann.path}/tasks?nonsense=1", []),
        (f"{ann.path}/tasks/{task['id']}", []),
        (f"{ann.path}/tasks/{task['id']}", [("if-none-match", f'"{task["revision"]}"')]),
        (f"{ann.path}/tasks/{task['id']}", [("if-none-match", "17")]),
        (f"{ann.path}/tasks/{other['id']}", []),
        (f"{ann.path}/tasks/01", []),
        (f"{ann.path}/changes?since=1", []),
        (f"{ann.path}/changes?since=99", []),
        (f"{bob.path}/tasks", []),
        ("/health/live", []),
        ("/health/ready", []),
        ("/openapi.json", []),
        ("/nowhere", []),
        (f"{ann.path}/tasks/1/complete", []),
        ("/" + "x" * 20_000, []),
    ]
    for token in (ann.token, None, "not.a.token"):
        for target, headers in requests:
            how = {"headers": [*headers, ("x-request-id", "same")], "token": token}
            get = await ann.api.request("GET", target, **how)
            head = await ann.api.request("HEAD", target, **how)
            assert head.body == b""
            changing = {"date"} if get.header("x-request-id") == "same" else {"date", "x-request-id"}
            assert (head.status, without(changing, head)) == (get.status, without(changing, get)), target


def without(names: set[str], response: Response) -> list[tuple[str, str]]:
    return [(name, value) for name, value in response.headers if name not in names]


async def test_head_of_a_page_carries_its_link(ann: Caller):
    for _ in range(2):
        await ann.task()
    response = await ann("HEAD", "/tasks?limit=1")
    assert response.header("link")


@pytest.mark.parametrize("below", METHODS)
async def test_options_is_204_without_a_token_and_lists_every_method(api: Api, ann: Caller, below: str):
    for how in (
        {},
        {"token": ann.token},
        {"token": "x"},
        {"headers": [("authorization", "a"), ("authorization", "b")]},
    ):
        for target in (ann.path + below, "/api/%ff" + below, ann.path + below.replace("1", "01") + "?nonsense="):
            response = await api.request("OPTIONS", target, **how)
            assert response.status == 204
            assert names(response.header("allow")) == names(METHODS[below])


@pytest.mark.parametrize("path", OPEN)
async def test_options_outside_api_too(api: Api, path: str):
    response = await api.request("OPTIONS", path)
    assert (response.status, names(response.header("allow"))) == (204, {"GET", "HEAD", "OPTIONS"})


@pytest.mark.parametrize(
    ("below", "method"),
    [(below, method) for below, allowed in METHODS.items() for method in EVERY_METHOD if method not in names(allowed)],
)
async def test_a_method_that_a_path_does_not_have_is_405_with_allow(ann: Caller, below: str, method: str):
    await ann.task()
    state = await ann.state()
    for token in (ann.token, None):
        response = await ann.api.request(method, ann.path + below, token=token, json={"title": "x"})
        assert response.status == 405
        assert names(response.header("allow")) == names(METHODS[below])
        if method != "HEAD":
            assert response.json()["code"] == "method_not_allowed"
    assert await ann.state() == state


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
async def test_outside_api_there_is_only_get(api: Api, path: str, method: str):
    response = await api.request(method, path)
    assert (response.status, names(response.header("allow"))) == (405, {"GET", "HEAD", "OPTIONS"})


# The habits of the front ends that exist.


async def test_front_ends_send_a_content_type_without_a_body_everywhere(ann: Caller):
    task = await ann.task()
    headers = [("content-type", "application/json")]
    for method, below, status in [
        ("GET", "/tasks", 200),
        ("GET", f"/tasks/{task['id']}", 200),
        ("GET", "/changes", 200),
        ("PATCH", f"/tasks/{task['id']}/complete", 200),
        ("DELETE", f"/tasks/{task['id']}", 204),
    ]:
        assert (await ann(method, below, headers=headers)).status == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "body", [b"{}", b"not json", b"\xff\x00", b"x" * 200_000, [b"a", b"b"]], ids=lambda body: str(body[:9])
)
async def test_a_body_where_none_is_read_is_ignored(ann: Caller, method: str, body):
    task = await ann.task()
    for headers in ([], [("content-type", "text/plain"), ("content-encoding", "gzip")]):
        below = f"/tasks/{task['id']}"
        response = await ann(method, below, body=body, headers=headers)
        assert response.status in {200, 204}
        if method == "DELETE":
            task = await ann.task()
