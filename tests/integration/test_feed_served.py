"""A calendar feed of a real process: what the logs, the audit log, the metrics and the traces have of its secret."""

from http.client import HTTPConnection

from servers.collector import Collector
from servers.todo import Served
from todo_domain import user_id
from todo_domain.feed import new_feed_token

SECRET = "0123456789abcdef0123456789abcdef"


def get(port, path):
    """Status and body of the response to somebody without a token."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_a_feed_is_in_no_log_of_the_service(tmp_path):
    with Collector() as collector:
        settings = {
            "TODO_JWT_SECRET": SECRET,
            "TODO_LOG_LEVEL": "debug",
            "TODO_RATE_LIMIT_REFUSED": "1/minute",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.endpoint}/v1/traces",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        with Served(tmp_path, **settings) as served:
            token = served.token("ann")
            due = {"title": "x", "due_date": "2026-12-01"}
            assert served.request("POST", "/api/me/tasks", token, due).status == 201
            made = served.request("POST", "/api/me/feed", token)
            path = "/" + made.body["url"].removeprefix("../../")
            wrong = f"/feeds/{new_feed_token(user_id('ann')).text}.ics"
            asked = (path, f"{path}?x=1", path + "/", wrong, wrong, "/feeds/x")
            assert [get(served.port, each)[0] for each in asked] == [200, 200, 404, 404, 429, 404]
            _, metrics = get(served.port, "/metrics")
            served.process.wait_until(lambda: b"GET /feeds/{token}" in collector.raw)
    logged = served.process.stderr
    assert '"route": "/feeds/{token}"' in logged
    assert "feed_made" in logged
    for text in (logged.encode(), metrics, collector.raw):
        for secret in (path, wrong):
            assert secret.removeprefix("/feeds/")[:24].encode() not in text
