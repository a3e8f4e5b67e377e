"""List, add and complete tasks from a script, with only the standard library.

export TODO_API=http://127.0.0.1:8000/api/me TODO_TOKEN=…
python tasks.py add "Buy milk" home; python tasks.py; python tasks.py done 42
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

API, TOKEN = os.environ["TODO_API"], os.environ["TODO_TOKEN"]


def call(method: str, path: str, body: object = None, attempts: int = 5) -> Any:
    """Send a request; repeat it with the same key while the service is down or busy, or if its answer is lost."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": str(uuid.uuid4())}
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(f"{API}/{path}", data, headers, method=method)
    while True:
        attempts -= 1
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as problem:
            said = json.loads(problem.read() or "{}")
            if problem.code not in {429, 502, 503, 504} or not attempts:
                sys.exit(f"{problem.code}: {said.get('error', problem.reason)}")
            time.sleep(float(problem.headers.get("Retry-After", 1)))
        except OSError as problem:  # the connection was refused or broke, or there was no answer in time
            if not attempts:
                sys.exit(f"{API} cannot be reached: {problem}")
            time.sleep(1)


def main(command: str = "list", *words: str) -> None:
    """Run one command."""
    if command == "list":
        for task in call("GET", "tasks?sort=position"):
            tick = "x" if task["completed"] else " "
            print(f"{task['id']:>6} {tick} {' '.join([task['title'], *task['tags']])}")
    elif command == "add":
        print(call("POST", "tasks", {"title": words[0], "tags": words[1:]})["id"])
    elif command == "done":
        for key in words:
            call("PATCH", f"tasks/{key}/complete", {"completed": True})
    else:
        sys.exit("usage: tasks.py [list | add TITLE [TAG …] | done ID …]")


if __name__ == "__main__":
    main(*sys.argv[1:])
