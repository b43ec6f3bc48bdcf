# Each target first installs what it needs into $(VENV), from the lock files. Nothing outside this folder changes.
# `make help` prints the sentence after ## of each target, and fails if a target has none.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BENCH ?=
LEAGUE ?=
BIN := $(VENV)/bin
PYTEST := "$(BIN)/python" -m pytest -n 2

# Folders of tests. The suite of the migrations is everything in tests/ but the first three.
ROLECALL := tests/rolecall
DEFECTS := tests/defects
TYPES := tests/types
# These tests create databases of their own, so a mutant in the usual database does not reach them. tests/conditions is
# about the world: a condition that a mutant leaves out decides no more.
OWN_DATABASES := tests/attacks tests/conditions tests/drift tests/races tests/features tests/migrations_export tests/monitor

# pytest says nothing about an --ignore of a folder that does not exist, and would run too many tests.
ignore = $(foreach folder,$(1),$(if $(wildcard $(folder)),--ignore=$(folder),$(error the Makefile names $(folder), which does not exist)))

# What $(TYPES) needs: Node.js, and npm's packages. $(RUN) calls either by its name.
NODE := $(VENV)/node types/node_modules/.package-lock.json
RUN := "$(BIN)/python" -m tests.types.node
# What the tests of the HTML page need: Playwright, axe-core, and a Chromium where none is installed.
BROWSER := $(VENV)/browser tests/browser/node_modules/.package-lock.json

.DEFAULT_GOAL := help
# No target is a file. `docs` and `benchmarks` are also folders, which make would take for the result.
.PHONY: $(shell sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## Show this list.
	@awk -F : '/^[a-z][a-z-]*:/ { \
	    name = $$1; \
	    if (!sub(/.*## /, "")) { print "Makefile:" FNR ": " name " has no sentence after ##" > "/dev/stderr"; failed = 1 } \
	    printf "  make %-8s  %s\n", name, $$0 \
	  } END { exit failed }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'ARGS has more options for pytest, or for reliability in `make torture`; BENCH has the names of benchmarks:'
	@echo '  make verify ARGS="--rolecall-pg 16 -k anon"'
	@echo '  make torture ARGS="kills --minutes 3"'
	@echo '  make bench BENCH="checks start"'
	@echo '  make league LEAGUE="--limit 3 --tools Lint Grids"'
	@echo '  make types APP=/path/to/app    also lists the new type errors of an application, by table, view and function'

# ------------------------------------------------------------------ tests

verify: $(VENV)/suite ## Apply the migrations and test them as every persona (six minutes).
	@$(PYTEST) -q $(call ignore,$(ROLECALL) $(DEFECTS) $(TYPES)) $(ARGS)

test: $(VENV)/suite $(NODE) $(BROWSER) ## Run all tests, and fail if something in the schema is not covered.
	@$(PYTEST) --rolecall-coverage $(ARGS)

# The page is there after failed tests, too. Options that both commands need go into the environment: ROLECALL_PG=16.
report: $(VENV)/suite ## Run the tests of `make verify`, and write who can do what as one page: .rolecall/report/report.html.
	@$(PYTEST) -q --rolecall-report .rolecall/report $(call ignore,$(ROLECALL) $(DEFECTS) $(TYPES)) $(ARGS); status=$$?; \
	  if [ $$status -gt 1 ]; then exit $$status; fi; \
	  "$(BIN)/python" -m rolecall report .rolecall/report && exit $$status

mutants: $(VENV)/suite ## Run mutation testing on the schema, and fail if its behaviour does not show a mutant (an hour).
	@$(PYTEST) -q --rolecall-mutants $(call ignore,$(ROLECALL) $(TYPES) $(OWN_DATABASES)) $(ARGS)

oracle: $(VENV)/suite ## Compare every cell of the grids with a committed request (two minutes).
	@$(PYTEST) -q --rolecall-oracle tests/policies $(ROLECALL)/grids/test_awkward_schemas.py $(ARGS)

matrix: $(VENV)/suite $(NODE) $(BROWSER) ## Run all tests on PostgreSQL 16, 17 and 18, with default privileges revoked and granted.
	@for pg in 16 17 18; do for privileges in revoked granted; do \
	  $(PYTEST) -q --rolecall-pg $$pg --rolecall-default-privileges $$privileges $(ARGS) || exit 1; done; done

# All of them are active, also those that pyproject.toml switches off.
BESIDE := pytest-django pytest-randomly pytest-cov pytest-asyncio pytest-timeout pytest-mock
beside: $(VENV)/suite ## Run `make verify` with the wheel, beside six other plugins that are downloaded for it.
	@rm -rf "$(VENV)/wheel" && "$(BIN)/python" -m pip wheel -q --no-deps --no-build-isolation -w "$(VENV)/wheel" .
	@$(PYTHON) -m venv --clear "$(VENV)/beside"
	@"$(VENV)/beside/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@"$(VENV)/beside/bin/python" -m pip install -q --disable-pip-version-check "$(VENV)"/wheel/*.whl $(BESIDE)
	@"$(VENV)/beside/bin/python" -m pytest -n 2 -q -o addopts="--strict-config --import-mode=importlib -p pytester" \
	  $(call ignore,$(ROLECALL) $(DEFECTS) $(TYPES)) $(ARGS)

shuffle: $(VENV)/dev $(NODE) $(BROWSER) ## Run all tests three times, each time in another random order.
	@for seed in 1 2 3; do $(PYTEST) -q -p randomly --randomly-seed=$$seed $(ARGS) || exit 1; done

torture: $(VENV)/dev ## Try what docs/reliability.md promises: killed runs, bad input, attacks (20 minutes).
	@"$(BIN)/python" -m reliability $(ARGS)

bench: $(VENV)/dev ## Measure rolecall against pgTAP, pytest-postgresql and plain statements (a quarter of an hour).
	@"$(BIN)/python" -m benchmarks $(BENCH)

league: $(VENV)/dev $(VENV)/league/installed league/node_modules/.package-lock.json ## Run rolecall, pgrls, splinter, rlsautotest and pgTAP on the same broken schemas (20 minutes).
	@"$(BIN)/python" -m league $(LEAGUE)

# ------------------------------------------------------------------ the migrations for others

# APP is the folder of an application; DATE, in the form 20261129, is the date of the timestamps.
supabase-migrations: $(VENV)/suite ## Write the steps as supabase/migrations/<timestamp>_<step>.sql of APP=/path/to/app.
	@"$(BIN)/python" scripts/supabase_migrations.py $(if $(APP),--app "$(APP)") $(if $(DATE),--date "$(DATE)")

# ------------------------------------------------------------------ TypeScript

types: $(VENV)/suite $(NODE) ## Generate types/database.types.ts, fail if it has changed, and compile what uses it.
	@UPDATE_TYPES=1 "$(BIN)/python" -m pytest -q $(TYPES) $(ARGS)
# A variable APP of the environment has probably another meaning.
ifeq ($(origin APP),command line)
	@$(RUN) node types/app/main.ts "$(APP)" $(if $(APP_TYPES),"$(APP_TYPES)")
endif

# ------------------------------------------------------------------ checks and files

lint: $(VENV)/dev ## Check the format, the types, the imports, the migrations, the workflows and this Makefile.
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/python" -m mypy
	"$(BIN)/lint-imports"
	"$(BIN)/squawk" migrations/phase_*/[0-9]*.sql
	"$(BIN)/actionlint" -shellcheck= -pyflakes= .github/workflows/*.yml
	@$(MAKE) -s help > /dev/null

format: $(VENV)/dev ## Format the Python files, and repair what ruff can repair.
	"$(BIN)/ruff" format .
	"$(BIN)/ruff" check --fix .

docs: $(VENV)/dev ## Build the site of the documentation into site/, and fail at a warning.
	"$(BIN)/python" -m mkdocs build --strict

lock: $(VENV)/dev $(VENV)/node ## Update the lock files to the newest versions that pyproject.toml and package.json allow.
	"$(BIN)/uv" pip compile -q --upgrade $(LOCK) --group suite -o requirements.lock
	"$(BIN)/uv" pip compile -q --upgrade $(LOCK) --group dev -o requirements-dev.lock
	"$(BIN)/uv" pip compile -q --upgrade $(filter-out pyproject.toml,$(LOCK)) --group types -o requirements-types.lock
	"$(BIN)/uv" pip compile -q --upgrade $(filter-out pyproject.toml,$(LOCK)) --group browser -o requirements-browser.lock
	$(RUN) npm --prefix types update --package-lock-only
	$(RUN) npm --prefix tests/browser update --package-lock-only
	"$(BIN)/uv" pip compile -q --upgrade league/requirements.txt $(filter-out pyproject.toml,$(LOCK)) \
	  -o league/requirements.lock
	$(RUN) npm --prefix league update --package-lock-only
LOCK := pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url

clean: ## Remove the environment and everything that the targets wrote, but not the samples of benchmarks.
	rm -rf .venv .rolecall .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist site \
	  types/node_modules tests/browser/node_modules league/node_modules

# ------------------------------------------------------------------ the environment

$(VENV)/suite: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rolecall needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv "$(VENV)" || \
	  { echo "this Python cannot create a virtual environment: on Debian and Ubuntu, install python3-venv"; exit 1; }
	@"$(BIN)/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@"$(BIN)/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch "$@"

$(VENV)/dev: $(VENV)/suite requirements-dev.lock
	@"$(BIN)/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch "$@"

# The Node.js of PATH, if it is new enough and has npm; otherwise the one in a wheel.
$(VENV)/node: $(VENV)/suite requirements-types.lock types/package.json
	@$(RUN) node --version > /dev/null 2>&1 || \
	  "$(BIN)/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements-types.lock
	@touch "$@"

types/node_modules/.package-lock.json: types/package.json types/package-lock.json types/.npmrc | $(VENV)/node
	@$(RUN) npm --prefix types ci --loglevel=error > /dev/null || \
	  { echo "npm cannot install the packages of types/package-lock.json: is its registry reachable? npm ping tells."; exit 1; }
	@touch "$@"

$(VENV)/browser: $(VENV)/suite requirements-browser.lock
	@"$(BIN)/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements-browser.lock
	@touch "$@"

# A Chromium is downloaded (60 MB) only where none is installed.
INSTALLED := $(shell command -v google-chrome google-chrome-stable chromium chromium-browser 2> /dev/null)
tests/browser/node_modules/.package-lock.json: tests/browser/package.json tests/browser/package-lock.json tests/browser/.npmrc | $(VENV)/node
	@$(RUN) npm --prefix tests/browser ci --loglevel=error $(if $(INSTALLED),--omit=optional) > /dev/null || \
	  { echo "npm cannot install the packages of tests/browser/package-lock.json: is its registry reachable? npm ping tells."; exit 1; }
	@touch "$@"

# The tools of the league have an environment of their own: nothing imports them.
$(VENV)/league/installed: league/requirements.lock
	@$(PYTHON) -m venv --clear "$(VENV)/league"
	@"$(VENV)/league/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r league/requirements.lock
	@touch "$@"

league/node_modules/.package-lock.json: league/package.json league/package-lock.json league/.npmrc | $(VENV)/node
	@$(RUN) npm --prefix league ci --loglevel=error > /dev/null || \
	  { echo "npm cannot install the packages of league/package-lock.json: is its registry reachable? npm ping tells."; exit 1; }
	@touch "$@"
