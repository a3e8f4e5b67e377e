"""docs/api.md, Lists: filters, search, order, pages, quota."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from apis import Caller, Serve
from client import Response, follow

SORTS = [
    prefix + name
    for name in ("created_at", "updated_at", "due_date", "priority", "title", "id")
    for prefix in ("", "-")
]
PARAMETERS = {
    "status": "complete",
    "completed": "true",
    "q": "milk",
    "priority": "low",
    "tag": "home",
    "due_before": "2027-01-01",
    "due_after": "2026-01-01",
    "due": "any",
    "sort": "title",
    "limit": "10",
}
RANKS = {"none": 0, "low": 1, "medium": 2, "high": 3}


@pytest.fixture
async def shelf(ann: Caller) -> Caller:
    """A user with tasks of all kinds."""
    for members in [
        {"title": "Buy milk", "tags": ["Home", "shop"], "priority": "low", "due_date": "2026-12-01"},
        {
            "title": "buy bread",
            "description": "and MILK",
            "tags": ["home"],
            "priority": "high",
            "due_date": "2026-11-30",
        },
        {"title": "Straße fegen", "tags": ["Straße"], "completed": True, "due_date": "2026-12-01"},
        {"title": "100% done_", "description": "a\\b", "priority": "medium"},
        {"title": "É clair", "description": "", "tags": ["é", "home"], "completed": True},
        {"title": "Zebra", "priority": "low"},
        {"title": "zebra"},
    ]:
        await ann.task(**members)
    return ann


# Filters.


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("status=complete", {"Straße fegen", "É clair"}),
        ("completed=true", {"Straße fegen", "É clair"}),
        ("status=complete&completed=true", {"Straße fegen", "É clair"}),
        ("status=incomplete&completed=false&priority=low", {"Buy milk", "Zebra"}),
        ("priority=high", {"buy bread"}),
        ("priority=high,low", {"Buy milk", "buy bread", "Zebra"}),
        ("priority=high%2Clow", {"Buy milk", "buy bread", "Zebra"}),
        ("priority=low,low", {"Buy milk", "Zebra"}),
        ("priority=low&priority=low", {"Buy milk", "Zebra"}),
        ("priority=high&priority=low", {"Buy milk", "buy bread", "Zebra"}),
        ("priority=high,low&q=milk&priority=medium", {"Buy milk", "buy bread"}),
        ("q=&status=complete", {"Straße fegen", "É clair"}),
        ("status=complete&q", {"Straße fegen", "É clair"}),
        ("tag=home", {"Buy milk", "buy bread", "É clair"}),
        ("tag=HOME&tag=shop", {"Buy milk"}),
        ("tag=home&tag=home", {"Buy milk", "buy bread", "É clair"}),
        ("tag=%20home%20", {"Buy milk", "buy bread", "É clair"}),
        ("tag=hom", set()),
        ("tag=STRASSE", {"Straße fegen"}),
        ("tag=E%CC%81", {"É clair"}),
        ("q=MILK", {"Buy milk", "buy bread"}),
        ("q=strasse", {"Straße fegen"}),
        ("q=e%CC%81", {"É clair"}),
        ("q=%25", {"100% done_"}),
        ("q=_", {"100% done_"}),
        ("q=%5C", {"100% done_"}),
        ("q=%25%25", set()),
        ("q=.*", set()),
        ("q=*", set()),
        ("q=+", {"Buy milk", "buy bread", "Straße fegen", "100% done_", "É clair"}),
        ("q=%20m", {"Buy milk", "buy bread"}),
        ("due_after=2026-12-01", {"Buy milk", "Straße fegen"}),
        ("due_before=2026-12-01", {"buy bread"}),
        ("due_after=2026-11-30&due_before=2026-12-02", {"Buy milk", "buy bread", "Straße fegen"}),
        ("due_after=2026-12-01&due_before=2026-12-01", set()),
        ("due=any", {"Buy milk", "buy bread", "Straße fegen"}),
        ("due=none", {"100% done_", "É clair", "Zebra", "zebra"}),
        ("due=none&due_after=2000-01-01", set()),
        ("q=milk&tag=home&priority=high&status=incomplete&due=any", {"buy bread"}),
        ("", {"Buy milk", "buy bread", "Straße fegen", "100% done_", "É clair", "Zebra", "zebra"}),
    ],
)
async def test_filters_combine_with_and(shelf: Caller, query: str, titles: set[str]):
    assert set(await shelf.titles("?" + query if query else "")) == titles


@pytest.mark.parametrize("query", ["", "?", "?&", "?&&", "?q=", "?q"])
async def test_no_parameter_is_no_filter(shelf: Caller, query: str):
    assert len(await shelf.list(query)) == 7


# Order.


def sort_key(name: str):
    def key(task):
        value = RANKS[task["priority"]] if name == "priority" else task[name]
        return (value.casefold() if name == "title" else value, task["id"])

    return key


@pytest.mark.parametrize("sort", SORTS)
async def test_every_order_with_nulls_last_and_ties_by_id_in_the_same_direction(shelf: Caller, sort: str):
    tasks = await shelf.list(f"?sort={sort}")
    name = sort.removeprefix("-")
    reverse = sort.startswith("-")
    valued = sorted((task for task in tasks if task[name] is not None), key=sort_key(name), reverse=reverse)
    without = sorted((task for task in tasks if task[name] is None), key=lambda task: task["id"], reverse=reverse)
    assert tasks == valued + without
    assert len(tasks) == 7


async def test_the_default_order_is_newest_first(shelf: Caller):
    assert await shelf.list() == await shelf.list("?sort=-created_at")


async def test_titles_are_ordered_folded_by_code_point(ann: Caller):
    for title in ("b", "A", "ä", "a", "B", "Z", "ß", "ss", "😀", "\ufb01"):
        await ann.task(title=title)
    assert await ann.titles("?sort=title") == ["A", "a", "b", "B", "\ufb01", "ß", "ss", "Z", "ä", "😀"]


# Pages.


async def walk(user: Caller, query: str) -> list[list[dict]]:
    """Follow Link from page to page."""
    pages = []
    target = f"{user.path}/tasks?{query}"
    while target:
        response = await user.api.request("GET", target, token=user.token)
        assert response.status == 200
        pages.append(response.json())
        target = next_page(target, response)
    return pages


def next_page(target: str, response: Response) -> str | None:
    """The request target of the page behind this one."""
    link = response.header("link")
    if link is None:
        return None
    match = re.fullmatch(r'<(\?[^<>\s]+)>; rel="next"', link)
    assert match, link
    return follow(target, match[1])


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("/tasks?priority=urgent", "priority must be none, low, medium or high"),
        ("/tasks?status=done", "status must be incomplete or complete"),
        ("/export?format=xml", "format must be json, csv or ics"),
    ],
)
async def test_a_value_that_is_none_of_the_choices_is_refused_with_the_choices(ann: Caller, target: str, sentence: str):
    response = await ann("GET", target)
    assert (response.status, response.json()["error"]) == (400, sentence)


@pytest.mark.parametrize(
    "target", ["/tasks?limit=%31", "/changes?since=%30", "/changes?since=0&wait=%31", "/trash?limit=1%30"]
)
async def test_a_number_with_an_encoded_digit_is_refused_as_in_a_path(ann: Caller, target: str):
    assert (await ann("GET", target)).status == 400


@pytest.mark.parametrize("sort", ["", *SORTS])
@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 1000])
async def test_a_walk_shows_every_task_exactly_once_in_order(shelf: Caller, sort: str, limit: int):
    order = f"sort={sort}&" if sort else ""
    pages = await walk(shelf, f"{order}limit={limit}")
    assert [task for page in pages for task in page] == await shelf.list(f"?{order}" if order else "")
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == -(-7 // limit)


async def test_a_walk_with_filters_keeps_them(shelf: Caller):
    query = "tag=home&tag=HOME&priority=low,high,none&q=%20&due=any&sort=-title"
    pages = await walk(shelf, query + "&limit=1")
    assert [page[0]["title"] for page in pages] == await shelf.titles("?" + query) == ["Buy milk", "buy bread"]


async def test_link_keeps_every_other_parameter(shelf: Caller):
    query = "limit=1&tag=home&tag=a%26b%3D%2B&q=%25%20%C3%A9&priority=low,high&sort=-title&due=any&status=incomplete"
    response = await shelf("GET", "/tasks?" + query.replace("a%26b%3D%2B", "shop").replace("%25%20%C3%A9", "%20"))
    assert response.header("link") is None
    response = await shelf("GET", "/tasks?" + query.replace("&tag=a%26b%3D%2B", "").replace("%25%20%C3%A9", "%20"))
    target = next_page("/tasks", response)
    said = parse_qs(urlsplit(target).query)
    cursor = said.pop("cursor")
    assert len(cursor) == 1
    assert said == {
        "limit": ["1"],
        "tag": ["home"],
        "q": [" "],
        "priority": ["low,high"],
        "sort": ["-title"],
        "due": ["any"],
        "status": ["incomplete"],
    }


async def test_a_walk_with_repeated_priorities_and_an_empty_search_is_the_same_list(shelf: Caller):
    pages = await walk(shelf, "q=&priority=low&priority=none&limit=1")
    titles = await shelf.titles("?priority=none,low")
    assert [page[0]["title"] for page in pages] == titles
    assert len(titles) == 5
    cursor = await cursor_of(shelf, "q=&priority=low&priority=none&limit=1")
    assert await shelf.titles(f"?limit=9&priority=none,low&cursor={cursor}") == titles[1:]


async def test_odd_characters_survive_in_a_link(ann: Caller):
    odd = "a&b=c+d%e #?/é<>\"'\\"
    for number in range(2):
        await ann.task(title=f"{odd} {number}", tags=[odd])
    pages = await walk(ann, f"q={quote(odd, safe='')}&tag={quote(odd, safe='')}&limit=1")
    assert [len(page) for page in pages] == [1, 1]


async def test_the_limit_may_change_during_a_walk(shelf: Caller):
    first = await shelf("GET", "/tasks?limit=2")
    target = next_page(f"{shelf.path}/tasks?limit=2", first).replace("limit=2", "limit=1000")
    rest = await shelf.api.request("GET", target, token=shelf.token)
    assert first.json() + rest.json() == await shelf.list()
    assert rest.header("link") is None


async def test_a_walk_shows_what_does_not_change_exactly_once_while_others_come_and_go(ann: Caller):
    still = [await ann.task(title=f"still {number}") for number in range(10)]
    moving = [await ann.task(title=f"moving {number}") for number in range(10)]
    for sort in SORTS:
        seen = []
        target = f"{ann.path}/tasks?limit=3&sort={sort}"
        while target:
            response = await ann.api.request("GET", target, token=ann.token)
            seen += [task["id"] for task in response.json()]
            target = next_page(target, response)
            mover = moving.pop(0)
            await ann("DELETE", f"/tasks/{mover['id']}")
            moving.append(await ann.task(title="moving again", due_date="2026-12-01", priority="high"))
            await ann("PATCH", f"/tasks/{moving[0]['id']}/complete")
        for task in still:
            assert seen.count(task["id"]) == 1, sort


async def test_a_page_that_ends_with_the_list_has_no_link(shelf: Caller):
    assert (await shelf("GET", "/tasks?limit=7")).header("link") is None
    assert (await shelf("GET", "/tasks?limit=6")).header("link")
    assert (await shelf("GET", "/tasks")).header("link") is None


async def cursor_of(user: Caller, query: str) -> str:
    response = await user("GET", f"/tasks?{query}")
    return parse_qs(urlsplit(next_page("/tasks", response)).query)["cursor"][0]


@pytest.mark.parametrize(
    "other",
    [
        "sort=title", "sort=created_at", "status=complete", "completed=true", "q=a", "priority=low", "tag=home",
        "due=any", "due=none",
        "due_before=2027-01-01", "due_after=2026-01-01", "sort=id",
    ],
)  # fmt: skip
async def test_a_cursor_fits_only_the_list_it_was_made_for(shelf: Caller, other: str):
    cursor = await cursor_of(shelf, "limit=1")
    response = await shelf("GET", f"/tasks?limit=1&{other}&cursor={cursor}")
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == "cursor"


async def test_a_cursor_of_another_user_is_refused(shelf: Caller, bob: Caller):
    for _ in range(2):
        await bob.task()
    cursor = await cursor_of(bob, "limit=1")
    assert (await bob("GET", f"/tasks?limit=1&cursor={cursor}")).status == 200
    response = await shelf("GET", f"/tasks?limit=1&cursor={cursor}")
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == "cursor"


async def test_the_same_list_spelt_otherwise_takes_the_cursor(shelf: Caller):
    cursor = await cursor_of(shelf, "limit=1&status=incomplete&tag=home")
    for query in ("tag=HOME&completed=false", "completed=false&status=incomplete&tag=%20home&sort=-created_at"):
        assert (await shelf("GET", f"/tasks?limit=1&{query}&cursor={cursor}")).status == 200


async def test_a_cursor_needs_a_limit(shelf: Caller):
    response = await shelf("GET", f"/tasks?cursor={await cursor_of(shelf, 'limit=1')}")
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == "cursor"


async def test_a_damaged_cursor_is_refused(shelf: Caller):
    cursor = await cursor_of(shelf, "limit=1")
    blob = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    damaged = [
        cursor[:-1],
        cursor[1:],
        cursor + "A",
        cursor + "=",
        cursor + "%3D%3D",
        cursor.swapcase(),
        "",
        "x",
        "%00",
        "%ff",
        "a" * 4000,
        "😀",
    ]
    damaged += [
        cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :] for place in range(len(cursor))
    ]
    for payload in (
        b"",
        b"null",
        b"[]",
        b"[1]",
        b"[null,1,2]",
        b'["x",1]',
        b'[1,"1"]',
        b"{",
        b"\xff",
        b"[" * 9000,
        b"[1e999,1]",
        b'["2026-11-22T00:00:00",1]',
    ):
        damaged.append(urlsafe_b64encode(blob[:12] + payload).decode().rstrip("="))
    for text in damaged:
        response = await shelf("GET", f"/tasks?limit=1&cursor={quote(text, safe='%')}")
        assert response.status == 400, text
        assert response.json()["fields"][0]["field"] == "cursor"


# Parameters that are wrong.


OPERATIONS = [
    ("GET", "/tasks"),
    ("POST", "/tasks"),
    ("GET", "/tasks/ID"),
    ("PUT", "/tasks/ID"),
    ("PATCH", "/tasks/ID"),
    ("DELETE", "/tasks/ID"),
    ("PATCH", "/tasks/ID/complete"),
    ("GET", "/changes"),
]
KNOWN = {("GET", "/tasks"): {*PARAMETERS, "cursor"}, ("GET", "/changes"): {"since", "limit"}}
NAMES = [
    *PARAMETERS,
    "cursor",
    "since",
    "offset",
    "page",
    "Status",
    "stauts",
    "status ",
    "user_id",
    "id",
    "",
    "a" * 300,
]


@pytest.mark.parametrize(("method", "below"), OPERATIONS)
async def test_a_parameter_that_nobody_reads_is_refused_and_named(ann: Caller, method: str, below: str):
    task = await ann.task()
    for name in [name for name in NAMES if name not in KNOWN.get((method, below), ())]:
        how = {"json": {"title": "x"}} if method in {"POST", "PUT"} else {}
        response = await ann(method, f"{below.replace('ID', str(task['id']))}?{quote(name)}=1", **how)
        assert response.status == 400
        assert response.json()["fields"][0]["field"] == (name if len(name) <= 40 else name[:40] + "…")
    assert await ann.writes() == 1


@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() - {"tag", "priority"}))
async def test_a_parameter_given_twice_is_refused_and_named(ann: Caller, name: str):
    for second in (PARAMETERS[name], "other"):
        response = await ann("GET", f"/tasks?{name}={PARAMETERS[name]}&{name}={second}")
        assert response.status == 400
        assert response.json()["fields"][0]["field"] == name
    for path, given in (("/changes", "since=1&since=1"), ("/changes", "limit=1&limit=2")):
        assert (await ann("GET", f"{path}?{given}")).status == 400


@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() - {"q"} | {"cursor"}))
@pytest.mark.parametrize("spelling", ["{}=", "{}", "{}=&limit=1", "limit=1&{}", "{}&"])
async def test_an_empty_parameter_is_refused_and_named(ann: Caller, name: str, spelling: str):
    if name == "limit" and "limit" in spelling:
        spelling = "{}="
    response = await ann("GET", "/tasks?" + spelling.format(name))
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == name


BAD_NUMBERS = [
    "0",
    "-1",
    "+1",
    "01",
    "1_0",
    "1.0",
    "1e2",
    "%201",
    "1%20",
    "abc",
    "%D9%A1",
    "%EF%BC%91",
    "1%00",
    "null",
    "9" * 400,
    "0x1",
    "1,2",
]
BAD_VALUES = {
    "status": ["Complete", "done", "true", "complete,incomplete", "complete%20", "%00", "%ff"],
    "completed": ["True", "TRUE", "1", "0", "yes", "on", "complete", "null"],
    "q": ["%00", "a%00b", "%0B", "%7F", "%C2%85", "%ED%A0%80", "%ff", "%C0%80", "a" * 256, "%F0%9F%98%80" * 256],
    "priority": ["High", "urgent", "high,", ",high", "high,,low", "high;low", "0", "high%20", "low,%20high", "%ff",
    ",", "high&priority=", "high&priority=urgent", "high&priority=low,", "low&priority=%ff"],
    "tag": ["%20", "%00", "a%0Bb", "%E2%80%8B", "a" * 51, "%CC%81", "%ff", "%E2%A0%80"],
    "due_before": ["2026-1-2", "20261122", "2026-02-29", "2026-11-22T00:00:00Z", "2026-11-22%20", "tomorrow",
    "0000-01-01", "10000-01-01", "%D9%A2026-11-22", "2026-11-2%EF%BC%92", "null"],
    "due": ["None", "null", "true", "2026-11-22", "none,any"],
    "sort": ["Title", "+title", "--title", "title,id", "title%20", "status", "created", "-", "title;id",
    "description", "user_id", "revision"],
    "limit": [*BAD_NUMBERS, "1001", "9007199254740992"],
}  # fmt: skip
BAD_VALUES["due_after"] = BAD_VALUES["due_before"]


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD_VALUES.items() for value in values],
    ids=lambda text: text[:30],
)
async def test_a_bad_value_is_refused_and_named(ann: Caller, name: str, value: str):
    response = await ann("GET", f"/tasks?{name}={value}")
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == name


@pytest.mark.parametrize(("status", "completed"), [("complete", "false"), ("incomplete", "true")])
async def test_contradicting_twins_are_refused(ann: Caller, status: str, completed: str):
    for query in (f"status={status}&completed={completed}", f"completed={completed}&status={status}"):
        response = await ann("GET", f"/tasks?{query}")
        assert response.status == 400
        assert response.json()["fields"][0]["field"] in {"status", "completed"}


async def test_twenty_tags_are_the_most_a_filter_may_have(ann: Caller):
    tags = [f"tag{number}" for number in range(20)]
    task = await ann.task(tags=tags)
    assert await ann.list("?" + "&".join(f"tag={tag}" for tag in tags)) == [task]
    response = await ann("GET", "/tasks?" + "&".join(f"tag={tag}" for tag in [*tags, "tag0"]))
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == "tag"


@pytest.mark.parametrize("character", ["a", "%F0%9F%98%80", "%C3%A9"])
async def test_q_and_tag_may_be_as_long_as_a_title_and_a_tag(ann: Caller, character: str):
    assert (await ann("GET", f"/tasks?q={character * 255}")).status == 200
    assert (await ann("GET", f"/tasks?tag={character * 50}")).status == 200


async def test_limits_from_1_to_1000(ann: Caller):
    for limit in (1, 999, 1000):
        assert (await ann("GET", f"/tasks?limit={limit}")).status == 200


# Quota.


async def test_the_create_beyond_the_quota_is_409_and_a_delete_makes_room(serve: Serve):
    with serve(quota=3) as api:
        ann, bob = api.user(), api.user()
        tasks = [await ann.task() for _ in range(3)]
        for _ in range(2):
            response = await ann("POST", "/tasks", json={"title": "x"})
            assert (response.status, response.json()["code"]) == (409, "quota")
        assert await ann.writes() == 3
        await bob.task()
        await ann("PATCH", f"/tasks/{tasks[1]['id']}/complete")
        await ann("DELETE", f"/tasks/{tasks[0]['id']}")
        await ann.task()
        assert (await ann("POST", "/tasks", json={"title": "x"})).status == 409
        assert len(await ann.list()) == 3


async def test_a_list_without_a_limit_is_whole(ann: Caller):
    made = [(await ann.task(title=str(number)))["id"] for number in range(1100)]
    assert [task["id"] for task in await ann.list()] == made[::-1]
    assert [task["id"] for task in await ann.list("?limit=1000")] == made[:99:-1]
