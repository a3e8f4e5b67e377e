# Needs Python 3.11 or newer, and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder
MEASURED := $(addprefix tests/drills/test_,$(addsuffix .py,hostile_valid many_streams overload timing))
EXAMPLES := tests/unit tests/http/test_http_routes.py $(addprefix tests/integration/test_,$(addsuffix .py,devices query_parity))

.DEFAULT_GOAL := help
# Without bytecode, every start compiles the service again, and every test run compiles the tests.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help run demo test drills drills-short bench growth lint check format audit lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/run-installed ## serve on http://127.0.0.1:8000, tasks in todo.db
	@$(BIN)/todo serve

demo: .venv/run-installed ## serve the example page for two users, with its own service: examples/web
	@$(BIN)/python examples/web/demo.py

test: .venv/dev-installed ## test every rule: before a commit; the tests bring their own PostgreSQL
	@$(PYTEST) -n auto

drills: .venv/dev-installed ## break processes, networks and deployments, at length: before a release
	@TODO_DRILLS=long $(BIN)/python -m pytest tests/drills
	@TODO_DRILLS=long $(PYTEST) -n auto $(EXAMPLES)
	@TODO_DRILLS=long TODO_TEST_APIS=sqlite $(BIN)/python -m pytest tests/http/test_schemathesis.py
	@TODO_TEST_APIS="sqlite postgres pgbouncer" $(PYTEST) -n auto tests/http

drills-short: .venv/dev-installed ## run each drill once that is not marked long, as CI does; those that measure run last and alone
	@$(PYTEST) -n 4 -m "not long" tests/drills $(MEASURED:%=--ignore=%)
	@$(BIN)/python -m pytest -m "not long" $(MEASURED)

bench: .venv/bench-installed ## compare the service with similar ones, in at most ten minutes; writes docs/benchmarks
	@$(BIN)/python -m benchmarks

growth: .venv/dev-installed ## compare ten million tasks with ten thousand; memory and start; at most fifteen minutes, 10 GB of disk
	@$(BIN)/python -m benchmarks.growth

lint: .venv/dev-installed ## check format, lint and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/mypy examples/python/folder_store.py
	$(BIN)/mypy examples/web/demo.py
	$(BIN)/mypy examples/clients/tasks.py

check: lint ## lint, and check imports, the migrations' SQL and security
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src
	@echo "squawk: the SQL of every migration"
	@$(BIN)/todo migrate --sql --database-url postgresql://nowhere/todo | $(BIN)/squawk
	@echo "members: every table of a task's members is complete"
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/unit/test_members.py

format: .venv/dev-installed ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

audit: .venv/dev-installed ## check the locked packages against known advisories (needs the network)
	$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements.txt

lock: ## update the lock files to the newest versions that fit
	$(PYTHON) -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv
	.venv/lock/bin/uv pip compile $(COMPILE) --group build pyproject.toml --output-file requirements.txt
	.venv/lock/bin/uv pip compile $(COMPILE) --group dev pyproject.toml --output-file requirements-dev.txt
	.venv/lock/bin/uv pip compile $(COMPILE) --group bench --output-file requirements-bench.txt
	.venv/lock/bin/uv pip compile $(COMPILE) --group generators --output-file tests/drills/generated_clients/requirements.txt

COMPILE := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	--custom-compile-command 'make lock'

clean: ## remove the virtual environment and every cache
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 run"; exit 1; }
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run-installed: .venv/python requirements.txt pyproject.toml
	@echo "installing (only this time), about half a minute"
	@$(PIP) install --quiet --require-hashes --requirement requirements.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev-installed: .venv/run-installed requirements-dev.txt
	@echo "installing the packages of the tests (only this time), about half a minute"
	@$(PIP) install --quiet --require-hashes --requirement requirements-dev.txt
	@touch $@

# In a separate environment, so that the service is measured with its users' packages only.
.venv/bench-installed: .venv/dev-installed requirements-bench.txt
	@echo "installing the packages of the benchmark (only this time), about half a minute"
	@$(PYTHON) -m venv .venv/bench
	@.venv/bench/bin/pip --disable-pip-version-check install --quiet --require-hashes --requirement requirements-bench.txt
	@touch $@
