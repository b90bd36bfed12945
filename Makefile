# `make test` on a fresh clone installs everything into .venv and runs what CI runs. `make help` lists the rest.

PYTHON ?= python3
VENV   ?= .venv
# A fixed number of threads: tests neither crowd a shared machine nor depend on how many cores it has.
OMP_NUM_THREADS ?= 2
MKL_NUM_THREADS ?= $(OMP_NUM_THREADS)
export OMP_NUM_THREADS MKL_NUM_THREADS

PY    := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install lint test slow slow-kill bench results clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## a virtual environment in .venv with the tested versions of everything

# One pip call, so that the constraint on torch holds for every package that asks for torch.
$(STAMP): pyproject.toml constraints.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	@touch $@

lint: install  ## ruff (lint and format) and mypy (the method)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

test: lint  ## lint, then the fast tests: what CI runs
	$(PY) -m pytest

slow: install  ## the tests that take minutes, but for the kills
	$(PY) -m pytest -m slow -k 'not kill'

slow-kill: install  ## runs killed at random moments and resumed to the same bits
	LUNG_SRAD_RESULTS=1 $(PY) -m pytest -m slow -k kill

bench: install  ## every script of benchmarks/; each writes its own result page
	@set -e; for script in $(filter-out benchmarks/results.py,$(wildcard benchmarks/[a-z]*.py)); do echo "== $$script"; $(PY) $$script; done

results: install  ## docs/results.md from ICBHI recordings: make results DATA=PATH
	@test -n "$(DATA)" || { echo "error: DATA is empty; it is the folder of the ICBHI recordings; make results DATA=PATH" >&2; exit 2; }
	$(PY) benchmarks/results.py --data "$(DATA)"

clean:  ## removes .venv and every cache of the tools; runs and feature caches stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
