# make demo: the main job on an example.  make test: everything that CI runs.  Both install what is missing first.
PYTHON := .venv/bin/python
SOURCES := harness tests fuzz

.PHONY: demo test picture setup clean

demo: setup
	@sh scripts/demo.sh

# All three run, whatever the ones before say.
test: setup
	@status=0; \
	$(PYTHON) -m ruff check $(wildcard $(SOURCES)) || status=1; \
	$(PYTHON) -m mypy || status=1; \
	$(PYTHON) -m pytest -n 2 --dist loadgroup tests || status=1; \
	exit $$status

# The picture in README.md, from a real run.
picture: setup
	$(PYTHON) tests/readme_picture.py

setup:
	@sh scripts/setup.sh

clean:
	rm -rf .venv .setup-stamp .pytest_cache .mypy_cache .ruff_cache .hypothesis findings
