"""`todo serve` whose standard streams are closed or broken when it starts."""

import subprocess
import time
from pathlib import Path

import pytest

from servers.processes import LOOPBACK, accepts, answers_200, free_port
from servers.todo import TODO, environment

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", ">/dev/full", "2>&-"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_serves_and_stops_all_the_same(tmp_path, streams, workers):
    if "full" in streams and not Path("/dev/full").exists():
        pytest.skip("Linux has a device that is always full")
    port = free_port()
    command = [TODO, "serve", "--port", str(port), "--workers", workers]
    log = (tmp_path / "log").open("wb")
    with (
        log,
        subprocess.Popen(
            ["/bin/sh", "-c", f'exec "$0" "$@" {streams}', *command],
            cwd=tmp_path,
            env=environment(TODO_JWT_SECRET=SECRET),
            stdout=log,
            stderr=log,
        ) as served,
    ):
        try:
            deadline = time.monotonic() + 60
            while not answers_200(f"http://{LOOPBACK}:{port}/health/ready"):
                assert served.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            served.terminate()
            assert served.wait(30) == 0
        finally:
            served.kill()
    assert not accepts(port)
    assert "Traceback" not in (tmp_path / "log").read_text()
