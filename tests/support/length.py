"""How long a run takes: the short form by default, the long form with `TODO_DRILLS=long` (`make drills`)."""

import os

LONG = os.environ.get("TODO_DRILLS") == "long"


def examples(number: int) -> int:
    """So many examples of Hypothesis; in the long form twenty times as many."""
    return 20 * number if LONG else number
