"""The README is true: its tour, run against a real `todo serve`, prints what it says."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path

from servers.todo import TODO, Served, environment

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


def test_the_tour_prints_what_the_readme_says(tmp_path):
    steps = list(tour())
    assert len(steps) >= 14
    with Served(tmp_path) as served:
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


def test_every_setting_of_the_readme_exists_and_every_setting_is_in_the_readme():
    source = (README.parent / "src/todo_app/settings.py").read_text()
    read = set(re.findall(r'read\("(\w+)"', source))
    section = README.read_text().split("## Settings")[1].split("##")[0]
    assert set(re.findall(r"`((?:TODO_|DATABASE_)\w+)`", section)) == read
