"""`todo doctor --attack`: checks that two users of a running deployment cannot reach each other's tasks.

It reads the deployment's own OpenAPI document. It tries every operation on a user's path with one user's token on the
other's path, and every operation on a task with a user's own token and path on the other's task. It makes these tasks
and removes them.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from todo_adapters.auth.fetching import trusting
from todo_app.commands.deployment import TIMEOUT, CannotAsk, Deployment, HttpOperation, members, said
from todo_app.commands.pasted_token import pasted_token
from todo_domain.owner import LARGEST_ID

if TYPE_CHECKING:
    from todo_app.settings import Settings

_NEVER: Final = LARGEST_ID
"""The id of a task that never existed."""

_REFUSED: Final = {401, 429}
"""The statuses that a request without a valid token may get; 429 if TODO_RATE_LIMIT_REFUSED is set."""


@dataclass
class User:
    """One of the two users: the token, and the tasks made for the attack."""

    name: str
    token: str
    mark: str
    id: str = ""
    task: dict[str, Any] = field(default_factory=dict)
    deleted: int = 0

    def task_for(self, operation: HttpOperation) -> int:
        """Return the id of the task to try an operation on: a deleted one for operations on the trash."""
        return self.deleted if "/trash/" in operation.template else int(self.task["id"])


class Attack:
    """An attack on one deployment. `table` has a row for each operation, `problems` a sentence for each failure."""

    def __init__(self, deployment: Deployment, tokens: tuple[str, str], *, destructive: bool) -> None:
        self._deployment = deployment
        self._destructive = destructive
        self._mark = f"todo doctor --attack {secrets.token_hex(8)}"
        names = ("user A", "user B")
        self._users = [User(name, token, f"{self._mark}, {name}") for name, token in zip(names, tokens, strict=True)]
        self.table: list[tuple[str, str, str, str]] = []
        self.problems: list[str] = []

    def prepare(self) -> None:
        """Make the tasks of each user, or raise CannotAsk. With `destructive`, the users must have no tasks before."""
        for user in self._users:
            listed = self._deployment.send("get", "/api/me/tasks?limit=1", user.token)
            if listed.status_code != 200:
                raise CannotAsk(f"{user.name} cannot list tasks: {said(listed)}")
            if self._destructive and listed.json():
                raise CannotAsk(f"{user.name} has tasks, which --destructive could erase: use users without tasks")
        for user in self._users:
            user.task = members(self._send(HttpOperation("post", "/api/me/tasks"), "me", 0, user))
            user.id = str(user.task["user_id"])
            user.deleted = int(members(self._send(HttpOperation("post", "/api/me/tasks"), "me", 0, user))["id"])
            self._deployment.send("delete", f"/api/me/tasks/{user.deleted}", user.token)
        if self._users[0].id == self._users[1].id:
            raise CannotAsk("both tokens are of one user: give the tokens of two users")

    def run(self, operations: list[HttpOperation]) -> None:
        """Try every operation in both directions, then check that each task is unchanged."""
        one, two = self._users
        for operation in operations:
            if operation.on_user and not self._destructive:
                self.table.append((str(operation), "", "", "skipped without --destructive"))
                continue
            before = len(self.problems)
            cells = [self._try(operation, attacker, victim) for attacker, victim in ((one, two), (two, one))]
            paths, tasks = (" ".join(dict.fromkeys(column)) for column in zip(*cells, strict=True))
            self.table.append((str(operation), paths, tasks, "held" if len(self.problems) == before else "FAILED"))
        for user in self._users:
            after = self._deployment.send("get", f"/api/me/tasks/{user.task['id']}", user.token)
            if after.status_code != 200 or after.json() != user.task:
                self.problems.append(f"the task of {user.name} changed: {said(after)}")

    def clean_up(self) -> None:
        """Remove the tasks made for the attack, also those that it made wrongly for the other user."""
        for user in self._users:
            listed = self._deployment.send("get", "/api/me/tasks", user.token)
            tasks = listed.json() if listed.status_code == 200 else []
            made = {one["id"] for one in tasks if one["title"].startswith(self._mark)}
            for task in made | ({user.deleted} if user.deleted else set()):
                self._deployment.send("delete", f"/api/me/tasks/{task}", user.token)
                self._deployment.send("delete", f"/api/me/trash/{task}", user.token)
            again = (self._deployment.send("get", f"/api/me/tasks/{task}", user.token) for task in made)
            if any(response.is_success for response in again):
                self.problems.append(f"tasks of {user.name} were not removed: search for {self._mark!r}")

    def _try(self, operation: HttpOperation, attacker: User, victim: User) -> tuple[str, str]:
        """Return the statuses on the victim's path and on the victim's task; note failures."""
        task, segment = victim.task_for(operation), _segment(victim.id)
        foreign = self._send(operation, segment, task, attacker)
        held = foreign.status_code == 403 and victim.mark not in foreign.text
        self._expect(operation, attacker, foreign, "403", held=held)
        for token in (None, "not.a.token"):
            refused = self._send(operation, segment, task, None, token=token)
            self._expect(operation, None, refused, "401", held=refused.status_code in _REFUSED)
        if operation.streams or not (operation.on_task or operation.method == "get" or _is_batch(operation)):
            return str(foreign.status_code), ""
        own = self._send(operation, "me", task, attacker)
        if operation.on_task:
            never = _comparable(self._send(operation, "me", _NEVER, attacker))
            held = own.status_code == 404 and _comparable(own) == never
            self._expect(operation, attacker, own, "the 404 of a task that never existed", held=held)
            return str(foreign.status_code), str(own.status_code)
        if _is_batch(operation):
            status = members(own)["results"][self._users.index(victim)]["status"]
            self._expect(operation, attacker, own, "404 for the other's task", held=status == 404)
            return str(foreign.status_code), str(status)
        seen = victim.mark in own.text or f'"user_id":{json.dumps(victim.id)}' in own.text
        self._expect(operation, attacker, own, "a response without the other's task", held=not seen)
        return str(foreign.status_code), ""

    def _expect(
        self, operation: HttpOperation, attacker: User | None, response: httpx.Response, wanted: str, *, held: bool
    ) -> None:
        if not held:
            who = attacker.name if attacker else "nobody known"
            self.problems.append(f"{operation} by {who} on the other's: {said(response)}, and not {wanted}")

    def _send(
        self, operation: HttpOperation, segment: str, task: int, user: User | None, *, token: str | None = None
    ) -> httpx.Response:
        title = {"title": user.mark if user else self._mark}
        body: object = title if operation.method in {"post", "put", "patch"} else None
        if operation.template.endswith(("/complete", "/restore")):
            body = {}
        if _is_batch(operation):
            body = {"operations": [{"op": "patch", "key": one.task["id"], "task": title} for one in self._users]}
        path, streams = operation.path(segment, task), operation.streams
        if user is None:
            return self._deployment.send(operation.method, path, token, body, streams=streams, patient=False)
        return self._deployment.send(operation.method, path, user.token, body, streams=streams)


def attack(settings: Settings, url: str, tokens: tuple[str, str], *, destructive: bool) -> bool:
    """Attack the deployment at `url` with the tokens of two users; print the results; return whether all held."""
    if not re.match("https?://[^/]", url):
        print("FAIL  attack: the URL must be that of the service, such as https://todo.example.com")
        return False
    verify = trusting(settings.ca_file) if settings.ca_file else True
    try:
        with httpx.Client(base_url=url.rstrip("/"), verify=verify, trust_env=False, timeout=TIMEOUT) as client:
            deployment = Deployment(client)
            one, two = map(pasted_token, tokens)
            attempt = Attack(deployment, (one, two), destructive=destructive)
            operations = deployment.operations()
            try:
                attempt.prepare()
                attempt.run(operations)
            finally:
                attempt.clean_up()
    except (CannotAsk, httpx.InvalidURL) as problem:
        print(f"FAIL  attack: {problem}")
        return False
    _print(attempt, deployment.requests)
    return not attempt.problems


def _print(attempt: Attack, requests: int) -> None:
    rows = [("operation", "another's path", "another's task", ""), *attempt.table]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for problem in attempt.problems:
        print(f"FAIL  attack: {problem}")
    if not attempt.problems:
        held = sum(row[3] == "held" for row in attempt.table)
        print(f"ok    attack: {held} operations held against {requests} requests; the tasks made for it are removed")


def _is_batch(operation: HttpOperation) -> bool:
    return operation.template.endswith("/batch")


def _comparable(response: httpx.Response) -> tuple[int, object, list[str]]:
    """Return the parts that two responses must have in common: all but the request id and the values of headers."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    if isinstance(body, dict):
        body.pop("request_id", None)
    return response.status_code, body, sorted(response.headers)


def _segment(user: str) -> str:
    """Return a user id as a path segment."""
    return "".join(f"%{byte:02X}" for byte in user.encode())
