"""What a part of the service loads, seen in an interpreter of its own."""

import json
import subprocess
import sys
from pathlib import Path

import todo_domain

SOURCE = Path(todo_domain.__file__).parents[1]

PROGRAM = """
import json, pkgutil, sys, time
sys.path.insert(0, sys.argv[1])
begun = time.perf_counter()
import todo_domain
seconds = time.perf_counter() - begun
for module in pkgutil.iter_modules(todo_domain.__path__, "todo_domain."):
    __import__(module.name)
print(json.dumps([sorted({name.partition(".")[0] for name in sys.modules}), seconds]))
"""


def test_importing_all_of_the_domain_brings_in_nothing_but_the_standard_library():
    fresh = [sys.executable, "-I", "-S", "-W", "error", "-c", PROGRAM, str(SOURCE)]
    modules, seconds = json.loads(subprocess.run(fresh, check=True, capture_output=True, text=True).stdout)
    assert set(modules) - sys.stdlib_module_names == {"__main__", "todo_domain"}
    assert seconds < 1, "slow enough to notice at every start"


def test_shared_secrets_load_no_http_client():
    program = (
        "import sys, todo_adapters.auth.keys, todo_adapters.auth.verifier; "
        "sys.exit(sorted({'httpx', 'httpcore', 'litestar'} & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
