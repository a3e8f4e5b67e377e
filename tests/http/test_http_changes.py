"""docs/api.md, Sync: `/changes`, incremental sync."""

from datetime import timedelta

import pytest
from apis import Caller, in_memory

from support.clock import FakeClock
from todo_domain.retention import PURGE_EVERY


class Device:
    """A copy of a user's tasks that is kept up to date through `/changes` alone."""

    def __init__(self, user: Caller) -> None:
        self.user = user
        self.since = 0
        self.copy: dict[int, dict] = {}

    async def sync(self, limit: int | None = None) -> int:
        """Apply page after page; return how many there were."""
        for pages in range(1, 1000):
            query = f"?since={self.since}" + (f"&limit={limit}" if limit else "")
            response = await self.user("GET", "/changes" + (query if self.since else ""))
            assert response.status == 200
            page = response.json()
            if self.since == 0:
                self.copy = {}
                assert (page["deleted"], page["has_more"]) == ([], False)
            self._apply(page, limit)
            if not page["has_more"]:
                return pages
        raise AssertionError("it never ends")

    def _apply(self, page: dict, limit: int | None) -> None:
        revisions = [[item["revision"] for item in page[kind]] for kind in ("tasks", "deleted")]
        assert all(series == sorted(series) for series in revisions)
        both = sorted(revisions[0] + revisions[1])
        assert all(self.since < revision <= page["revision"] for revision in both)
        if self.since and limit:
            assert len(both) <= limit
            assert not page["has_more"] or (len(both) == limit and both[-1] == page["revision"])
        for task in page["tasks"]:
            self.copy[task["id"]] = task
        for tombstone in page["deleted"]:
            assert tombstone.keys() == {"id", "uid", "revision", "deleted_at"}
            self.copy.pop(tombstone["id"], None)
        self.since = page["revision"]

    async def assert_equal_to_the_list(self) -> None:
        assert sorted(self.copy) == sorted(task["id"] for task in await self.user.list())
        for task in await self.user.list():
            assert self.copy[task["id"]] == task


async def test_nobody_knows_anything_at_first(ann: Caller):
    for query in ("", "?since=0", "?since=0&limit=1"):
        response = await ann("GET", "/changes" + query)
        assert response.json() == {"tasks": [], "deleted": [], "revision": 0, "has_more": False}


@pytest.mark.parametrize("query", ["", "?since=0", "?limit=1", "?since=0&limit=1"])
async def test_without_since_it_is_the_whole_state_in_one_piece_whatever_limit_says(ann: Caller, query: str):
    made = [await ann.task() for _ in range(4)]
    await ann("DELETE", f"/tasks/{made[1]['id']}")
    state = (await ann("GET", "/changes" + query)).json()
    assert state == {
        "tasks": [made[0], made[2], made[3]],
        "deleted": [],
        "revision": made[3]["revision"] + 1,
        "has_more": False,
    }


async def test_with_since_it_is_what_changed_after_it_by_revision(ann: Caller):
    one, two, three = [await ann.task() for _ in range(3)]
    one = (await ann("PATCH", f"/tasks/{one['id']}/complete")).json()
    await ann("DELETE", f"/tasks/{two['id']}")
    page = (await ann("GET", f"/changes?since={two['revision']}")).json()
    last = three["revision"] + 2
    assert page["tasks"] == [three, one]
    assert [(tombstone["id"], tombstone["revision"]) for tombstone in page["deleted"]] == [(two["id"], last)]
    assert (page["revision"], page["has_more"]) == (last, False)
    assert (await ann("GET", f"/changes?since={last}")).json() == {
        "tasks": [],
        "deleted": [],
        "revision": last,
        "has_more": False,
    }


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000, None])
async def test_devices_that_sync_in_pages_of_any_size_have_exactly_the_list(ann: Caller, limit: int | None):
    device = Device(ann)
    await ann.task()
    await device.sync(limit)
    made = [await ann.task(title=str(number)) for number in range(8)]
    for task in made[::2]:
        await ann("PATCH", f"/tasks/{task['id']}", json={"priority": "high"})
    for task in made[2:5]:
        await ann("DELETE", f"/tasks/{task['id']}")
    pages = await device.sync(limit)
    assert pages == (-(-8 // limit) if limit else 1)
    await device.assert_equal_to_the_list()


async def test_a_device_that_syncs_between_writes_misses_nothing(ann: Caller):
    device = Device(ann)
    await ann.task()
    await device.sync()
    for number in range(12):
        made = await ann.task(title=str(number))
        if number % 3 == 0:
            await ann("DELETE", f"/tasks/{made['id']}")
        await device.sync(limit=1)
        await device.assert_equal_to_the_list()


@pytest.mark.parametrize("since", ["above", "9007199254740991"])
async def test_a_since_above_the_counter_is_410_resync(ann: Caller, since: str):
    await ann.task()
    since = since.replace("above", str((await ann.task())["revision"] + 1))
    for query in (f"?since={since}", f"?since={since}&limit=1"):
        response = await ann("GET", "/changes" + query)
        assert (response.status, response.json()["code"]) == (410, "resync")


@pytest.mark.parametrize("name", ["since", "limit"])
@pytest.mark.parametrize(
    "value",
    [
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
        "9007199254740992",
        "9" * 4000,
        "null",
        "%ff",
        "",
    ],
    ids=lambda text: text[:20],
)
async def test_bad_numbers_are_refused_and_named(ann: Caller, name: str, value: str):
    response = await ann("GET", f"/changes?{name}={value}")
    assert response.status == 400
    assert response.json()["fields"][0]["field"] == name


@pytest.mark.parametrize("limit", ["0", "1001"])
async def test_a_page_has_1_to_1000_items(ann: Caller, limit: str):
    assert (await ann("GET", f"/changes?limit={limit}")).status == 400
    assert (await ann("GET", f"/changes?since=0&limit={limit}")).status == 400


async def test_a_device_below_the_horizon_has_to_start_again():
    clock = FakeClock()
    with in_memory(clock=clock) as api:
        ann = api.user()
        gone, kept = await ann.task(), await ann.task()
        await ann("DELETE", f"/tasks/{gone['id']}")
        clock.advance(days=90, seconds=1)
        for _ in range(PURGE_EVERY):
            await ann("PATCH", f"/tasks/{kept['id']}/complete")
        for since, status in ((1, 410), (2, 410), (3, 200), (0, 200), (PURGE_EVERY, 200)):
            assert (await ann("GET", f"/changes?since={since}")).status == status, since


async def test_tombstones_are_kept_90_days():
    clock = FakeClock()
    with in_memory(clock=clock) as api:
        ann = api.user()
        gone, kept = await ann.task(), await ann.task()
        await ann("DELETE", f"/tasks/{gone['id']}")
        clock.now += timedelta(days=89, hours=23)
        for _ in range(PURGE_EVERY * 2):
            await ann("PATCH", f"/tasks/{kept['id']}/complete")
        page = (await ann("GET", "/changes?since=2")).json()
        assert [tombstone["id"] for tombstone in page["deleted"]] == [gone["id"]]
