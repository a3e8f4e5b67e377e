"""The counter and the histogram of one process, beside those of prometheus_client."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest

from todo_adapters.observability.tallies import TallyCounter, TallyHistogram

BOUNDS = (0.001, 0.25, 1, 30)
ROUTES = st.sampled_from(["/tasks", '/"quoted"', "none"])
STATUSES = st.sampled_from(["200", "404"])
SECONDS = st.sampled_from([0.0, *BOUNDS, 100.0]) | st.floats(0, 100)


def exposed(registry):
    """The registry as text, without the series of creation times, which the service has switched off."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


@given(st.lists(st.tuples(ROUTES, STATUSES, SECONDS)))
def test_a_histogram_is_exposed_as_that_of_prometheus_client(observations):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    named = ("duration_seconds", "Requests.", ["route", "status"])
    histograms = [
        kind(*named, buckets=BOUNDS, registry=of) for kind, of in ((TallyHistogram, ours), (Histogram, theirs))
    ]
    for route, status, seconds in observations:
        for histogram in histograms:
            histogram.labels(route, status).observe(seconds)
    assert exposed(ours) == exposed(theirs)


@given(st.lists(st.sampled_from(["ok", "expired", 'a "name"\n'])))
def test_a_counter_is_exposed_as_that_of_prometheus_client(outcomes):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counters = [
        kind("auth", "Requests.", ["outcome"], registry=of) for kind, of in ((TallyCounter, ours), (Counter, theirs))
    ]
    for outcome in outcomes:
        for counter in counters:
            counter.labels(outcome).inc()
    assert exposed(ours) == exposed(theirs)
