# `make demo` runs a small federation on this machine, `make test` checks everything.
# Both set up what they need in .venv; Python 3.11+ is the only thing asked for.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint format types check browser benchmark clean

demo: $(VENV)/.demo
	$(BIN)/locmesh demo $(ARGS)

test: lint types browser
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.test
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The browser tests use the system's Chromium; where it can be installed, it is.
browser: $(VENV)/.test
	@sh .ci/chromium

benchmark: $(VENV)/.benchmark
	$(BIN)/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Locmesh needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install -q -e .
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install -q -e '.[test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.benchmark: $(VENV)/.test
	$(BIN)/python -m pip install -q -e '.[test,benchmark]'
	@touch $@
