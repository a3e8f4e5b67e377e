"""nginx with the shipped configuration, in front of instances of ours."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from servers.processes import LOOPBACK, ServerProcess, free_port

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx.conf"
DOCS = SHIPPED.parents[1] / "docs"
_PATH = f"{os.environ['PATH']}:/usr/sbin"
LOCATION = re.findall(r"^ {8}location / \{\n.*?^ {8}\}\n", SHIPPED.read_text(), re.DOTALL | re.MULTILINE)[0]
"""What passes requests on, and is replaced by the variants of docs/proxies.md."""

_ORIGIN = '        #"https://app.example.com" $http_origin;\n'
_KEPT = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def require() -> None:
    """Skip the test where no nginx is installed; fail it in CI (CI=true), which has to have one."""
    if shutil.which("nginx", path=_PATH) is None:
        sentence = "nginx is not installed: `apt-get install nginx-light` brings it"
        pytest.fail(sentence) if os.environ.get("CI") == "true" else pytest.skip(sentence)


def variant(name: str) -> str:
    """The block of code of this name in docs/proxies.md."""
    (block,) = re.findall(rf"<!-- {name} -->\n```\w+\n(.*?)```", (DOCS / "proxies.md").read_text(), re.DOTALL)
    return str(block)


@contextmanager
def proxying(
    directory: Path, *instances: int, origins: Sequence[str] = (), changes: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run nginx in front of the instances that listen on these ports, and yield its own port.

    Its configuration is the shipped one but for addresses, places of files, the `origins` of pages that may read its
    answers, and `changes`: what is there by what is to be there.
    """
    require()
    port = free_port()
    text = SHIPPED.read_text()
    (line,) = re.findall(r"^ +server 127\.0\.0\.1:8000.*\n", text, re.MULTILINE)
    upstream = "".join(line.replace(":8000", f":{instance}") for instance in instances)
    ours = {"listen 80;": f"listen {LOOPBACK}:{port};", line: upstream}
    ours[_ORIGIN] = "".join(_ORIGIN.replace("#", "").replace("https://app.example.com", one) for one in origins)
    for shipped, here in {**ours, **(changes or {})}.items():
        assert shipped in text
        text = text.replace(shipped, here)
    places = "".join(f"    {name}_temp_path {directory}/{name};\n" for name in _KEPT)
    (directory / "nginx.conf").write_text(text.replace("http {\n", f"http {{\n{places}", 1))
    user = "user root; " if os.geteuid() == 0 else ""
    command = [str(shutil.which("nginx", path=_PATH)), "-p", directory, "-c", "nginx.conf", "-e", "stderr"]
    command += ["-g", f"{user}daemon off; pid {directory}/nginx.pid; error_log stderr;"]
    with ServerProcess(command, logs=directory, name="nginx", cwd=directory) as nginx:
        nginx.wait_for_port(port)
        yield port
