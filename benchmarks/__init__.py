"""What `make bench` and `make growth` run: the service beside others that do the same work, measured in turn."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The checkout."""

# The PostgreSQL server that the tests bring serves here as well.
if (_tests := str(ROOT / "tests")) not in sys.path:
    sys.path.append(_tests)
