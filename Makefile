# Every target makes its own environment in .venv first; nothing is installed by hand.
#   make PYTHON=python3.12 test     another interpreter
#   make WORKERS=8 test             more processes

PYTHON  ?= python3
WORKERS ?= 2
BIN     := .venv/bin
SOURCES := pullback tests tools examples benchmarks

.DEFAULT_GOAL := help
.PHONY: help tour test slow check static format lint types architecture docs \
        examples coverage bench bench-wide fix clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) \
	  | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

tour: .venv/plot.stamp ## Walk through the document, example by example.
	@$(BIN)/python -m examples.tour

test: .venv/dev.stamp ## Run the tests (without the slow ones).
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

slow: .venv/dev.stamp ## Run the slow tests.
	$(BIN)/python -m pytest -n $(WORKERS) -m slow

check: static docs examples test ## Everything a change must pass.

static: format lint types architecture ## What is checked without running the library.

format: .venv/dev.stamp ## Is every file formatted?
	$(BIN)/ruff format --check $(SOURCES)

lint: .venv/dev.stamp ## Does the linter agree?
	$(BIN)/ruff check $(SOURCES)

types: .venv/dev.stamp ## Does the type checker agree?
	$(BIN)/mypy

architecture: .venv/dev.stamp ## Layers, sizes, docstrings, globals.
	$(BIN)/python -m pytest -q tests/test_architecture.py

docs: .venv/dev.stamp ## Run every example in docstrings and pages.
	$(BIN)/python -m pytest -q --doctest-modules \
	  --doctest-glob='*.md' pullback README.md docs

examples: .venv/dev.stamp ## Run every example program.
	@set -e; for example in examples/*.py; do \
	  if [ -f "$$example" ]; then echo "== $$example"; $(BIN)/python "$$example"; fi; \
	done
	@echo "== examples/tour"; $(BIN)/python -m examples.tour --brief

coverage: .venv/dev.stamp ## Lines and branches covered; the centre entirely.
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" --cov --cov-report=
	$(BIN)/coverage report
	$(BIN)/coverage report --fail-under=100 \
	  --include='pullback/core/*,pullback/transforms/*,pullback/custom/*'

bench: .venv/dev.stamp ## Compare with JAX, autograd and PyTorch.
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.loop_memory

bench-wide: .venv/dev.stamp ## Compare single operations with JAX, PyTorch and NumPy.
	$(BIN)/python -m benchmarks.wide_run

fix: .venv/dev.stamp ## Format the code and mend what the linter can.
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean: ## Remove environments, caches and outputs.
	rm -rf .venv benchmarks/.envs tour_output build dist htmlcov .coverage*
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp per set of extras: `make tour` needs less than `make test`.
.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pullback needs Python 3.11 or newer: make PYTHON=python3.x ...")'
	$(PYTHON) -m venv .venv

.venv/%.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@
