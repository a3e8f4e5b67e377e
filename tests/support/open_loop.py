"""Sends short requests at a steady rate, whether or not the ones before are answered, and prints how long each took.

A program of its own, so that it takes no time from the test: `open_loop.py PORT TOKEN KEY`. Once its input ends, it
prints a JSON array with [when it was sent, what it took, whether it wrote] of each, in seconds of the monotonic clock.
"""

import json
import random
import select
import socket
import sys
import time
from collections import deque

READS, WRITES = 60, 20
"""Requests of each kind in a second."""


class Busy:
    """A connection while its request is answered."""

    def __init__(self, connection, writes):
        self.connection, self.writes, self.sent, self.received = connection, writes, time.monotonic(), b""

    def read(self):
        """Whether the whole answer is here."""
        more = self.connection.recv(65_536)
        assert more, "the service has closed a connection"
        self.received += more
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return False
        # On a machine that is busy enough, the service refuses what has waited for nearly 3 s, which count here.
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503")), self.received
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        return len(body) == length


def message(method, path, token, body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def main(port, token, key):
    read = message("GET", "/api/me/tasks?limit=20", token)
    chance, free, busy, took, number, ended = random.Random(1), deque(), {}, [], 0, False
    due = time.monotonic()
    while busy or not ended:
        if not ended and time.monotonic() >= due:
            writes = chance.random() < WRITES / (READS + WRITES)
            number += 1
            body = json.dumps({"title": f"{number}"}).encode()
            # The one that is free the longest, or else the service closes it, because it is idle for too long.
            connection = free.popleft() if free else socket.create_connection(("127.0.0.1", port), timeout=10)
            busy[connection] = Busy(connection, writes)
            connection.sendall(message("PATCH", f"/api/me/tasks/{key}", token, body) if writes else read)
            due += chance.expovariate(READS + WRITES)
        waits_for = [*busy] if ended else [sys.stdin, *busy]
        for ready in select.select(waits_for, [], [], None if ended else max(0, due - time.monotonic()))[0]:
            if ready is sys.stdin:
                ended = True
            elif busy[ready].read():
                done = busy.pop(ready)
                took.append([done.sent, time.monotonic() - done.sent, done.writes])
                free.append(ready)
    json.dump(took, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
