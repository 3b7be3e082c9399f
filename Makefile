# make demo   export the bundled model for a Cortex-M4, prove it bit-exact, denoise a clip
# make test   formatting, types and the test suite
# make fuzz   the model loader and the process call under libFuzzer, SECONDS=600 each of four
#
# Either sets up its own virtual environment in .venv; nothing is installed system-wide.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

SECONDS ?= 600

.PHONY: demo test test-slow fuzz lint clean

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: lint
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz.targets run $(SECONDS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# PESQ is C that needs Python's headers to build; everything works without it.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "BLSH needs Python 3.10 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[emulation,evaluation,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pesq>=0.0.4' \
		|| echo 'pesq could not be built: PESQ will be left out'
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
