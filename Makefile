# The README's two commands are `make demo` and `make test`; both set up .venv first if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROOMS := streams stats stfm adapt causal drivers registry benchmarks flows

# Installed, the rooms are one package; a tree of links shows a checkout to mypy and pytest in the same way.
build/rooms/terracast: terracast Makefile
	@mkdir -p $@ && for name in terracast/*.py terracast/py.typed; do ln -sfn $(CURDIR)/$$name $@/; done && \
	  for room in $(ROOMS); do ln -sfn $(CURDIR)/$$room $@/$$room; done && touch $@

.PHONY: setup demo test test-unit test-all lint audit docs docs-tables clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,docs]'
	@find $(ROOMS) -name '*.nb[ci]' -delete  # compiled under the names that modules had before
	@touch $@

demo: setup
	$(BIN)/terracast demo

docs: setup build/rooms/terracast
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo build/site/index.html

docs-tables: setup  # the option tables of docs/guide, from the command itself; what is understood of files, from tests
	$(BIN)/python docs/tools/option_tables.py
	$(BIN)/python docs/tools/understood_table.py

lint: setup build/rooms/terracast
	$(BIN)/ruff check .
	$(BIN)/mypy

audit: setup  # known flaws of the packages pinned; needs the network, so no part of `make test`
	@$(BIN)/python -c 'import pip_audit' 2> /dev/null \
	  || { echo "pip-audit is not installed; install it with: $(BIN)/python -m pip install pip-audit"; exit 1; }
	$(BIN)/python -m pip_audit --local --skip-editable

# File by file, in the order of tests/conftest.py: the longest first.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test: lint
	$(PYTEST) -m 'not slow'

UNIT := tests/adapt tests/causal tests/drivers tests/stfm tests/streams tests/test_house.py tests/test_examples.py

test-unit: setup build/rooms/terracast  # about a minute: the algorithms and the doctests, no service
	$(PYTEST) -m 'not slow and not integration' $(UNIT)

test-all: lint
	$(PYTEST)

clean:
	rm -rf $(VENV) build *.egg-info terracast-demo
