# Two commands: `make demo` shows the product, `make test` proves it. Each sets up .venv by itself.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
# One more than there are cores: many tests wait for real servers.
WORKERS := $(shell expr `getconf _NPROCESSORS_ONLN` + 1)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check fix bench house mutants pictures clean

demo: .venv/runtime.stamp
	$(BIN)/auth0-check demo $(ARGS)

# What runs whole programs or plays whole outages is not traced: that would take twice as long.
WHOLE := tests/cli tests/crashes tests/demo tests/live tests/stories
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

test: check
	$(PYTEST) --cov --cov-report=term:skip-covered $(addprefix --ignore ,$(WHOLE))
	$(PYTEST) $(WHOLE)

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fix: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev.stamp
	$(BIN)/python -m tests.bench $(ARGS)

house: .venv/dev.stamp
	$(BIN)/python -m tests.house.measure $(ARGS)

mutants: .venv/dev.stamp
	$(BIN)/python -m tests.mutants.play $(ARGS)

pictures: .venv/dev.stamp
	$(BIN)/python -m tests.pictures

.venv/runtime.stamp: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("auth0-check needs Python 3.11 or newer: make PYTHON=python3.x" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --editable .
	touch $@

.venv/dev.stamp: .venv/runtime.stamp tests/requirements.lock
	$(PIP) install --require-hashes -r tests/requirements.lock
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .coverage build dist
