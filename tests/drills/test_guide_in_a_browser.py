"""The programs of docs/clients.md in a real browser, on pages of another origin than the service."""

import re
from pathlib import Path

import pytest

from servers import browser
from servers.browser import Browser
from servers.pages import another_origin
from servers.todo import Served

GUIDE = (Path(__file__).parents[2] / "docs/clients.md").read_text()
(LIFECYCLE,) = re.findall(r"<!-- lifecycle.js -->\n```js\n(.*?)```", GUIDE, re.DOTALL)
# The copy that the tabs share is in local storage, which is enough for a few titles.
TAB = """
const [api, text] = arguments;
const token = async () => text;
const headers = { Authorization: `Bearer ${text}` };
const read = () => JSON.parse(localStorage.copy ?? '{"revision": 0, "titles": []}');
const write = ({ revision, tasks }, titles) => {
  localStorage.copy = JSON.stringify({ revision, titles: [...titles, ...tasks.map((task) => task.title)] });
};
const copy = {
  since: async () => read().revision,
  apply: async (page) => write(page, read().titles),
  reload: async () => write(await (await fetch(`${api}/changes`, { headers })).json(), []),
};
const draw = () => { document.title = read().titles.join(); };
addEventListener("storage", draw); // local storage may reach another process later than the message does
Promise.all([import("/tabs.mjs"), import("/drain.mjs")]).then(([{ live }, { drain }]) => {
  window.queue = [];
  window.send = () => drain(api, token, queue, (_, problem) => { window.failed = problem.error; });
  %s
}).catch((error) => { window.failed = String(error); });
"""
QUEUE = """
const [real, headers] = [window.fetch, { "If-None-Match": "*" }];
window.fetch = async () => { throw new TypeError("offline"); };
queue.push({ method: "PUT", path: "tasks/made-in-a-browser", body: { title: "queued" }, headers });
return send().finally(() => { window.fetch = real; });
"""


@pytest.fixture
def window(tmp_path):
    browser.require()
    pages = tmp_path / "pages"
    pages.mkdir()
    for name, program in re.findall(r"<!-- (\w+\.mjs) -->\n```js\n(.*?)```", GUIDE, re.DOTALL):
        (pages / name).write_text(program)
    with another_origin(pages) as origin, Browser(tmp_path) as window:
        yield window, origin


def test_tabs_of_another_origin_share_one_stream_and_a_queue_waits_for_the_network(tmp_path, window):
    tab, origin = window
    with Served(tmp_path, TODO_CORS_ORIGINS=origin) as served:
        api, token = f"{served.origin}/api/me", served.token("ann")
        served.request("POST", "/api/me/tasks", token, {"title": "one"})

        def shown(*titles):
            tab.wait("return window.failed || document.title === arguments[0]", ",".join(titles))
            assert tab.run("return window.failed ?? null") is None

        def streams():
            return re.findall(r"^todo_streams\S* (\S+)", served.text("/metrics"), re.MULTILINE)

        tab.open(origin)
        tab.run(TAB % LIFECYCLE, api, token)
        shown("one")
        first = tab.tabs()[0]
        tab.new_tab(origin)
        tab.run(TAB % LIFECYCLE, api, token)
        served.request("POST", "/api/me/tasks", token, {"title": "two"})
        shown("one", "two")
        served.process.wait_until(lambda: streams() == ["1.0"])
        second = tab.tabs()[1]
        tab.switch(first)
        shown("one", "two")
        tab.open("about:blank")  # the tab with the stream is left
        tab.switch(second)
        assert tab.run(QUEUE) == 5
        tab.wait("return send().then((seconds) => seconds === null)")
        shown("one", "two", "queued")
        served.process.wait_until(lambda: streams() == ["1.0"])
