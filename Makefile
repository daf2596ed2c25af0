# Everything installs itself into .venv, pinned by constraints.txt. Two commands to know: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint types docs clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(INSTALLED) ## render parts, train, evaluate: ends with the path of a report
	$(BIN)/cobnut demo --out demo

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest

lint: $(INSTALLED) ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED) ## check types, strictly
	$(BIN)/mypy

docs: $(INSTALLED) ## draw the pictures of the documentation and build its site
	$(BIN)/python docs/draw_pictures.py
	$(BIN)/mkdocs build --strict --quiet

clean: ## remove what was installed and built
	rm -rf .venv site demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
