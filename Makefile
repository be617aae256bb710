# `make` lists the targets. `make demo` shows the product, `make test` proves it. Each sets up .venv by itself.
PYTHON ?= python3
ARGS ?=
# CI sets this to the oldest pip that a supported Python brings. Empty: the pip that this Python brings.
OLD_PIP ?=
BIN := .venv/bin
# Tests start the bot some hundred times: it is compiled once, also where the machine's default is not to keep that.
export PYTHONDONTWRITEBYTECODE :=
STARTED := $(shell date +%s)
# One more than there are cores: many tests wait for real servers.
WORKERS := $(shell expr `getconf _NPROCESSORS_ONLN` + 1)
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --no-deps --require-hashes
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --upgrade

.DEFAULT_GOAL := help
.PHONY: help demo install test suite faults faults-full soak check fix wheel bench house sbom mutants judge judge-long fit goldens pictures reference lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1 - /p' Makefile | awk -F ' - ' '{ printf "%-16s %s\n", $$1, $$2 }'

demo: .venv/runtime.stamp ## play an outage on a local page; options go into ARGS="..."
	$(BIN)/auth0-check demo $(ARGS)

install: .venv/runtime.stamp ## set up .venv with what the bot needs

test: .venv/dev.stamp ## run the checks and all tests, and print how long they took
	@$(MAKE) --no-print-directory check suite; status=$$?; \
	took=$$((`date +%s` - $(STARTED))); \
	test $$status = 0 && word=passed || word=failed; \
	echo "make test $$word after $$((took / 60)) min $$((took % 60)) s"; \
	exit $$status

# What runs whole programs or plays whole outages is not traced: that would take twice as long.
WHOLE := tests/cli tests/crashes tests/demo tests/faults tests/live tests/stories
# Faults are played in real time, and a busy machine can spoil many: `make faults` plays those.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m 'not faults' $(ARGS)

# A machine that stalls for seconds can spoil a test with real sockets. What failed is run once more, alone:
# what fails again fails the build, and what passes is listed there, because it should not have failed.
AGAIN := $(BIN)/python -m pytest -v --last-failed --last-failed-no-failures none -m 'not faults'

suite: .venv/dev.stamp ## run all tests without the checks
	$(PYTEST) --cov --cov-report=term:skip-covered $(addprefix --ignore ,$(WHOLE)) || \
	    $(AGAIN) --cov --cov-append --cov-report=term:skip-covered $(addprefix --ignore ,$(WHOLE))
	$(PYTEST) $(WHOLE) || $(AGAIN) $(WHOLE)

faults: .venv/dev.stamp ## play each fault that is over in minutes, twice (10 min)
	$(BIN)/python -m pytest -m faults tests/faults
	$(BIN)/python -m tests.faults --tier faults --times 2 $(ARGS)

# What was played is kept in build/faults.jsonl: the next run goes on from there, until `make clean`.
faults-full: .venv/dev.stamp ## play each fault twenty times and each drill thousands of times, and write what came out (hours, or ARGS="--minutes 60")
	$(BIN)/python -m tests.faults --tier full --drills --results build/faults.jsonl --write $(ARGS)

soak: .venv/dev.stamp ## run the bot for an hour with 200 tenants, while all around it fails now and then
	$(BIN)/python -m tests.faults soak $(ARGS)

check: .venv/dev.stamp ## check format, style, types and imports; print known weaknesses of dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.house.dependencies audit

fix: .venv/dev.stamp ## format the code and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: .venv/dev.stamp ## build dist/*.whl, for pipx, uv tool or pip
	$(BIN)/python -m hatchling build --target wheel

bench: .venv/dev.stamp ## measure how fast the bot is beside its goals and Prometheus (ARGS=virtual: that alone)
	$(BIN)/python -m tests.bench $(ARGS)

house: .venv/dev.stamp ## print the measures of the code's structure beside their goals
	$(BIN)/python -m tests.house.measure $(ARGS)

sbom: .venv/runtime.stamp ## write dist/sbom.json: what is installed, with versions, licences and hashes
	$(BIN)/python -m tests.house.dependencies sbom

mutants: .venv/dev.stamp ## break eighty promises one by one, and see which a test notices (20 minutes)
	$(BIN)/python -m tests.mutants.play $(ARGS)

judge: .venv/dev.stamp ## play 5,000 generated worlds and print how often the verdict is right (30 min)
	$(BIN)/python -m tests.judge play $(ARGS)

judge-long: .venv/dev.stamp ## play 200 healthy, noisy months and count alerts (hours)
	$(BIN)/python -m tests.judge months $(ARGS)

fit: .venv/dev.stamp ## fit the numbers of the evidence table to worlds, and write them (5 min)
	$(BIN)/python -m tests.judge.fitting fit $(ARGS)

goldens: .venv/dev.stamp ## write the messages that tests compare, and tests/slack/golden/OVERVIEW.txt, their list
	GOLDEN=write $(BIN)/python -m pytest -q tests/slack/messages tests/slack/test_chart.py tests/stories/test_alerts.py
	GOLDEN=write $(BIN)/python -m pytest -q tests/slack/test_overview.py

pictures: .venv/dev.stamp ## draw the pictures of the pages again
	$(BIN)/python -m tests.pictures

reference: .venv/dev.stamp ## write the tables of the pages that come from the code
	$(BIN)/python -m tests.house.reference

# One lock serves all supported Pythons and systems. uv is not in the locks: only this target needs it.
lock: export UV_CUSTOM_COMPILE_COMMAND := make lock
lock: ## bring all dependencies to their newest versions (needs uv)
	@command -v uv >/dev/null || { echo 'make lock needs uv: pip install uv' >&2; exit 1; }
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --constraints requirements.lock --group dev --output-file tests/requirements.lock pyproject.toml

# --no-deps: pip installs exactly what the lock names. `pip check` then proves that nothing is missing.
.venv/runtime.stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c '' 2>/dev/null || { \
	echo "auth0-check needs Python 3.11 or newer, and there is no $(PYTHON): install it (Debian, Ubuntu: apt install python3 python3-venv)" >&2; \
	exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	version=`$(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'`; \
	echo "auth0-check needs Python 3.11 or newer, and $(PYTHON) is $$version: install a newer one and name it (make test PYTHON=python3.13)" >&2; \
	exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "auth0-check needs the module venv, which $(PYTHON) lacks: install it (Debian, Ubuntu: apt install python3-venv)" >&2; \
	exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(if $(OLD_PIP),$(PIP) install --quiet pip==$(OLD_PIP))
	$(INSTALL) -r requirements.lock
	$(PIP) install --quiet --no-deps --editable .
	$(PIP) check
	touch $@

.venv/dev.stamp: .venv/runtime.stamp tests/requirements.lock
	$(INSTALL) -r tests/requirements.lock
	$(PIP) check
	touch $@

clean: ## remove .venv and all caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .coverage build dist
