# demo and test need nothing but python3 (3.11 or newer); both install Pserv into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Empty means unset: without cached bytecode every daemon of the tests would compile itself anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check lint generate bench clean

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(VENV)/ready
	$(BIN)/pserv demo

test: $(VENV)/ready
	$(BIN)/python -m compileall -q src
	$(BIN)/python -m pytest -n 4 --dist worksteal

check: lint test

lint: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

generate: $(VENV)/ready
	$(BIN)/python docs/generate.py

bench: $(VENV)/ready
	$(BIN)/python bench/run.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
