"""The examples of a page: commands with the output that the page shows for them, run in a shell beside a real service.

    ```sh
    $ curl -s http://127.0.0.1:8000/health/live
    {"status":"live"}
    ```

In what is shown, `…` stands for anything within a line, and a line that is only `…` for any number of lines. A command
may go on in the next line after a backslash. Blocks of other languages, and blocks without `$`, are not run.
"""

import re
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from servers.todo import environment

_END = "===== end of the example ====="


class Example(NamedTuple):
    """One command and the output that is shown for it."""

    command: str
    shown: str


def examples(text: str) -> list[Example]:
    """Every example in a piece of a page, in order."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        lines = block.replace("\\\n", "\\\0").splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("$ ")] + [len(lines)]
        for start, end in pairwise(starts):
            command = lines[start].removeprefix("$ ").replace("\\\0", "\\\n")
            found.append(Example(command, "\n".join(lines[start + 1 : end])))
    return found


def mistakes(shown: list[Example], *, directory: Path, replaced: Callable[[str], str]) -> list[str]:
    """Run the examples in one shell in a directory, and return what differs from what is shown.

    `replaced` makes of a command as the page has it the one to run here.
    """
    script = ["shopt -s expand_aliases", "set -o pipefail"]
    for command, _ in shown:
        script += [replaced(command), "echo", f"echo '{_END}'"]
    ran = subprocess.run(
        ["bash"],
        input="\n".join([*script, ""]),
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    printed = [output.strip() for output in ran.stdout.replace("\r", "").split(_END)[:-1]]
    assert len(printed) == len(shown), ran.stderr
    return [
        f"{command}\nprinted {output}\nnot     {promised}"
        for (command, promised), output in zip(shown, printed, strict=True)
        if not _alike(promised, output)
    ]


def _alike(promised: str, output: str) -> bool:
    lines = [
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*?") + r"\n" for line in promised.split("\n")
    ]
    return re.fullmatch("".join(lines), output + "\n") is not None
