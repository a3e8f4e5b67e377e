"""The polyfill of EventSource (npm: eventsource), in a real browser, with the token in a header."""

from pathlib import Path

import pytest

from servers import browser, node
from servers.browser import Browser
from servers.pages import another_origin
from servers.todo import Served
from support.streams import streaming

PAGE = """
const [origin, url, token] = arguments;
const authorization = { Authorization: `Bearer ${token}` };
const { setTimeout } = window;
window.setTimeout = (call, delay, ...rest) => setTimeout(call, delay / 30, ...rest);  // a second is half a minute
window.heard = [];
document.head.append(Object.assign(document.createElement("script"), {
    type: "importmap",
    textContent: JSON.stringify({ imports: {
        eventsource: `${origin}/eventsource/dist/index.js`,
        "eventsource-parser": `${origin}/eventsource-parser/dist/index.js`,
    } }),
}));
import("eventsource").then(({ EventSource }) => {
    const source = new EventSource(url, {
        fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...authorization } }),
    });
    for (const name of ["ready", "changes", "resync", "bye"]) {
        source.addEventListener(name, (event) => {
            window.heard.push(name);
            if (name === "changes") window.tasks = JSON.parse(event.data).tasks;
            if (name === "bye") window.reason = JSON.parse(event.data).reason;
        });
    }
    source.addEventListener("error", () => { window.state = source.readyState; });
}).catch((error) => { window.failed = String(error); });
"""


@pytest.fixture
def page(tmp_path):
    browser.require()
    modules = node.installed(Path(__file__).parent / "event_source") / "node_modules"
    with another_origin(modules) as origin, Browser(tmp_path) as page:
        page.open(origin)
        yield page, origin


async def test_the_polyfill_comes_back_by_itself_after_busy(tmp_path, page):
    window, origin = page
    with Served(tmp_path, TODO_MAX_STREAMS="1", TODO_CORS_ORIGINS=origin) as served:
        token = served.token("ann")
        async with streaming(served.origin, served.token("bob")) as the_only_one:
            assert (await the_only_one.next()).name == "ready"
            window.run(PAGE, origin, f"{served.origin}/api/me/events", token)
            window.wait("return window.failed || window.heard[0]")
            assert window.run("return window.failed || [window.heard[0], window.reason]") == ["bye", "busy"]
        window.wait("return window.heard.includes('ready')")
        served.request("POST", "/api/me/tasks", token, {"title": "heard"})
        assert window.wait("return window.tasks && window.tasks[0].title") == "heard"
        assert window.run("return window.state") == 0  # it was connecting, never closed
        assert "Traceback" not in served.process.stderr
