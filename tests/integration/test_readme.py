"""The README is true: its tour, run against a real `todo serve`, prints what it says."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path

from servers.todo import TODO, Served, environment
from todo_app.settings.table import rows

README = Path(__file__).parents[2] / "README.md"


def tour():
    """Each command of the tour with the output that the README shows for it."""
    text = README.read_text()
    section = text[text.index("<!-- tour -->") : text.index("## Settings")]
    for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL):
        lines = block.splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("$ ")] + [len(lines)]
        for start, end in pairwise(starts):
            yield lines[start].removeprefix("$ "), "\n".join(lines[start + 1 : end])


def test_the_tour_prints_what_the_readme_says_after_the_printed_line_and_once_again(tmp_path):
    steps = [*tour(), *tour()]
    assert len(steps) >= 28
    with Served(tmp_path) as served:
        printed_line = next(line for line in served.process.stdout.splitlines() if line.startswith("curl "))
        pasted = subprocess.run(["bash", "-c", printed_line], capture_output=True, text=True, timeout=60, check=True)
        assert pasted.stdout.startswith("HTTP/1.1 201")
        script = ["shopt -s expand_aliases", "set -o pipefail"]
        for command, _ in steps:
            here = command.replace("http://127.0.0.1:8000", served.origin).replace(".venv/bin/todo", str(TODO))
            script += [here, "echo", "echo =====", ""]
        ran = subprocess.run(
            ["bash"],
            input="\n".join(script),
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    printed = [output.strip() for output in ran.stdout.split("=====")[:-1]]
    assert len(printed) == len(steps), ran.stderr
    for (command, promised), output in zip(steps, printed, strict=True):
        pattern = re.escape(promised).replace("…", '[^"]+')
        assert re.fullmatch(pattern, output.replace("\r", "")), f"{command}\nprinted {output}\nnot    {promised}"


def test_the_readme_has_the_table_of_settings():
    section = README.read_text().split("## Settings")[1].split("##")[0]
    shown = [line for line in section.splitlines() if line.startswith("| `")]
    table = [
        f"| {', else '.join(f'`{variable}`' for variable in row.variables)} | {row.default} | {row.help} |"
        for row in rows().values()
    ]
    assert shown == table, "\n".join(["the table is now:", *table])
