# `make check` is everything that has to pass; it is what continuous integration runs.
PYTHON ?= python

.PHONY: check lint types test format

check: lint types test

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

test:
	$(PYTHON) -m pytest -n 2

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
