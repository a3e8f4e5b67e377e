"""A real headless Chromium, driven as W3C WebDriver says: JSON over HTTP to its driver."""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

import pytest

from servers.processes import LOOPBACK, ServerProcess, free_port

_QUIET = (
    "--headless=new",
    "--no-sandbox",  # root has no other way, and the page is our own
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--force-device-scale-factor=1",
)

KEYS = {"all": "\ue009a\ue000", "enter": "\ue007", "escape": "\ue00c", "down": "\ue015", "up": "\ue013"}
"""Keys that write no character, as WebDriver spells them; `all` selects what is in the field."""

_PRESS = {"type": "pointerDown", "button": 0}
_RELEASE = {"type": "pointerUp", "button": 0}


def require() -> None:
    """Skip the test where no Chromium is installed; fail it in CI (CI=true), which has to have one."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return
    sentence = "Chromium is not installed: `apt-get install chromium chromium-driver` brings it"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


class Browser:
    """One window; as a context manager, opened on entry and gone on exit. `directory` gets its profile and logs."""

    def __init__(self, directory: Path, *, width: int = 1100, height: int = 900) -> None:
        self._directory = directory
        self._size = (width, height)
        self._port = free_port()
        self._driver: ServerProcess | None = None
        self._session = ""

    def __enter__(self) -> Self:
        program = shutil.which("chromedriver") or "chromedriver"
        self._driver = ServerProcess(
            [program, f"--port={self._port}"], logs=self._directory, name="chromedriver", cwd=self._directory
        )
        try:
            self._driver.wait_for_port(self._port)
            options = {
                "binary": shutil.which("chromium"),
                "args": [*_QUIET, f"--user-data-dir={self._directory / 'profile'}"],
            }
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/session/{made['sessionId']}"
            width, height = self._size
            self._ask("POST", f"{self._session}/window/rect", {"width": width, "height": height})
            self.open("about:blank")
            self._log("performance")  # what the window showed at first
        except BaseException:
            self._driver.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ask("DELETE", self._session)
        finally:
            assert self._driver is not None
            self._driver.stop()

    def open(self, url: str) -> None:
        """Load a page."""
        self._ask("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a function with this body returns in the page."""
        return self._ask("POST", f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, *arguments: Any, seconds: float = 20) -> Any:
        """Return what such a function returns, once that is something."""
        deadline = time.monotonic() + seconds
        while not (found := self.run(script, *arguments)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"never true in the page: {script} {arguments}")
            time.sleep(0.05)
        return found

    def click(self, selector: str) -> None:
        """Click an element as a mouse would, once it is there."""
        self._ask("POST", f"{self._element(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Replace what is in a field by typing."""
        element = self._element(selector)
        self._ask("POST", f"{element}/clear", {})
        self._ask("POST", f"{element}/value", {"text": text})

    def press(self, selector: str, keys: str) -> None:
        """Press keys in an element, behind what it holds; those without a character are in `KEYS`."""
        self._ask("POST", f"{self._element(selector)}/value", {"text": keys})

    def double_click(self, selector: str) -> None:
        """Click an element twice."""
        self._point([self._move(*self._middle(selector)), *[_PRESS, _RELEASE] * 2])

    def drag(self, selector: str, onto: str) -> None:
        """Press the mouse on an element, move it to another one and just past its middle, and let go."""
        (x, y), (to_x, to_y) = self._middle(selector), self._middle(onto)
        beyond = 4 if to_y > y else -4
        self._point([self._move(x, y), _PRESS, self._move(to_x, to_y), self._move(to_x, to_y + beyond), _RELEASE])

    def block(self, *patterns: str) -> None:
        """Let requests to such URLs fail in this tab, as where a proxy cuts them; none lets all pass again."""
        self._command("Network.enable")
        self._command("Network.setBlockedURLs", urls=patterns)

    def view(self, width: int, height: int, *, dark: bool = False) -> None:
        """Give the page this size, also one that no window can have, and light or dark colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._command("Emulation.setDeviceMetricsOverride", **size)
        colours = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", features=[colours])

    def tabs(self) -> list[str]:
        """The names of the tabs, the first one first."""
        return list(self._ask("GET", f"{self._session}/window/handles"))

    def new_tab(self, url: str) -> None:
        """Open another tab, and go on in it."""
        self.switch(self._ask("POST", f"{self._session}/window/new", {"type": "tab"})["handle"])
        self.open(url)

    def switch(self, tab: str) -> None:
        """Go on in this tab."""
        self._ask("POST", f"{self._session}/window", {"handle": tab})

    def close_tab(self, tab: str) -> None:
        """Close the tab that this is, and go on in another one."""
        self._ask("DELETE", f"{self._session}/window")
        self.switch(tab)

    def names_of_databases(self) -> list[str]:
        """The databases of IndexedDB that the page's origin has."""
        self.run("indexedDB.databases().then((all) => { window.databases = all.map((one) => one.name) })")
        return list(self.wait("return window.databases"))

    def console(self) -> list[str]:
        """What the page has written to its console since the last call, errors of the browser included."""
        return [f"{entry['level']} {entry['message']}" for entry in self._log("browser")]

    def requested(self, method: str | None = None) -> list[str]:
        """The URLs that the page has asked for since the last call, by this method or any."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        requests = [event["params"]["request"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [request["url"] for request in requests if method in {None, request["method"]}]

    def screenshot(self) -> bytes:
        """What is in the window, as PNG."""
        return base64.b64decode(self._ask("GET", f"{self._session}/screenshot"))

    def _middle(self, selector: str) -> tuple[int, int]:
        rect = self.run("return document.querySelector(arguments[0]).getBoundingClientRect()", selector)
        return int(rect["x"] + rect["width"] / 2), int(rect["y"] + rect["height"] / 2)

    @staticmethod
    def _move(x: int, y: int) -> dict[str, Any]:
        return {"type": "pointerMove", "duration": 0, "x": x, "y": y, "origin": "viewport"}

    def _point(self, actions: list[dict[str, Any]]) -> None:
        self._ask(
            "POST", f"{self._session}/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]}
        )

    def _command(self, name: str, **parameters: Any) -> None:
        """Give a command of the DevTools protocol, for what WebDriver has none."""
        self._ask("POST", f"{self._session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def _log(self, kind: str) -> list[Any]:
        return self._ask("POST", f"{self._session}/se/log", {"type": kind})

    def _element(self, selector: str) -> str:
        self.wait("return document.querySelector(arguments[0]) !== null", selector)
        found = self._ask("POST", f"{self._session}/element", {"using": "css selector", "value": selector})
        return f"{self._session}/element/{next(iter(found.values()))}"

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = HTTPConnection(LOOPBACK, self._port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{value['error']}: {value['message'].splitlines()[0]}")
        return value
