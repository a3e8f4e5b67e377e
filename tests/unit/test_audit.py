"""The audit log: no line lost or broken, whatever it is told, how often, and wherever it writes."""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import stat
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo_adapters import audit as audit_module
from todo_adapters.audit import LINES_APIECE, LONGEST_DETAIL, MOST_TRACKED, MOST_WAITING, AuditLines

LINE_BREAKS = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def written(path):
    """What the file says, each line parsed; every byte of it is printable ASCII or a line feed."""
    raw = path.read_bytes()
    assert all(byte == 0x0A or 0x20 <= byte <= 0x7E for byte in raw)
    assert raw == b"" or raw.endswith(b"\n")
    return [json.loads(line) for line in raw.decode("ascii").splitlines()]


def amount(lines, **members):
    """How many events the lines with these members stand for."""
    return sum(line.get("count", 1) for line in lines if members.items() <= line.items())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.log"


def test_a_line_has_time_event_and_details_and_leaves_out_what_is_none(path):
    before = datetime.now(UTC)
    with closing(AuditLines(str(path))) as audit:
        audit.record("start", pid=7, host="127.0.0.1", jwt_issuer=None)
    (line,) = written(path)
    moment = line.pop("time")
    assert line == {"event": "start", "pid": 7, "host": "127.0.0.1"}
    assert moment.endswith("Z")
    assert timedelta(0) <= datetime.fromisoformat(moment) - before < timedelta(seconds=5)


@pytest.mark.parametrize(
    "character", [*map(chr, range(0x20)), "\x7f", *LINE_BREAKS, "\u202e", "\ud800", "😀", '"', "\\"]
)
def test_no_character_breaks_a_line_and_all_come_back(path, character):
    nasty = f'a{character}{{"event": "forged"}}'
    with closing(AuditLines(str(path))) as audit:
        audit.record("token_refused", reason="subject", subject=nasty, peer=character)
    (line,) = written(path)
    assert line["subject"] == nasty
    assert line["peer"] == character


@given(
    details=st.dictionaries(
        st.text().filter(lambda name: name not in {"self", "event"}),
        st.none() | st.integers() | st.booleans() | st.text(st.characters()),
    )
)
def test_whatever_is_recorded_becomes_one_line(tmp_path_factory, details):
    path = tmp_path_factory.mktemp("audit") / "audit.log"
    with closing(AuditLines(str(path))) as audit:
        audit.record("anything", **details)
    assert len(written(path)) == 1


def test_what_no_caller_may_pass_is_still_one_line(path):
    with closing(AuditLines(str(path))) as audit:
        audit.record("odd", huge=10**6000, path=path, nothing=float("nan"))
    (line,) = written(path)
    assert line["huge"].startswith("0x")
    assert line["path"] == str(path)


def test_long_details_are_cut(path):
    with closing(AuditLines(str(path))) as audit:
        audit.record("path_refused", reason="r" * 100_000, subject="😀" * 100_000, peer="p" * 100_000)
    (line,) = written(path)
    assert line["subject"] == "😀" * LONGEST_DETAIL + "…"
    assert {len(line[name]) for name in ("reason", "subject", "peer")} == {LONGEST_DETAIL + 1}


def test_a_flood_is_told_in_a_few_lines_that_add_up(path):
    with closing(AuditLines(str(path))) as audit:
        for number in range(5_000):
            audit.record("token_refused", reason="expired", peer="192.0.2.1", request_id=f"{number}")
            if number == 2_500:
                half_way = datetime.now(UTC).isoformat()
        for number in range(3):
            audit.record("token_refused", reason="expired", peer="192.0.2.2", request_id=f"{number}")
    lines = written(path)
    assert len(lines) == LINES_APIECE + 1 + 3
    assert amount(lines, reason="expired", peer="192.0.2.1") == 5_000
    assert amount(lines, reason="expired", peer="192.0.2.2") == 3
    (rest,) = [line for line in lines if "count" in line]
    assert rest["count"] == 5_000 - LINES_APIECE
    assert lines[0]["time"] < rest["since"] < half_way < rest["time"]
    assert "request_id" not in rest


def test_the_rest_of_a_flood_is_told_when_its_window_ends_though_nothing_else_happens(path):
    with closing(AuditLines(str(path), window=0.3)) as audit:
        for _ in range(LINES_APIECE + 7):
            audit.record("path_refused", reason="other_user", peer="192.0.2.1")
        deadline = time.monotonic() + 10
        while amount(written(path), event="path_refused") < LINES_APIECE + 7:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert written(path)[-1]["count"] == 7
        audit.record("path_refused", reason="other_user", peer="192.0.2.1")  # a new window: in full again
    assert "count" not in written(path)[-1]


def test_events_without_a_peer_are_never_folded(path):
    with closing(AuditLines(str(path))) as audit:
        for number in range(LINES_APIECE * 3):
            audit.record("key_set_changed", keys=number)
    assert [line["keys"] for line in written(path)] == list(range(LINES_APIECE * 3))


def test_a_peer_that_is_not_known_is_folded_like_any_other(path):
    with closing(AuditLines(str(path))) as audit:
        for _ in range(100):
            audit.record("token_refused", reason="expired", peer=None)
    lines = written(path)
    assert len(lines) == LINES_APIECE + 1
    assert amount(lines) == 100


def test_a_flood_from_ever_new_peers_takes_bounded_memory_and_adds_up(path):
    with closing(AuditLines(str(path))) as audit:
        for number in range(MOST_TRACKED * 4):
            audit.record("token_refused", reason="signature", peer=f"192.0.2.{number}")
            assert len(audit._tallies) <= MOST_TRACKED + 1
    lines = written(path)
    assert len(lines) <= MOST_TRACKED + LINES_APIECE + 1
    assert amount(lines) == MOST_TRACKED * 4


def test_many_threads_at_once_lose_nothing(path):
    with closing(AuditLines(str(path), window=0.01)) as audit:

        def work(name):
            for _ in range(1_000):
                audit.record("token_refused", reason="expired", peer=name)

        threads = [threading.Thread(target=work, args=(f"{number % 3}",)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert amount(written(path), event="token_refused") == 6_000


async def test_closing_writes_everything_and_what_comes_later_is_ignored(path):
    audit = AuditLines(str(path))
    for number in range(1_000):
        audit.record("start", number=number)
    await audit.aclose()
    audit.record("late")
    await audit.aclose()
    assert [line["number"] for line in written(path)] == list(range(1_000))


def test_the_file_is_made_for_its_owner_alone_and_appended_to(path):
    for _ in range(2):
        with closing(AuditLines(str(path))) as audit:
            audit.record("start")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(written(path)) == 2


def test_a_file_moved_away_by_log_rotation_is_made_anew(path, tmp_path):
    with closing(AuditLines(str(path))) as audit:
        audit.record("before")
        deadline = time.monotonic() + 10
        while not written(path):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        path.rename(tmp_path / "audit.log.1")
        audit.record("after")
    assert [line["event"] for line in written(tmp_path / "audit.log.1")] == ["before"]
    assert [line["event"] for line in written(path)] == ["after"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_several_processes_share_a_file_line_by_line(path):
    with closing(AuditLines(str(path))) as one, closing(AuditLines(str(path))) as other:
        for number in range(500):
            one.record("one", number=number)
            other.record("other", number=number)
    assert [line["number"] for line in written(path) if line["event"] == "one"] == list(range(500))
    assert [line["number"] for line in written(path) if line["event"] == "other"] == list(range(500))


def test_standard_error_is_the_other_target(capfd):
    with closing(AuditLines("stderr")) as audit:
        audit.record("start", pid=1)
    assert json.loads(capfd.readouterr().err)["event"] == "start"


@pytest.mark.parametrize("target", ["/", "/nowhere/audit.log"])
def test_a_file_that_cannot_be_written_is_known_at_once(target):
    with pytest.raises(OSError, match="directory"):
        AuditLines(target)


@pytest.fixture
def clogged(tmp_path):
    """A named pipe full of empty lines: the log's writer is stuck at once. Yields its path and its reading end."""
    path = tmp_path / "clogged"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    filler = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(filler, b"\n")
    os.close(filler)
    yield path, reader
    os.close(reader)


def emptied(reader, until):
    """Everything that the pipe holds until the writer has ended."""
    os.set_blocking(reader, True)
    read = bytearray()
    ended = threading.Thread(target=until)
    ended.start()
    while chunk := os.read(reader, 65_536):
        read += chunk
    ended.join()
    return [json.loads(line) for line in read.decode("ascii").splitlines() if line]


async def test_a_writer_that_is_stuck_holds_up_nobody_and_what_found_no_room_is_told_later(clogged):
    path, reader = clogged
    audit = AuditLines(str(path))
    events = MOST_WAITING * 3
    slowest = 0.0
    audit.record("settings_changed", number=0)
    while audit._waiting:  # noqa: ASYNC110  the thread has no event; until it has taken the line, and is stuck
        await asyncio.sleep(0.001)
    for number in range(1, events):
        begun = time.perf_counter()
        audit.record("settings_changed", request_id="x" * 100, number=number)
        slowest = max(slowest, time.perf_counter() - begun)
        if number % 100 == 0:
            await asyncio.sleep(0)
    assert slowest < 1  # stuck, it would be for good
    assert len(audit._waiting) == MOST_WAITING
    for _ in range(50):
        audit.record("token_refused", reason="expired", peer="192.0.2.1")
    lines = await asyncio.to_thread(emptied, reader, audit.close)
    assert amount(lines, event="settings_changed") == events
    assert amount(lines, event="token_refused") == 50
    for line in lines:
        assert line.get("dropped", 0) == line.get("count", 0)


def test_closing_gives_up_on_a_writer_that_is_stuck(clogged, monkeypatch, caplog):
    path, reader = clogged
    monkeypatch.setattr(audit_module, "TIMEOUT", 0.2)
    audit = AuditLines(str(path))
    for number in range(1_000):
        audit.record("start", number=number)
    begun = time.monotonic()
    audit.close()
    assert time.monotonic() - begun < 5
    assert "lost" in caplog.text
    emptied(reader, audit.close)  # lets the thread end


def full(monkeypatch, *, times):
    """Let the next `times` writes find the disk full."""
    write, left = os.write, [times]

    def failing(file, data):
        if threading.current_thread().name == "audit" and left[0]:
            left[0] -= 1
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(os, "write", failing)


def test_a_disk_that_is_full_for_a_while_costs_no_line(path, monkeypatch, caplog):
    monkeypatch.setattr(audit_module, "_RETRY", 0.01)
    full(monkeypatch, times=5)
    audit = AuditLines(str(path))
    for number in range(10):
        audit.record("start", number=number)
    deadline = time.monotonic() + 10
    while len(written(path)) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    audit.close()
    assert [line["number"] for line in written(path)] == list(range(10))
    assert [record.getMessage() for record in caplog.records] == [
        "the audit log cannot be written for now: No space left on device"
    ]


def test_a_disk_that_stays_full_ends_in_one_sentence_about_what_is_lost(path, monkeypatch, caplog):
    full(monkeypatch, times=1_000)
    with caplog.at_level(logging.ERROR), closing(AuditLines(str(path))) as audit:
        for number in range(10):
            audit.record("start", number=number)
    assert caplog.records[-1].getMessage() == "10 audit lines are lost: they could not be written"


def test_a_line_that_is_written_in_pieces_is_whole_in_the_end(path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    with closing(AuditLines(str(path))) as audit:
        audit.record("start", host="127.0.0.1")
    assert written(path)[0]["host"] == "127.0.0.1"
