"""The parts of the benchmarks that compute: what is sent, what is made of the responses, and how it is told."""

import json
from collections import Counter
from itertools import islice
from xml.etree import ElementTree as ET

import jwt
import pytest
from benchmarks import cpu, load, machine, plot, ratios, report, rounds, works
from benchmarks.contenders import BASELINE, FASTIFY, FASTIFY_SQLITE, OURS, OURS_SQLITE
from benchmarks.far import Far
from benchmarks.load import LoadError
from benchmarks.ratios import Aim, Ratio, Verdict
from benchmarks.rounds import Case, Sample

from servers.wrk import Outcome


def sample(rate: float, *, p50: float = 2.0, p99: float = 4.0, server: float | None = 50.0) -> Sample:
    return Sample(Outcome(round(rate), 1.0, p50, p50, p99), server, 20.0, 0.25)


@pytest.mark.parametrize(
    "outcome",
    [Outcome(3528, 0.5, 2, 3, 4, refused=1), Outcome(3528, 0.5, 2, 3, 4, broken=1), Outcome(0, 0.5, 0, 0, 0)],
)
def test_a_single_request_without_a_success_leaves_no_figure(outcome):
    with pytest.raises(LoadError, match=r"of (3528|0) requests"):
        load.faultless(outcome)
    assert load.faultless(outcome._replace(requests=1, refused=0, broken=0)).rate == 2


def test_the_mixed_work_reads_four_times_out_of_five_and_writes_all_kinds_alike():
    counted = Counter(request.operation for request in islice(works.requests(works.WORKS["mixed"]), 3000))
    assert counted == {"get": 1200, "list": 1200, "create": 200, "edit": 200, "toggle": 200}


@pytest.mark.parametrize("work", works.WORKS.values(), ids=works.WORKS.keys())
def test_neighbouring_requests_come_from_different_users(work):
    users = [request.user for request in works.requests(work)]
    assert all(len(set(users[at : at + 64])) == 64 for at in range(0, len(users) - 64, 16))


def test_what_one_work_writes_another_does_not_read():
    writing = [set(works.WORKS[name].users) for name in ("create", "edit", "toggle", "mixed")]
    reading = set(works.WORKS["get"].users) | set(works.WORKS["list"].users)
    assert sum(map(len, [*writing, reading])) == len(set().union(*writing, reading))


def test_every_contender_and_round_is_sent_the_same():
    work = works.WORKS["mixed"]
    assert list(works.requests(work)) == list(works.requests(work))


def test_a_request_is_http_of_its_user_with_room_for_a_number():
    request = works.create("user_000007", 1)
    message, end = works.encoded([request]).split(b"\0")
    head, _, body = message.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    sent = dict(line.split(": ") for line in lines[1:])
    assert end == b""
    assert lines[0] == "POST /api/user_000007/tasks HTTP/1.1"
    assert int(sent["Content-Length"]) == len(body)
    assert json.loads(body)["title"] == "Buy groceries @@@@@@@@@@"
    claims = jwt.decode(sent["Authorization"].removeprefix("Bearer "), works.SECRET, algorithms=["HS256"])
    assert claims["sub"] == "user_000007"


def test_processor_time_is_what_was_used_in_between_also_by_threads_that_began_meanwhile():
    assert cpu.microseconds({"1": 5_000, "2": 9_000}, {"1": 6_000, "3": 2_000}) == 3
    assert cpu.microseconds({}, {}) is None


def test_a_contender_beside_which_ours_is_measured_has_all_members_of_a_task():
    request = works.get("user_000007", 1)
    task = dict.fromkeys(rounds._MEMBERS) | {"user_id": "user_000007"}
    del (fewer := dict(task))["extra"]
    assert rounds._problem("get", 200, task, request, same_members=True) is None
    assert "not the members" in rounds._problem("get", 200, fewer, request, same_members=True)
    assert rounds._problem("get", 200, fewer, request, same_members=False) is None
    listed = [task | {"id": 20 - place} for place in range(20)]
    assert rounds._problem("list", 200, listed, request, same_members=True) is None
    assert "not the members" in rounds._problem("list", 200, [*listed, fewer], request, same_members=True)


@pytest.mark.parametrize(
    ("prefix", "arguments", "said"),
    [
        ("/opt", "'--enable-shared'", "configured without --enable-optimizations"),
        ("/usr", "'--enable-shared'", "configured by the distribution"),
        ("/usr", "'--enable-optimizations' '--with-lto'", "configured with --enable-optimizations --with-lto"),
        ("/opt", None, "configured without --enable-optimizations"),
    ],
)
def test_the_interpreter_is_named_with_how_it_was_configured(monkeypatch, prefix, arguments, said):
    monkeypatch.setattr("sys.base_prefix", prefix)
    monkeypatch.setattr("sysconfig.get_config_var", {"CONFIG_ARGS": arguments}.get)
    assert machine.interpreter().endswith(said)


def test_what_neither_we_nor_the_servers_used_was_used_by_others():
    before, after = cpu.Machine(100, 1000, 10), cpu.Machine(103, 1004, 11)
    assert cpu.share_of_others(before, after, 1_500_000) == pytest.approx(0.5 / 4)
    assert cpu.share_of_others(before, after, 2_500_000) == 0
    assert cpu.share_of_others(None, after, 1_500_000) is None


def test_a_ratio_is_taken_round_by_round():
    # Both slow down in the second round: neighbours are compared, not the middle of each.
    ratio = ratios.ratio_of([sample(1000), sample(100), sample(900)], [sample(500), sample(40), sample(300)])
    assert ratio == Ratio(2.0, 2.5, 3.0)


def test_contenders_with_another_number_of_rounds_cannot_be_compared():
    with pytest.raises(ValueError, match="argument"):
        ratios.ratio_of([sample(1)], [sample(1), sample(2)])


@pytest.mark.parametrize(
    ("aim", "median", "met"),
    [(Aim(12), 12, True), (Aim(12), 11.99, False)],
)
def test_an_aim_is_met_by_the_median(aim, median, met):
    assert aim.met(Ratio(0, median, 100)) is met


def test_a_verdict_needs_both_contenders_and_the_number_of_connections_of_the_aims():
    samples = {
        Case(16, "get", OURS): [sample(3000)],
        Case(16, "get", BASELINE): [sample(100)],
        Case(16, "mixed", OURS): [sample(100)],
        Case(16, "mixed", BASELINE): [sample(50)],
        Case(64, "get", FASTIFY): [sample(1)],
    }
    reported = list(ratios.verdicts(samples))
    assert [(each.work, each.other, each.ratio.median, each.met) for each in reported] == [
        ("get", BASELINE, 30, True),
        ("mixed", BASELINE, 2, None),
    ]


def test_the_tail_is_measured_against_the_middle_of_the_same_round():
    samples = {Case(16, "get", OURS): [sample(1, p50=1, p99=4), sample(1, p50=2, p99=12), sample(1, p50=1, p99=5)]}
    (tail,) = ratios.tails(samples)
    assert tail.ratio == Ratio(4, 5, 6)
    assert tail.met


def test_typical_figures_do_without_processor_time_where_none_is_told():
    assert ratios.typical([sample(10, server=None), sample(30, server=None), sample(20, server=None)])[:2] == (20, 2.0)
    assert ratios.typical([sample(10, server=None)]).server is None


def test_the_columns_of_a_table_line_up():
    lines = report.table(("what", "how much"), [("a", "1"), ("longer", "1,000,000")]).splitlines()
    assert lines[1] == "| ------ | --------: |"
    assert len({len(line) for line in lines}) == 1


@pytest.fixture
def results():
    samples = {
        Case(16, "get", OURS): [sample(3000)],
        Case(16, "get", BASELINE): [sample(300)],
        Case(16, "get", OURS_SQLITE): [sample(3000)],
        Case(16, "get", FASTIFY_SQLITE): [sample(6000, server=None)],
        Case(1, "get", OURS): [sample(2000)],
        Case(1, "get", BASELINE): [sample(500)],
    }
    far = Far(30.5, {"get": Outcome(10, 2, 36, 44, 70), "edit": Outcome(5, 2, 38, 46, 300)}, 2)
    return report.Results(samples, {FASTIFY: "no Node.js"}, far, "a machine", ["Python"], "2026-11-22", 1.5)


def test_the_report_tells_every_ratio_with_its_aim_and_verdict(results):
    reported = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.ratios(results).splitlines()]
    assert ["ours / baseline", "get", "10.0", "10.0", "10.0", "≥ 20", "missed"] in reported
    assert ["ours, SQLite / Fastify, SQLite", "get", "0.50", "0.50", "0.50", "≥ 0.75", "missed"] in reported
    assert ["p99 / p50 of ours", "get", "2.00", "2.00", "2.00", "≤ 5", "met"] in reported
    assert ["ours / Fastify", "absent", "", "", "", "", ""] in reported


def test_the_report_tells_whatever_was_measured(results):
    reported = report.markdown(results)
    assert "Fastify is absent: no Node.js" in reported
    assert "## Figures at 1 connection\n" in reported
    assert reported.index("Figures at 16") < reported.index("Figures at 1 connection\n")
    assert "30.5 ms measured" in reported
    assert "Other programs used 25% of the processors" in reported
    rows = {line.split("|")[1].strip(): line.split("|")[-2].strip() for line in report.far(results).splitlines()[2:]}
    assert rows["get"] == "met"
    assert rows["edit"] == "missed"


def test_the_picture_is_well_formed_and_shows_every_ratio(results):
    lines = list(ratios.verdicts(results.samples))
    lines.append(Verdict("a < b & c", OURS, FASTIFY, Ratio(0.01, 0.02, 70), None))
    root = ET.fromstring(plot.svg(lines))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"10.0", "0.50", "0.02", "a < b & c"} <= set(texts)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in root.iter("{http://www.w3.org/2000/svg}rect"):
        left, top = float(element.get("x", 0)), float(element.get("y", 0))
        assert 0 <= left <= left + float(element.attrib["width"]) <= width
        assert 0 <= top <= top + float(element.attrib["height"]) <= height
