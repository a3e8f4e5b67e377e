"""Two instances behind the shipped proxy, replaced one after the other under load: no request fails."""

import json
import statistics
import threading
import time
from http.client import HTTPConnection, HTTPException

from servers.nginx import SHIPPED, proxying
from servers.processes import LOOPBACK, reserve_port
from servers.todo import Served, token_for

SECRET = "0123456789abcdef0123456789abcdef"


class Client(threading.Thread):
    """A user at work, one request after the other; every task ends up completed, with a priority."""

    def __init__(self, port, token):
        super().__init__()
        self._connection = HTTPConnection(LOOPBACK, port, timeout=20)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.enough = threading.Event()
        self.failed = []
        self.took = []
        self.made = []
        self.deleted = []

    def run(self):
        while not self.enough.is_set() and len(self.failed) < 10:
            number = len(self.made)
            made = self._ask("POST", "/api/me/tasks", {"title": f"{number}"}, {"Idempotency-Key": f"{number}"})
            if made is None:
                continue
            self.made.append(made["id"])
            path = f"/api/me/tasks/{made['id']}"
            self._ask("GET", path)
            self._ask("PATCH", path, {"priority": "high"})
            self._ask("PUT", path, {"description": "y"})
            self._ask("PATCH", f"{path}/complete")  # a toggle: once exactly
            if number % 5 == 0:
                self._ask("DELETE", path)
                self.deleted.append(made["id"])
        self._connection.close()

    def _ask(self, method, path, body=None, headers=None):
        begun = time.monotonic()
        try:
            sent = None if body is None else json.dumps(body)
            self._connection.request(method, path, sent, self._headers | (headers or {}))
            response = self._connection.getresponse()
            raw = response.read()
        except (OSError, HTTPException) as error:
            self.failed.append((method, path, repr(error)))
            self._connection.close()
            return None
        self.took.append(time.monotonic() - begun)
        if response.status not in {200, 201, 204}:
            self.failed.append((method, path, response.status, raw))
            return None
        return json.loads(raw) if raw else {}


def test_no_request_fails_while_each_instance_in_turn_is_replaced(tmp_path, postgres_databases, postgres_database):
    settings = {"TODO_DATABASE_URL": postgres_databases.url(postgres_database), "TODO_JWT_SECRET": SECRET}
    settings |= {"TODO_DRAIN_SECONDS": "2", "TODO_TRUSTED_PROXIES": LOOPBACK}
    ports, held = zip(*(reserve_port() for _ in range(2)), strict=True)

    def start(number):
        place = tmp_path / f"{number}"
        place.mkdir(exist_ok=True)
        return Served(place, port=ports[number], **settings).__enter__()

    instances = [start(0), start(1)]
    try:
        with proxying(tmp_path, *ports) as port:
            clients = [Client(port, token_for(f"user-{number}", SECRET)) for number in range(6)]
            for client in clients:
                client.start()
            time.sleep(0.5)
            for number in (0, 1):
                assert instances[number].process.stop(seconds=20) == 0
                instances[number] = start(number)
            time.sleep(0.5)
            for client in clients:
                client.enough.set()
            for client in clients:
                client.join()
    finally:
        for instance in instances:
            instance.process.stop()
        for holder in held:
            holder.close()
    took = [each for client in clients for each in client.took]
    print(  # noqa: T201  the figures, for -s
        f"{len(took)} requests over two restarts, {sum(len(client.failed) for client in clients)} failed; "
        f"p99 {statistics.quantiles(took, n=100)[-1] * 1e3:.0f} ms, longest {max(took) * 1e3:.0f} ms"
    )
    assert [client.failed for client in clients] == [[]] * 6
    assert all(client.made for client in clients)
    _check_what_is_kept(tmp_path, settings, clients)


def _check_what_is_kept(directory, settings, clients):
    """Every acknowledged write is there, once."""
    with Served(directory, **settings) as served:
        for number, client in enumerate(clients):
            tasks = served.request("GET", "/api/me/tasks", token_for(f"user-{number}", SECRET)).body
            assert {task["id"] for task in tasks} == set(client.made) - set(client.deleted)
            for task in tasks[1:]:
                assert (task["completed"], task["priority"], task["description"]) == (True, "high", "y")


def test_the_window_of_the_shipped_unit_is_longer_than_the_proxy_shuns_an_instance():
    """Or else the second could leave while the proxy still believes that the first is away."""
    unit = (SHIPPED.parent / "todo.service").read_text()
    window = int(unit.split("TODO_DRAIN_SECONDS=")[1].split()[0])
    shunned = float(SHIPPED.read_text().split("fail_timeout=")[1].split("s")[0])
    assert window > shunned
