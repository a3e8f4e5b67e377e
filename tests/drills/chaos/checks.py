"""What must be true in the end. Each check returns a sentence for everything that is not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chaos.evidence import Rows
from chaos.expectations import Body, Create, Expectations
from todo_domain.text import fold


class DeviceResult(NamedTuple):
    """One device in the end: what it remembers, its copy, and the list that it was given."""

    expectations: Expectations
    copy: dict[int, Body]
    listed: list[Body]


def all_problems(devices: Sequence[DeviceResult], rows: Rows) -> list[str]:
    """Return what is wrong, a sentence each; nothing if all is well."""
    users = sorted({result.expectations.user for result in devices})
    found = [problem for result in devices for problem in result.expectations.problems]
    for result in devices:
        found += [f"{result.expectations.device}: {problem}" for problem in _of_device(result)]
    for user in users:
        own = [result for result in devices if result.expectations.user == user]
        found += [f"{user}: {problem}" for problem in _of_user(user, own, rows)]
    for user in rows.users:
        found += [f"{user.id}: {problem}" for problem in _of_counters(user.id, rows)]
    return found


def _of_device(result: DeviceResult) -> Iterator[str]:
    expectations, listed = result.expectations, {task["id"]: task for task in result.listed}
    if len(listed) != len(result.listed):
        yield "the list holds a task twice"
    if result.copy != listed:
        differing = {number for number in result.copy.keys() | listed if result.copy.get(number) != listed.get(number)}
        yield f"its copy differs from the list in the tasks {sorted(differing)}"
    there: dict[str, list[Body]] = {}
    for task in result.listed:
        there.setdefault(task["title"], []).append(task)
    for title, made in expectations.creates.items():
        yield from _of_create(title, made, there.get(title, []))
    notebook = there.get(expectations.notebook, [{"description": "nothing"}])[0]
    if notebook["description"] not in {str(note) for note in {expectations.note, *expectations.notes_unknown}}:
        yield f"note {expectations.note} was acknowledged and {notebook['description']} is there"
    for switch in expectations.switches:
        task = there.get(switch.title, [{}])[0]
        if not switch.unknown and task.get("completed") != (switch.acknowledged % 2 == 1):
            yield f"{switch.title} was toggled {switch.acknowledged} times and is {task}"
    ledger = there.get(expectations.ledger, [{"description": "{}"}])[0]
    counted = json.loads(ledger["description"]).get(expectations.device, 0)
    if counted not in {expectations.counted, expectations.counted + expectations.count_unknown}:
        yield f"it counted to {expectations.counted} and the ledger says {counted}"


def _of_create(title: str, made: Create, found: list[Body]) -> Iterator[str]:
    if made.task is None:
        if len(found) > made.unknown:
            yield f"{title} is there {len(found)} times and was never acknowledged, unknown: {made.unknown}"
        if any(task[name] != value for task in found for name, value in made.body.items()):
            yield f"{title} is only half there: {found}"
    elif made.deletion is True:
        if found:
            yield f"{title} was deleted and is there"
    elif len(found) != 1 and not (made.deletion is None and not found):
        yield f"{title} was acknowledged and is there {len(found)} times"
    elif found and found[0]["id"] != made.task["id"]:
        yield f"{title} has another id than was acknowledged"
    elif found and not made.edited and found[0] != made.task:
        yield f"{title} was acknowledged as {made.task} and is {found[0]}"


def _of_user(user: str, devices: list[DeviceResult], rows: Rows) -> Iterator[str]:
    creates = {title: made for result in devices for title, made in result.expectations.creates.items()}
    tasks = [row for row in rows.tasks if row.user == user]
    listed = devices[0].listed
    if strangers := {task["title"] for task in listed} - creates.keys():
        yield f"nobody made {sorted(strangers)}"
    in_list = sorted((task["id"], task["title"], task["description"], task["revision"]) for task in listed)
    if in_list != sorted((row.id, row.title, row.description, row.revision) for row in tasks):
        yield "the list differs from the rows"
    if half := [row.title for row in tasks if row.title_key != fold(row.title)]:
        yield f"{half} cannot be found by their titles"
    yield from _of_keys(creates, {(key.key, key.task, key.revision) for key in rows.keys if key.user == user}, rows)
    acknowledged = [revision for result in devices for revision in result.expectations.revisions]
    if twice := [revision for revision, times in Counter(acknowledged).items() if times > 1]:
        yield f"the revisions {twice} were acknowledged for two changes each"
    counter = next((row.revision for row in rows.users if row.id == user), 0)
    began = min(acknowledged) - 1  # a user's first write is made and acknowledged while all is well
    least = len(acknowledged) + sum(result.expectations.deletions for result in devices)
    most = least + sum(result.expectations.possible for result in devices)
    if not least <= counter - began <= most or counter < max(acknowledged):
        yield f"the revision is {counter} after {least} acknowledged changes and {most - least} possible ones"


def _of_keys(creates: dict[str, Create], keys: set[tuple[str, int, int]], rows: Rows) -> Iterator[str]:
    by_key = {made.key: made for made in creates.values() if made.key is not None}
    acknowledged = {
        (made.key, made.task["id"], made.task["revision"])
        for made in by_key.values()
        if made.key is not None and made.task is not None
    }
    if lost := acknowledged - keys:
        yield f"the keys of {sorted(lost)} are not remembered as they were acknowledged"
    ids = {row.title: row.id for row in rows.tasks}
    titles = {made.key: title for title, made in creates.items()}
    for key, task, _ in keys - acknowledged:
        if key not in by_key or not by_key[key].unknown or ids.get(titles[key]) != task:
            yield f"the key {key} is remembered for a task {task} that was not made with it"
    kept = {key for key, _, _ in keys}
    for key, made in by_key.items():
        if made.task is None and titles[key] in ids and key not in kept:
            yield f"{titles[key]} is there without its key"


def _of_counters(user: str, rows: Rows) -> Iterator[str]:
    (counters,) = (row for row in rows.users if row.id == user)
    tasks = [row for row in rows.tasks if row.user == user]
    stones = [row for row in rows.stones if row.user == user]
    if counters.task_count != len(tasks):
        yield f"task_count is {counters.task_count} for {len(tasks)} tasks"
    revisions = [row.revision for row in [*tasks, *stones]]
    if len(set(revisions)) != len(revisions):
        yield "a revision is there twice"
    if max([*revisions, counters.horizon], default=0) > counters.revision:
        yield f"a revision is above the counter, {counters.revision}"
    if dead := {row.id for row in tasks} & {row.task for row in stones}:
        yield f"the tasks {sorted(dead)} are there and deleted"
