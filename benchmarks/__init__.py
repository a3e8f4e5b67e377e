"""`make bench` and `make growth`: measure the service and similar ones, in turn."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The checkout."""

# The benchmarks use the PostgreSQL server of the tests.
if (_tests := str(ROOT / "tests")) not in sys.path:
    sys.path.append(_tests)
