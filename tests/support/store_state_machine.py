"""Two devices of one user and a second user do random operations, compared with a model."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from hashlib import sha256
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from support import strategies
from support.clock import FakeClock
from support.device import Device
from todo_domain import (
    DeleteTask,
    Done,
    Exists,
    Gone,
    KeyReused,
    NotFound,
    Once,
    OperationFailed,
    PatchTask,
    Put,
    PutTask,
    QuotaReached,
    Repeated,
    Stale,
    Task,
    Tasks,
    TaskService,
    UserId,
    user_id,
)
from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.owner import first_counter
from todo_domain.query import list_position, select
from todo_domain.retention import KEYS_KEPT, PURGE_EVERY
from todo_domain.trash import TRASH_KEPT

QUOTA = 5
MOST_QUARTERS = 2

NAMES = st.sampled_from(["ann", "bob"])
WHICH = st.integers(0, 7)
EDITS = strategies.MEMBERS.flatmap(
    lambda members: st.sets(st.sampled_from(sorted(members))).map(lambda names: {name: members[name] for name in names})
)

_numbers = count(1)


UIDS = st.sampled_from(["the-first-name", "The-First-Name", "another-name"])
KEYED = {
    "toggle": lambda service, owner, task_id, once: service.toggle(owner, task_id, once=once),
    "edit": lambda service, owner, task_id, once: service.edit(owner, task_id, title="edited once", once=once),
    "delete": lambda service, owner, task_id, once: service.delete(owner, task_id, once=once),
}


class Wish(NamedTuple):
    """An operation of a batch, of which only an account tells the key and the revisions."""

    what: str
    key: str | int
    members: Any
    behind: int | None
    only: bool

    def of(self, account: "Account") -> Any:
        """Return the operation."""
        key = account.pick(self.key) if isinstance(self.key, int) else self.key
        if self.what == "put":
            name = key if isinstance(key, str) else "the-first-name"
            return PutTask(name, Put(self.members, create_only=self.only))
        task = account.tasks.get(account.names.get(key, 0) if isinstance(key, str) else key)
        if_match = None if self.behind is None or task is None else (task.revision - self.behind,)
        return DeleteTask(key, if_match) if self.what == "delete" else PatchTask(key, self.members, if_match)


WISHES = st.builds(
    Wish,
    st.sampled_from(["put", "put", "patch", "patch", "delete"]),
    UIDS | WHICH,
    strategies.MEMBERS,
    st.sampled_from([None, None, 0, 1]),
    st.booleans(),
)


async def task_of(putting):
    """The task of the response to a PUT."""
    return (await putting).task


class RememberedCreate(NamedTuple):
    """The write that was done under a key, and its time."""

    fingerprint: bytes
    task: Task
    used_at: datetime


class Account:
    """The model of one user: the tasks, the counter, every assigned id, the keys."""

    def __init__(self, name: str) -> None:
        self.owner: UserId = user_id(f"{name}-{next(_numbers)} of the store_state_machine")
        self.tasks: dict[int, Task] = {}
        self.trash: dict[int, Task] = {}
        self.counter = 0
        self.ids: list[int] = []
        self.names: dict[str, int] = {}
        self.deaths: dict[int, datetime] = {}
        self.remembered: dict[str, RememberedCreate] = {}

    def pick(self, which: int) -> int:
        """Return one of the latest ids, whether or not its task is still there."""
        return self.ids[-1 - which % len(self.ids)]

    def keep(self, task: Task) -> None:
        """Note a task that was written just now."""
        self.counter += 1
        assert task.revision == self.counter
        self.tasks[task.id] = task

    def keep_new(self, task: Task) -> None:
        """Note a task that was made just now; the first begins the counter."""
        assert task.id not in self.ids
        if not self.ids:
            self.counter = first_counter(task.created_at)
        self.ids.append(task.id)
        if task.uid is not None:
            self.names[task.uid] = task.id
        self.keep(task)

    def bury(self, task_id: int, now: datetime) -> None:
        """Note a task that was deleted just now."""
        self.trash[task_id] = self.tasks.pop(task_id)
        self.deaths[task_id] = now
        self.counter += 1

    def erase(self) -> None:
        """Note that everything was erased just now."""
        if self.ids:
            self.counter += 1
        self.tasks, self.trash, self.names, self.remembered = {}, {}, {}, {}

    def pick_deleted(self, which: int) -> int:
        """Return the id of a deleted task, or one of the latest ids."""
        candidates = [*self.trash, *self.ids[-2:]]
        return candidates[which % len(candidates)]

    def in_trash(self, task_id: int, now: datetime) -> Task | None:
        """Return the task as it was deleted, as long as it can be restored."""
        task = self.trash.get(task_id)
        return task if task is not None and now - self.deaths[task_id] < TRASH_KEPT else None


class StoreStateMachine(RuleBasedStateMachine):
    """Ann has a phone that syncs in small pages and a laptop that syncs in large ones; Bob has a tablet."""

    def __init__(self, store: Tasks, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        super().__init__()
        self.run = run
        self.clock = FakeClock()
        self.service = TaskService(store, clock=self.clock, quota=QUOTA)
        self.accounts = {name: Account(name) for name in ("ann", "bob")}
        self.devices = {
            "phone": (Device(self.service, self.accounts["ann"].owner, limit=2), self.accounts["ann"]),
            "laptop": (Device(self.service, self.accounts["ann"].owner), self.accounts["ann"]),
            "tablet": (Device(self.service, self.accounts["bob"].owner, limit=3), self.accounts["bob"]),
        }
        self.quarters = 0

    def everybody_has_had_tasks(self) -> bool:
        return all(account.ids for account in self.accounts.values())

    @rule(name=NAMES, members=strategies.MEMBERS)
    def create(self, name, members):
        account = self.accounts[name]
        if len(account.tasks) == QUOTA:
            with pytest.raises(QuotaReached):
                self.run(self.service.create(account.owner, **members))
        else:
            account.keep_new(self.run(self.service.create(account.owner, **members)).task)

    @rule(name=NAMES, key=st.sampled_from(["key", "Key"]), title=st.sampled_from(["this", "that"]))
    def create_once(self, name, key, title):
        account, once = self.accounts[name], Once(key, sha256(title.encode()).digest())
        creating = self.service.create(account.owner, once=once, title=title)
        remembered = account.remembered.get(key)
        if remembered is not None and self.clock.now - remembered.used_at < KEYS_KEPT:
            if remembered.fingerprint == once.fingerprint:
                assert self.run(creating) == (remembered.task, True)
            else:
                with pytest.raises(KeyReused):
                    self.run(creating)
        elif len(account.tasks) == QUOTA:
            with pytest.raises(QuotaReached):
                self.run(creating)
        else:
            created = self.run(creating)
            assert not created.replayed
            account.keep_new(created.task)
            account.remembered[key] = RememberedCreate(once.fingerprint, created.task, self.clock.now)

    @precondition(everybody_has_had_tasks)
    @rule(name=NAMES, which=WHICH, members=EDITS)
    def edit(self, name, which, members):
        account = self.accounts[name]
        task_id = account.pick(which)
        editing = self.service.edit(account.owner, task_id, **members)
        self.expect(account, task_id, editing, lambda task: task.edited(members, self.clock.now))

    @precondition(everybody_has_had_tasks)
    @rule(name=NAMES, which=WHICH)
    def toggle(self, name, which):
        account = self.accounts[name]
        task_id = account.pick(which)
        toggling = self.service.toggle(account.owner, task_id)
        self.expect(account, task_id, toggling, lambda task: task.toggled(self.clock.now))

    @precondition(everybody_has_had_tasks)
    @rule(device=st.sampled_from(["phone", "laptop", "tablet"]), which=WHICH, edits=EDITS)
    def put_back(self, device, which, edits):
        """A device sends a whole task of its copy, which may be old, with a change."""
        device, account = self.devices[device]
        if not device.copy:
            return
        read = sorted(device.copy.values())[which % len(device.copy)]
        whole = {
            name: getattr(read, name)
            for name in ("title", "description", "priority", "due_date", "tags", "position", "extra")
        }
        members = {**whole, "completed": read.completed, **edits, "revision": read.revision}
        putting = self.service.edit(account.owner, read.id, **members)
        task = account.tasks.get(read.id)
        stale = task is not None and task.revision != read.revision
        if stale and any(getattr(task, name) != value for name, value in members.items() if name != "revision"):
            with pytest.raises(Stale) as refused:
                self.run(putting)
            assert refused.value.current == task
        else:
            self.expect(account, read.id, putting, lambda task: task.edited(members, self.clock.now))

    def expect(self, account, task_id, writing, change):
        """Run a write, and compare its result with the domain's."""
        if task_id not in account.tasks:
            with pytest.raises(NotFound):
                self.run(writing)
            return
        before = account.tasks[task_id]
        after = change(before)
        if after is before:
            assert self.run(writing) == before
        else:
            after = after._replace(revision=account.counter + 1)
            assert self.run(writing) == after
            account.keep(after)

    @precondition(everybody_has_had_tasks)
    @rule(name=NAMES, which=WHICH, behind=st.sampled_from([None, 0, 1]))
    def delete(self, name, which, behind):
        account = self.accounts[name]
        task_id = account.pick(which)
        task = account.tasks.get(task_id)
        if_match = None if behind is None or task is None else {task.revision - behind}
        deleting = self.service.delete(account.owner, task_id, if_match=if_match)
        if task is None:
            with pytest.raises(NotFound):
                self.run(deleting)
        elif behind:
            with pytest.raises(Stale) as stale:
                self.run(deleting)
            assert stale.value.current == task
        else:
            self.run(deleting)
            account.bury(task_id, self.clock.now)

    @precondition(everybody_has_had_tasks)
    @rule(name=NAMES, which=WHICH)
    def restore(self, name, which):
        """A task comes back as it was, but for its revision and `updated_at`."""
        account = self.accounts[name]
        task_id = account.pick_deleted(which)
        restoring = self.service.restore(account.owner, task_id)
        task = account.in_trash(task_id, self.clock.now)
        if task_id in account.tasks:
            assert self.run(restoring) == account.tasks[task_id]
        elif task is None:
            with pytest.raises(NotFound):
                self.run(restoring)
        elif len(account.tasks) == QUOTA:
            with pytest.raises(QuotaReached):
                self.run(restoring)
        else:
            event("a task was restored")
            back = task._replace(revision=account.counter + 1, updated_at=max(task.updated_at, self.clock.now))
            assert self.run(restoring) == back
            del account.trash[task_id]
            account.keep(back)

    @precondition(everybody_has_had_tasks)
    @rule(name=NAMES, which=WHICH)
    def discard(self, name, which):
        """A task leaves the trash for good, and the counter stays."""
        account = self.accounts[name]
        task_id = account.pick_deleted(which)
        discarding = self.service.discard(account.owner, task_id)
        if account.in_trash(task_id, self.clock.now) is None:
            with pytest.raises(NotFound):
                self.run(discarding)
        else:
            self.run(discarding)
            del account.trash[task_id]

    @rule(name=NAMES, uid=UIDS, members=strategies.MEMBERS, only=st.booleans())
    def put_by_uid(self, name, uid, members, only):
        """A create, an edit or a refusal, by what there is under the name."""
        account = self.accounts[name]
        putting = task_of(self.service.put(account.owner, uid, Put(members, create_only=only)))
        task_id = account.names.get(uid)
        if task_id in account.tasks and only:
            with pytest.raises(Exists) as exists:
                self.run(putting)
            assert exists.value.current == account.tasks[task_id]
        elif task_id in account.tasks:
            self.expect(account, task_id, putting, lambda task: task.edited(members, self.clock.now))
        elif task_id is not None and self.run(self.is_gone(account, uid)):
            with pytest.raises(Gone) as gone:
                self.run(putting)
            assert gone.value.deleted.id == task_id
        elif len(account.tasks) == QUOTA:
            with pytest.raises(QuotaReached):
                self.run(putting)
        else:
            account.keep_new(self.run(putting))

    @precondition(everybody_has_had_tasks)
    @rule(name=NAMES, wishes=st.lists(WISHES, min_size=1, max_size=6), atomic=st.booleans(), times=st.integers(1, 2))
    def batch(self, name, wishes, atomic, times):
        """Several writes at once, sent again if the response was lost."""
        account = self.accounts[name]
        operations = [wish.of(account) for wish in wishes]
        for _ in range(times):
            known = {uid for uid in account.names if self.run(self.is_known(account, uid))}
            failed_at = None
            try:
                results = self.run(self.service.batch(account.owner, operations, atomic=atomic))
            except OperationFailed as failed:
                event("an atomic batch failed")
                failed_at = failed.index
                results = self.run(self.service.batch(account.owner, operations))  # fails where it did: nothing changed
            done = [isinstance(result, Done) for result in results]
            assert failed_at == (done.index(False) if atomic and not all(done) else None)
            for operation, result in zip(operations, results, strict=True):
                self.check_result(account, known, operation, result)

    def check_result(self, account, known, operation, result):
        """Compare the result of one operation of a batch with the model; `known` are the uids with a task or
        tombstone."""
        key = operation.key
        task_id = account.names.get(key) if isinstance(key, str) else key
        task = account.tasks.get(task_id)
        put = operation.put if isinstance(operation, PutTask) else None
        if task is not None:
            if put is not None and put.create_only:
                assert isinstance(result, Exists)
                assert result.current == task
            elif put is None and operation.if_match is not None and task.revision not in operation.if_match:
                assert isinstance(result, Stale)
                assert result.current == task
            elif isinstance(operation, DeleteTask):
                assert result == Done(None)
                account.bury(task_id, self.clock.now)
            else:
                edited = task.edited(operation.members if put is None else put.members, self.clock.now)
                if edited is not task:
                    edited = edited._replace(revision=account.counter + 1)
                    account.keep(edited)
                assert result == Done(edited)
        elif isinstance(key, str) and key in known:
            if isinstance(operation, DeleteTask):
                assert result == Done(None)
            else:
                assert isinstance(result, Gone)
                assert result.deleted.id == task_id
        elif put is None:
            assert isinstance(result, NotFound)
        elif len(account.tasks) == QUOTA:
            assert isinstance(result, QuotaReached)
        else:
            assert result.created
            assert result.task.uid == key
            account.keep_new(result.task)
            known.add(key)

    async def is_known(self, account, uid):
        """Whether there is a task of this name, or its deletion is still known."""
        return account.names[uid] in account.tasks or await self.is_gone(account, uid)

    async def is_gone(self, account, uid):
        """Whether the deletion under this name is still known, which a purge alone may end, after its time."""
        try:
            await self.service.toggle(account.owner, uid)
        except Gone:
            return True
        except NotFound:
            assert self.clock.now - account.deaths[account.names[uid]] >= TOMBSTONES_KEPT
            return False
        raise AssertionError("a deleted task was toggled")

    @precondition(everybody_has_had_tasks)
    @rule(name=NAMES, which=WHICH, key=st.sampled_from(["key", "Key", "third"]), what=st.sampled_from([*KEYED]))
    def write_once(self, name, which, key, what):
        """A write with a key: the first time it is done, and then not again."""
        account = self.accounts[name]
        task_id = account.pick(which)
        once = Once(key, f"{what} {task_id}".encode())
        writing = KEYED[what](self.service, account.owner, task_id, once)
        remembered, before = account.remembered.get(key), account.counter
        if remembered is None or self.clock.now - remembered.used_at >= KEYS_KEPT:
            if what == "delete" and task_id in account.tasks:
                task = account.tasks[task_id]
                self.run(writing)
                account.bury(task_id, self.clock.now)
            else:
                edits = {"edit": lambda task: task.edited({"title": "edited once"}, self.clock.now)}
                self.expect(account, task_id, writing, edits.get(what, lambda task: task.toggled(self.clock.now)))
                task = account.tasks.get(task_id)
            if account.counter > before:
                account.remembered[key] = RememberedCreate(once.fingerprint, task, self.clock.now)
        elif remembered.fingerprint != once.fingerprint:
            with pytest.raises(KeyReused):
                self.run(writing)
        elif what == "delete" or task_id in account.tasks:
            with pytest.raises(Repeated) as repeated:
                self.run(writing)
            assert repeated.value.task == (None if what == "delete" else account.tasks[task_id])
        else:
            with pytest.raises(NotFound):
                self.run(writing)

    @rule(name=NAMES)
    def erase(self, name):
        """All data is erased, including uids and keys, and the counter continues."""
        account = self.accounts[name]
        self.run(self.service.erase(account.owner))
        account.erase()

    @precondition(everybody_has_had_tasks)
    @rule(name=NAMES, which=WHICH)
    def trespass(self, name, which):
        account, victim = self.accounts[name], self.accounts["ann" if name == "bob" else "bob"]
        task_id = victim.pick(which)
        for attempt in (
            self.service.get(account.owner, task_id),
            self.service.edit(account.owner, task_id, title="taken"),
            self.service.toggle(account.owner, task_id),
            self.service.delete(account.owner, task_id),
        ):
            with pytest.raises(NotFound):
                self.run(attempt)

    @rule(name=NAMES, query=strategies.queries(limits=st.none() | st.integers(1, 3)))
    def walk(self, name, query):
        account = self.accounts[name]
        query, more = query._replace(after=None), True
        while more:
            expected, more = select(account.tasks.values(), query)
            assert self.run(self.service.list(account.owner, query)) == (expected, account.counter, more)
            if more:
                query = query._replace(after=list_position(expected[-1], query.sort))

    @rule(name=st.sampled_from(["phone", "laptop", "tablet"]))
    def sync(self, name):
        device, account = self.devices[name]
        before = device.resyncs
        self.run(device.sync())
        assert device.copy == account.tasks
        assert device.since == account.counter
        if device.resyncs > before:
            event("a device had to start again")

    @rule(days=st.sampled_from([1, 6, 8]))
    def time_passes(self, days):
        self.clock.advance(days=days, microseconds=1)  # so that nothing is ever exactly seven or ninety days old

    @precondition(lambda self: self.quarters < MOST_QUARTERS and self.everybody_has_had_tasks())
    @rule(name=NAMES)
    def a_quarter_goes_by(self, name):
        """Long enough for tombstones to be purged, with enough writes of one user for that to happen."""
        self.quarters += 1
        self.clock.advance(days=91, microseconds=1)
        account = self.accounts[name]
        task_id = next(iter(account.tasks), None)
        while task_id is not None and account.counter % PURGE_EVERY:
            toggling = self.service.toggle(account.owner, task_id)
            self.expect(account, task_id, toggling, lambda task: task.toggled(self.clock.now))

    def teardown(self):
        for name in self.devices:
            self.sync(name)
