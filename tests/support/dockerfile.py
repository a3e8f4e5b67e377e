"""The Dockerfile as its instructions."""

import re
import shlex
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def dockerfile():
    """Each instruction with its arguments, comments dropped and continued lines joined."""
    text = re.sub(r"^#.*\n", "", (CHECKOUT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line]


def sources():
    """What is copied from the checkout."""
    copies = [shlex.split(rest) for word, rest in dockerfile() if word == "COPY" and not rest.startswith("--from")]
    return {source for *given, _ in copies for source in given}
