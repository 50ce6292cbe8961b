# The same targets for people and for CI. Nothing has to be installed before them but Python 3.11+ with venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# An ordinary installation is compiled; an editable one is not where PYTHONDONTWRITEBYTECODE is set, and starts slowly.
COMPILE := $(BIN)/python -m compileall -q src

.PHONY: setup setup-test format check test live demo bench clean
setup: $(VENV)/.installed
setup-test: $(VENV)/.installed-test

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)
$(VENV)/.installed: $(VENV)/bin/pip pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable . && $(COMPILE) && touch $@
$(VENV)/.installed-test: $(VENV)/.installed tools/install-test-needs
	tools/install-test-needs $(BIN) && touch $@

format: setup-test
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .
check: setup-test
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/codespell src tests docs examples tools README.md CHANGELOG.md
test: setup-test
	@$(BIN)/python tools/run-tests
live: setup-test
	@$(BIN)/python tools/run-tests live
demo: setup
	$(BIN)/python examples/demo.py
bench: setup-test
	$(COMPILE) && $(BIN)/python benchmarks/run.py
clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
