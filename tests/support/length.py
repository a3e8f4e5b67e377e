"""How long the drills take: the short form by default, the long form with `TODO_DRILLS=long` (`make drills`)."""

import os

LONG = os.environ.get("TODO_DRILLS") == "long"
