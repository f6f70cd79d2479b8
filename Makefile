# What a developer runs from the repository root. Everything happens in .venv; nothing is installed elsewhere.
# PYTHON=/path/to/python3 chooses the interpreter, VENV= another folder, ARGS= goes to pytest or to the tool that runs.

SHELL := /bin/sh
VENV ?= .venv
PY := $(VENV)/bin/python
BIN := $(abspath $(VENV))/bin
ARGS ?=
WORKERS ?= 2
export VENV PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test services services-stop check format docs bench chaos mutation lock clean venv-demo venv-dev venv-docs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv-demo ## run the example shop on http://127.0.0.1:3006 (PORT, FRAMEWORK=flask)
	@exec $(PY) -m examples.demo

test: venv-dev ## run every test that this machine allows (ARGS= for pytest)
	@exec $(PY) -m tools.services run -- $(PY) -m pytest --numprocesses $(WORKERS) $(ARGS)

services: venv-demo ## start PostgreSQL, Redis and Kafka on loopback; prints lines to export
	@$(PY) -m tools.services up

services-stop: ## stop what `make services` started
	@if [ -x $(PY) ]; then $(PY) -m tools.services down; else echo "nothing was started from here" >&2; fi

check: venv-dev ## formatting, lint, types, import contracts, container files (ONLY=name for one)
	@PATH="$(BIN):$$PATH" $(PY) -m tools.check $(ONLY)

format: venv-dev ## rewrite the formatting, fix what lint can fix
	@$(PY) -m ruff check --fix-only --quiet $(ARGS) .
	@$(PY) -m ruff format $(ARGS) .

docs: venv-docs ## build the documentation into site/; a warning is an error
	@test -f docs/index.md || { echo "docs/index.md is missing: there is nothing to build" >&2; exit 1; }
	@$(BIN)/zensical build --strict --clean

bench: venv-dev ## measure the performance targets beside the peers (ARGS="--only T2,T5 --rounds 3")
	@exec $(PY) -m bench $(ARGS)

chaos: venv-dev ## break things on purpose, for long, and count (ARGS="--only NAME --seed N", --list)
	@exec $(PY) -m chaos --scale long $(ARGS)

mutation: venv-dev ## break the modules that decide about money, and see tests notice (ARGS="--unnoticed pricing")
	@exec $(PY) -m tools.mutation $(ARGS)

lock: venv-dev ## resolve requirements/*.txt anew (ARGS=--upgrade for the newest versions)
	@$(PY) -m tools.lock $(ARGS)

clean: services-stop ## delete everything that these targets made
	@rm -rf $(VENV) .venv-* .cache mutants .services .chaos .demo site dist build .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache \
		.hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv-demo:
	@sh tools/install.sh demo

venv-dev:
	@sh tools/install.sh dev

venv-docs:
	@sh tools/install.sh docs
