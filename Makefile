# What a newcomer types. `make` alone lists it.

PYTHON ?= python3
UV_VERSION = 0.13.9
VENV = .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.set-up
PYTEST = $(BIN)/python -m pytest

# Set, every command that a test starts would compile the whole application for itself.
unexport PYTHONDONTWRITEBYTECODE

NEEDS_PYTHON = import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Portbook needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make setup PYTHON=python3.12")
NEEDS_VENV = import ensurepip, venv

.DEFAULT_GOAL := help
.PHONY: help setup demo test browser serve check bench measure lock format clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## Make .venv with the locked dependencies and the command .venv/bin/portbook

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here: install Python 3.11 or newer, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c '$(NEEDS_PYTHON)'
	@$(PYTHON) -c '$(NEEDS_VENV)' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv), then try again" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	@touch $(STAMP)

demo: setup ## Show the main job on a simulated fleet; stays until Ctrl-C
	$(BIN)/portbook demo

serve: setup ## Run the real, empty service with its data in portbook-data/
	$(BIN)/portbook serve

test: setup ## Run the tests; they start a PostgreSQL of their own. ARGS="…" goes to pytest
	$(PYTEST) -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(ARGS)

browser: setup ## Run the tests that look at pages, with a real server and an installed Chromium
	$(PYTEST) tests/browser

check: setup ## Lint, types, import contracts, packs, migrations, rules of the house
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/portbook packs check
	$(PYTEST) -q tests/house tests/migrations

measure: setup ## Judge labelled recordings beside what one could use instead: make measure RECORDINGS=FOLDER
	$(BIN)/python -m tests.measures $(RECORDINGS)

bench: setup ## Measure intake and judging on this machine
	$(BIN)/python -m tests.bench

format: setup ## Format the code, mend what the linter can mend, write the tables of docs/settings, tuning, access, audit
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python -m tests.house.settings_page
	$(BIN)/python -m tests.house.knobs_page
	$(BIN)/python -m tests.house.access_page
	$(BIN)/python -m tests.house.actions_page

lock: setup ## Resolve requirements.lock anew from pyproject.toml, for all platforms, with hashes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header \
		--group dev --output-file requirements.lock pyproject.toml

clean: ## Remove .venv and caches; data folders stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis portbook.egg-info build
	find app tests migrations -name __pycache__ -prune -exec rm -rf {} +
