# Every target sets up what it needs: a virtual environment from the lock file, nothing outside of it.
#
#   make verify                     apply the migrations, and try them as everybody
#   make test                       all tests, rolecall's own too
#   make proof                      break the schema in every way known; a test has to notice each
#   make oracle                     each cell also as a request, committed in a database of its own
#   make torture                    kill it, feed it nonsense, attack it for 20 minutes; ARGS="--minutes 5" for less
#   make bench                      measure it beside pgTAP, pytest-postgresql and the bare statements
#   make test ARGS="--rolecall-pg 16 -k anon"  … with options of pytest

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BIN := $(VENV)/bin
PYTEST := "$(BIN)/python" -m pytest -n 2

.PHONY: help verify test proof oracle torture bench shuffle matrix lint format lock clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

verify: $(VENV)/suite
	@$(PYTEST) -q tests/policies tests/constraints tests/functions tests/views tests/migrations tests/attacks tests/races $(ARGS)

test: $(VENV)/suite
	@$(PYTEST) --rolecall-coverage $(ARGS)

proof: $(VENV)/suite
	@$(PYTEST) -q --rolecall-mutants tests/policies tests/constraints tests/functions tests/views tests/migrations tests/defects $(ARGS)

oracle: $(VENV)/suite
	@$(PYTEST) -q --rolecall-oracle tests/policies tests/rolecall/test_awkward_schemas.py $(ARGS)

# What docs/reliability.md promises, tried; ARGS="kills --minutes 3" for one experiment alone.
torture: $(VENV)/dev
	@"$(BIN)/python" -m reliability $(ARGS)

# BENCH="checks start" runs these two alone.
bench: $(VENV)/dev
	@"$(BIN)/python" -m benchmarks $(BENCH)

# Any order, several times over.
shuffle: $(VENV)/dev
	@for seed in 1 2 3; do $(PYTEST) -q -p randomly --randomly-seed=$$seed $(ARGS) || exit 1; done

# Both versions under both regimes of default grants.
matrix: $(VENV)/suite
	@for pg in 16 18; do for grants in strict permissive; do \
	  $(PYTEST) -q --rolecall-pg $$pg --rolecall-default-privileges $$grants $(ARGS) || exit 1; done; done

lint: $(VENV)/dev
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"
	"$(BIN)/squawk" migrations/phase_*/[0-9]*.sql

format: $(VENV)/dev
	"$(BIN)/ruff" format .
	"$(BIN)/ruff" check --fix .

lock: $(VENV)/dev
	"$(BIN)/uv" pip compile -q --upgrade $(LOCK) --group suite -o requirements.lock
	"$(BIN)/uv" pip compile -q --upgrade $(LOCK) --group dev -o requirements-dev.lock
LOCK := pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url

clean:
	rm -rf .venv .rolecall .hypothesis .mypy_cache .ruff_cache .pytest_cache

# ------------------------------------------------------------------ the environment

$(VENV)/suite: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rolecall needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv "$(VENV)" || \
	  { echo "this Python cannot make a virtual environment: on Debian and Ubuntu, install python3-venv"; exit 1; }
	@"$(BIN)/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@"$(BIN)/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch "$@"

$(VENV)/dev: $(VENV)/suite requirements-dev.lock
	@"$(BIN)/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch "$@"
