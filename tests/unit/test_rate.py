"""The rate limit: what it lets through, what it says about waiting, and what it keeps in memory."""

import pytest

from todo_adapters.http.middleware import rate_limit as rate
from todo_adapters.http.middleware.rate_limit import Rate
from todo_adapters.http.protocol.errors import RateLimited


class Seconds:
    """A clock that stands still until the test moves it."""

    def __init__(self):
        self.now = 1_000.5

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Seconds()


def refusal(spend, caller):
    """The seconds that a refused caller is told to wait, None if it is let through."""
    try:
        spend(caller)
    except RateLimited as refused:
        return refused.retry_after
    return None


def test_as_many_as_the_limit_says_pass_and_each_caller_counts_alone(clock):
    users = Rate("3/minute", reason="user", clock=clock)
    assert [refusal(users.spend, "ann") for _ in range(5)] == [None, None, None, 60, 60]
    assert refusal(users.spend, "bob") is None


def test_the_code_for_the_audit_log_comes_with_the_refusal(clock):
    users = Rate("1/hour", reason="refused_tokens", clock=clock)
    users.spend("ann")
    with pytest.raises(RateLimited) as refused:
        users.spend("ann")
    assert refused.value.reason == "refused_tokens"
    assert str(refused.value) == "too many requests: try again in 3600 s"


@pytest.mark.parametrize("waited", [0, 0.001, 0.3, 17.25, 58.9, 59.999])
def test_waiting_as_long_as_retry_after_says_is_enough_and_a_second_less_is_not(clock, waited):
    users = Rate("2/minute", reason="user", clock=clock)
    assert [refusal(users.spend, "ann") for _ in range(2)] == [None, None]
    clock.now += waited
    seconds = refusal(users.spend, "ann")
    assert 1 <= seconds <= 60
    clock.now += seconds - 1.001
    assert refusal(users.spend, "ann") is not None
    clock.now += 1.001
    assert refusal(users.spend, "ann") is None


def test_refused_requests_do_not_make_the_wait_longer(clock):
    users = Rate("1/minute", reason="user", clock=clock)
    users.spend("ann")
    for _ in range(59):
        clock.now += 1
        assert refusal(users.spend, "ann") is not None
    clock.now += 1
    assert refusal(users.spend, "ann") is None


def test_one_ipv6_network_of_64_bits_is_one_caller_and_an_ipv4_address_is_one_however_it_is_written(clock):
    peers = Rate("1/minute", reason="refused_tokens", clock=clock)
    assert refusal(peers.spend_address, "2001:db8:1:2::1") is None
    assert refusal(peers.spend_address, "2001:db8:1:2:ffff:ffff:ffff:ffff") is not None
    assert refusal(peers.spend_address, "2001:db8:1:3::1") is None
    assert refusal(peers.spend_address, "192.0.2.1") is None
    assert refusal(peers.spend_address, "::ffff:192.0.2.1") is not None
    assert refusal(peers.spend_address, "192.0.2.2") is None
    assert refusal(peers.spend_address, None) is None
    assert refusal(peers.spend_address, None) is not None
    assert refusal(peers.spend_address, "no address") is None


def test_memory_is_bounded_and_those_whose_window_began_first_are_forgotten(clock, monkeypatch):
    monkeypatch.setattr(rate, "MOST_TRACKED", 100)
    peers = Rate("1/minute", reason="refused_tokens", clock=clock)
    counters = peers._windows.storage._counters
    for number in range(1_000):
        clock.now += 0.001
        peers.spend(f"{number}")
        assert len(counters) <= 100
    assert refusal(peers.spend, "999") is not None
    assert refusal(peers.spend, "0") is None


def test_windows_that_have_ended_are_removed_as_new_ones_begin(clock):
    peers = Rate("1/second", reason="refused_tokens", clock=clock)
    counters = peers._windows.storage._counters
    for number in range(1_000):
        clock.now += 0.1
        peers.spend(f"{number}")
    assert len(counters) <= 11


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [("100/minute", 100, 60), ("5 per 2 hours", 5, 7_200), ("1/day", 1, 86_400), (" 20 / second ", 20, 1)],
)
def test_a_limit_is_a_number_in_a_time(text, amount, seconds):
    limit = rate.parsed_limit(text)
    assert (limit.amount, limit.get_expiry()) == (amount, seconds)


@pytest.mark.parametrize(
    "text", ["", "100", "0/minute", "-1/minute", "1/fortnight", "1/second;5/minute", "x/minute", "1/0x"]
)
def test_any_other_limit_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match="must be a number of requests in a time, like 100/minute, not "):
        rate.parsed_limit(text)
