# Two commands matter to a newcomer: `make run` and `make test`. Each sets up all it needs.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.installed
WORKERS ?= 2

.PHONY: help install run test check format lock bench bench-stream bench-evaluate schema clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -e 's/:.*##/\t/' | expand -t 18

install: $(STAMP) ## prepare .venv with the locked dependencies

$(STAMP): requirements/dev.txt pyproject.toml sdk_protocol/pyproject.toml sdk_python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Halyard needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@sh requirements/make-venv $(PYTHON) $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e sdk_protocol -e sdk_python -e .
	@touch $@

run: $(STAMP) ## start Halyard with its own PostgreSQL and Valkey (data in ./.halyard)
	@exec $(BIN)/halyard dev

test: $(STAMP) ## run the whole test suite
	@$(BIN)/python -m pytest -n $(WORKERS) --dist=loadfile --no-loadscope-reorder

check: $(STAMP) ## lint, types, dependency rule, spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/codespell

format: $(STAMP) ## format the code and apply safe lint fixes
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

lock: $(STAMP) ## resolve the locked requirements anew
	@for name in server dev peers; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header requirements/$$name.in -o requirements/$$name.txt; done

bench: $(STAMP) ## measure, each figure beside its floor
	@$(BIN)/python -m benchmarks

bench-stream: $(STAMP) ## measure the stream at its limits (forty minutes)
	@$(BIN)/python -m benchmarks.stream

bench-evaluate: $(PEERS_STAMP) ## measure evaluation beside other engines
	@$(PEERS)/bin/python -m benchmarks.evaluate

$(PEERS_STAMP): requirements/peers.txt sdk_protocol/pyproject.toml sdk_python/pyproject.toml
	@sh requirements/make-venv $(PYTHON) $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/peers.txt
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e sdk_protocol -e sdk_python
	@touch $@

schema: $(STAMP) ## regenerate sdk_protocol/schema from the types
	@$(BIN)/python -m halyard_protocol.schema sdk_protocol/schema

clean: ## remove the virtual environment and caches (keeps ./.halyard)
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/acceptance/ofrep/node_modules
