# make demo: the main job on an example.  make test: everything that CI runs.  Both install what is missing first.
PYTHON := .venv/bin/python
SOURCES := harness tests fuzz

.PHONY: demo test lint setup clean

demo: setup
	@sh scripts/demo.sh

test: lint
	$(PYTHON) -m pytest -n 2 tests

lint: setup
	$(PYTHON) -m ruff check $(wildcard $(SOURCES))
	$(PYTHON) -m mypy

setup:
	@sh scripts/setup.sh

clean:
	rm -rf .venv .setup-stamp .pytest_cache .mypy_cache .ruff_cache .hypothesis findings
