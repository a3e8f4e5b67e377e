"""The store of examples/python keeps all of the contract in a project of its own, set up as docs/python.md says."""

import re
from pathlib import Path

import pytest

from support.own_store import passed

PAGE = (Path(__file__).parents[2] / "docs/python.md").read_text()


@pytest.mark.long
def test_the_store_of_the_examples_passes_the_contract_in_a_project_of_its_own(tmp_path):
    (pyproject,) = re.findall(r"<!-- pyproject.toml -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert passed(tmp_path, pyproject) > 300
