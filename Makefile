# Two commands set everything up: `make demo` and `make test`. Neither needs root.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
ONCE   ?=
FULL   ?=
TESTS  ?= tests
# Most tests wait for real recordings: more of them run at once than there are cores.
JOBS   ?= 2
PACKAGES := chromium ffmpeg faketime fonts-noto-cjk openssl poppler-utils xorriso

.DEFAULT_GOAL := help
.PHONY: help demo test bench chaos lint system-packages lock clean

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# A stamp per lock file: the environment is remade when the lock changes, and left alone otherwise.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; PYTHON=... names another" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@command -v openssl >/dev/null || { echo "openssl is missing; on Debian: apt-get install openssl" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the runtime packages into $(VENV)" >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/runtime.txt
	@$(BIN)/python -m config.develop
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the development packages into $(VENV)" >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m config.develop
	@touch $@ $(VENV)/.runtime

demo: $(VENV)/.runtime ## virtual cameras, one booked window, seal, search, export, verify (ONCE=1 ends by itself; ARGS="..." go on)
	@$(BIN)/archiver demo $(if $(ONCE),--once --json) $(ARGS)

test: $(VENV)/.dev ## every test that can run here (TESTS=tests/unit for a part)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TESTS) $(ARGS)

lint: $(VENV)/.dev ## style, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.dev ## CPU, memory and latency beside the alternatives, in one run (FULL=1 for the long tables)
	@$(BIN)/python -m tests.bench $(if $(FULL),--full) $(ARGS)

chaos: $(VENV)/.dev ## kill -9 at random moments for ten minutes (CHAOS_SECONDS=60 CHAOS_SEED=... change and repeat it)
	@$(BIN)/python -m pytest tests/fault -m "slow or not slow" $(ARGS)

system-packages: ## programs that some tests need (root; Debian)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES)

lock: $(VENV)/.dev ## remake the lock files from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header pyproject.toml -o requirements/runtime.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header pyproject.toml --group dev -o requirements/dev.txt

clean: ## the virtual environment and caches (never a home folder)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
