# Everything installs itself into .venv, pinned by constraints.txt. Two commands to know: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin
TEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable

.DEFAULT_GOAL := help
.PHONY: help demo test test-long lint types docs bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.train: pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(INSTALL) '.[train]'
	touch $@

.venv/.dev: .venv/.train
	$(INSTALL) '.[dev]'
	touch $@

demo: .venv/.train ## render parts, train, evaluate: ends with the path of a report
	$(BIN)/cobnut demo --out demo

test: .venv/.dev ## run the tests, but those that take minutes each
	$(TEST) -m 'not long' --numprocesses auto --dist loadfile

test-long: .venv/.dev ## run those: a cluster, killed runs, a fresh environment
	$(TEST) -m long

lint: .venv/.dev ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev ## check types, strictly
	$(BIN)/mypy

docs: .venv/.dev ## draw the pictures of the documentation and build its site
	$(BIN)/python docs/draw_pictures.py
	$(BIN)/mkdocs build --strict --quiet

# DATA="photos/bottle photos/screw" takes those folders in place of rendered parts.
bench: .venv/.dev ## measure against anomalib, the runtime and the batch: tables in benchmarks/results
	$(BIN)/python benchmarks/against_anomalib.py $(DATA)
	$(BIN)/python benchmarks/runtime.py
	$(BIN)/python benchmarks/batch.py --images 1000 --out benchmarks/results

clean: ## remove what was installed and built
	rm -rf .venv .bench site demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
