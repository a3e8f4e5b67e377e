"""The feed and the iCalendar export as calendars read them: with ical.js, the parser of Thunderbird and Nextcloud."""

import gzip
import json
import subprocess
import time
from contextlib import closing
from datetime import date
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urljoin

import pytest

from servers import node
from servers.node import NODE
from servers.todo import Served, environment
from store_contract.words import NASTY

HERE = Path(__file__).parent / "calendars"
TEXTS = [
    *(f"|{text}|" for text in NASTY),
    "a,b;c:d\\e\\nf\\N \\, \\;",
    "quotes \" and '^n^'",
    "lines\nand\r\nlines\rand\ttabs",
    "BEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR",
    "C:\\New folder\\new",
    "=1+1",
    # Each length around a fold, which is after 75 bytes and must not part a character of one to four bytes.
    *(character * length for character in "xé日😀" for length in range(60, 80)),
    "👩‍👩‍👧‍👦" * 30,
    "مرحبا بالعالم، " * 15,
    "x" * 255,
]
DAYS = [date(1, 1, 1), date(1970, 1, 1), date(2026, 3, 29), date(2027, 12, 31), date(2028, 2, 29), date(9999, 12, 31)]


@pytest.fixture
def served(tmp_path):
    with Served(tmp_path) as served:
        yield served


def raw(served, path, token=None):
    """The body of a response with 200."""
    connection = HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == 200, body
    return body


def read(calendar):
    """What ical.js sees in a calendar: its name, and its components by title and description."""
    program = node.installed(HERE) / "read.mjs"
    ran = subprocess.run(
        [NODE, program], input=calendar, env=environment(), capture_output=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    seen = json.loads(ran.stdout)
    return seen["name"], {(each["title"], each["description"]): each for each in seen["components"]}


def breaks(text):
    """What iCalendar keeps of a text, of which it allows one kind of line break."""
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def fill(served, token):
    """Tasks with every text as title, description and tag: open and complete, with a day and without. Returns them."""
    operations = []
    for number, text in enumerate(TEXTS):
        task = {
            "title": text[:255],
            "description": f"{number} {text}",
            "tags": [] if number % 3 else [text[:50], "a,b", "c;d"],
            "due_date": DAYS[number % len(DAYS)].isoformat() if number % 5 else None,
            "completed": number % 7 == 0,
            "priority": ["none", "low", "medium", "high"][number % 4],
            "position": f"a{number}",
            "extra": {"text": text},
        }
        operations.append({"op": "put", "key": f"name-number-{number}", "task": task})
    for start in range(0, len(operations), 100):
        response = served.request("POST", "/api/me/batch", token, {"operations": operations[start : start + 100]})
        assert response.status == 200, response.body
    for title in ("without a name", "without a name, too"):
        body = {"title": title, "description": title, "due_date": "2026-12-01"}
        assert served.request("POST", "/api/me/tasks", token, body).status == 201
    return served.request("GET", "/api/me/tasks", token).body


def by_texts(tasks):
    return {(breaks(task["title"]), breaks(task["description"])): task for task in tasks}


def whole_seconds(instant):
    """An instant of the API as iCalendar keeps it."""
    return instant[:19] + "Z"


PRIORITIES = {"none": None, "low": 9, "medium": 5, "high": 1}


def check(component, task):
    """Assert that a component is what it should be of this task."""
    if task["due_date"] is None:
        assert component["day"] is None
    else:
        assert (date(*component["day"]).isoformat(), component["whole_day"]) == (task["due_date"], True)
    assert component["priority"] == PRIORITIES[task["priority"]]
    assert component["tags"] == [breaks(tag) for tag in task["tags"]]
    if task["uid"] is not None:
        assert component["uid"] == task["uid"]


def test_each_open_task_with_a_due_date_is_an_event_of_that_whole_day(served):
    token = served.token("ann")
    tasks = fill(served, token)
    url = served.request("POST", "/api/me/feed", token).body["url"]
    name, events = read(raw(served, urljoin("/api/me/feed", url)))
    assert name == "Todo"
    shown = by_texts(task for task in tasks if task["due_date"] and not task["completed"])
    assert events.keys() == shown.keys()
    assert len(shown) > 80
    for key, event in events.items():
        check(event, shown[key])
        assert (event["kind"], event["lasts"], event["busy"]) == ("vevent", "P1D", "TRANSPARENT")
    assert len({event["uid"] for event in events.values()}) == len(events)


def test_what_is_done_or_deleted_leaves_the_feed_and_what_is_reopened_comes_back_as_the_same_event(served):
    token = served.token("ann")
    feed = urljoin("/api/me/feed", served.request("POST", "/api/me/feed", token).body["url"])
    task = {"title": "Pay the rent", "description": "", "due_date": "2026-12-01"}
    path = f"/api/me/tasks/{served.request('POST', '/api/me/tasks', token, task).body['id']}"
    _, before = read(raw(served, feed))
    (uid,) = [event["uid"] for event in before.values()]
    for gone, back in (
        [("PATCH", path, {"completed": True}), ("PATCH", path, {"completed": False})],
        [("PATCH", path, {"due_date": None}), ("PATCH", path, {"due_date": "2026-12-01"})],
        [("DELETE", path, None), ("POST", path.replace("tasks", "trash") + "/restore", None)],
    ):
        for (method, target, body), left in ((gone, {}), (back, before)):
            assert served.request(method, target, token, body).status < 300
            assert read(raw(served, feed))[1] == left
    assert served.request("PATCH", path, token, {"due_date": "2027-01-31", "title": "Pay it"}).status == 200
    _, moved = read(raw(served, feed))
    assert [(event["uid"], event["day"]) for event in moved.values()] == [(uid, [2027, 1, 31])]


def test_the_export_has_a_todo_for_each_task_with_its_state(served):
    token = served.token("ann")
    tasks = by_texts(fill(served, token))
    _, todos = read(raw(served, "/api/me/export?format=ics", token))
    assert todos.keys() == tasks.keys()
    for key, todo in todos.items():
        task = tasks[key]
        check(todo, task)
        assert (todo["kind"], todo["status"]) == ("vtodo", "COMPLETED" if task["completed"] else "NEEDS-ACTION")
        assert todo["completed_at"] == (task["completed_at"] and whole_seconds(task["completed_at"]))
        assert todo["position"] == task["position"]
        assert json.loads(todo["extra"] or "{}") == task["extra"]


def test_the_feed_and_the_export_name_a_task_alike_here_and_after_it_moved(served):
    """Calendars take one UID for one event, so no two users share one, and a calendar of the new place goes on."""
    ann, bob, cleo = map(served.token, ("ann", "bob", "cleo"))
    fill(served, ann)
    served.request("POST", "/api/me/tasks", bob, {"title": "x", "description": "x", "due_date": "2026-12-01"})

    def uids(token):
        feed = served.request("POST", "/api/me/feed", token).body["url"]
        _, events = read(raw(served, urljoin("/api/me/feed", feed)))
        _, todos = read(raw(served, "/api/me/export?format=ics", token))
        named = {key: todo["uid"] for key, todo in todos.items()}
        assert {key: event["uid"] for key, event in events.items()}.items() <= named.items()
        return named

    named = uids(ann)
    assert not set(named.values()) & set(uids(bob).values())
    imported = served.request("POST", "/api/me/import", cleo, json.loads(raw(served, "/api/me/export", ann)))
    assert imported.body["created"] == len(named)
    assert uids(cleo) == named


def test_a_calendar_of_the_default_quota_is_sent_within_the_time_of_a_request(served):
    """In an idle service; on a busy machine a list of the same tasks takes its time as well, and says how long."""
    token, most = served.token("ann"), 10_000
    for start in range(0, most, 100):
        operations = [
            {"op": "put", "key": f"name-number-{number}", "task": {"title": f"{number}", "due_date": "2026-12-01"}}
            for number in range(start, start + 100)
        ]
        assert served.request("POST", "/api/me/batch", token, {"operations": operations}).status == 200
    feed = urljoin("/api/me/feed", served.request("POST", "/api/me/feed", token).body["url"])
    export = "/api/me/export?format=ics"

    def fastest(path, version="HTTP/1.1", coding="identity"):
        took = []
        for _ in range(3):
            begun = time.monotonic()
            with closing(HTTPConnection("127.0.0.1", served.port, timeout=60)) as connection:
                connection._http_vsn, connection._http_vsn_str = int(version[-3:].replace(".", "")), version
                connection.request("GET", path, headers={"Authorization": f"Bearer {token}", "Accept-Encoding": coding})
                response = connection.getresponse()
                body = response.read()
            took.append(time.monotonic() - begun)
            assert response.status == 200, body
            whole = gzip.decompress(body) if response.getheader("content-encoding") == "gzip" else body
            assert path.startswith("/api/me/tasks") or whole.count(b"\r\nEND:V") == most + 1
        return min(took)

    within = max(3, 8 * fastest("/api/me/tasks"))
    assert fastest(feed) < within
    assert fastest(feed, "HTTP/1.0") < within
    assert fastest(export) < within
    assert fastest(export, "HTTP/1.0") < within
    assert fastest(export, coding="gzip") < within
