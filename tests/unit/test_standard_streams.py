"""A command whose standard streams are closed, full, or unread."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from todo_app.cli import main
from todo_app.standard_streams import OutputError, output_checked

FULL = Path("/dev/full")
OPENED = "from todo_app.standard_streams import open_closed_streams as o; o(); import os, sys; "
IS_NULL = "os.path.samestat(os.fstat({0}), os.stat(os.devnull))"
NAMES = "stdin", "stdout", "stderr"
COMMANDS = ["openapi"], ["migrate", "--sql"], ["doctor"], ["token", "--user", "ann"]

full_device = pytest.mark.skipif(not FULL.exists(), reason="Linux has a device that is always full")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@full_device
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_whose_output_does_not_fit_says_so_in_one_sentence(command, monkeypatch, capsys):
    with FULL.open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(command) == 1
    assert capsys.readouterr().err.splitlines()[-1] == ("todo: the output cannot be written: No space left on device")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_whose_reader_has_ended_ends_as_sigpipe_would_end_it_and_says_nothing(command, monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        assert main(command) == 141
    assert "cannot be written" not in capsys.readouterr().err


@full_device
def test_each_failure_of_the_output_is_an_output_error(monkeypatch):
    with FULL.open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OutputError, match="No space left"), output_checked():
            print("x" * 100_000)  # noqa: T201  the output
    with FULL.open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OutputError, match="No space left"), output_checked():
            print("x")  # noqa: T201  the output, which is written at the flush


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_closed_streams_are_the_null_device_so_that_no_other_file_gets_their_numbers(closed):
    checks = [
        f"{IS_NULL.format(one)} and os.get_inheritable({one}) and sys.{NAMES[one]}.fileno() == {one}" for one in closed
    ]
    script = OPENED + f"os._exit(7 if {' and '.join(checks)} else 1)"
    closing = " ".join(f"{one}>&-" for one in closed)
    command = ["/bin/sh", "-c", f'exec "$0" "$@" {closing}', sys.executable, "-c", script]
    assert subprocess.run(command, check=False, timeout=30).returncode == 7
