# All developer commands. `make` alone lists them.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo rehearse test test-deployment bench lint up down status clean lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(STAMP): conf/requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "streaming-etl needs Python 3.11 (looked for $(PYTHON)); install it, or run make PYTHON=/path/to/python3.11"; exit 2; }
	@echo "installing the locked Python packages into $(VENV); this takes some minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r conf/requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## install everything into the checkout (.venv and .cache)
	@$(BIN)/streaming-etl setup

demo: setup ## run the job on real servers and print a report (SOURCE=kinesis|both, EVENTS=, KEEP=1)
	@$(BIN)/streaming-etl demo $(if $(SOURCE),--source $(SOURCE)) $(if $(KEEP),--keep) $(if $(EVENTS),--events $(EVENTS))

rehearse: setup ## rehearse the AWS deployment on local servers: package, alarms, upgrade (KEEP=1)
	@$(BIN)/streaming-etl rehearse $(if $(KEEP),--keep)

test: lint setup ## lint, then run all tests on real servers
	@$(BIN)/pytest

bench: setup ## compare with Spark, Flink's JSON format and a plain consumer (EVENTS=, ROUNDS=)
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check -r tests/bench/requirements.txt
	@$(BIN)/python -m tests.bench.run $(if $(EVENTS),--events $(EVENTS)) $(if $(ROUNDS),--rounds $(ROUNDS))

test-deployment: setup ## run the package in a plain Flink, and the image's entry points, on real servers
	@$(BIN)/pytest -m deployment tests/package tests/docker

lint: $(STAMP) ## run ruff and mypy --strict
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

up: setup ## start the local servers
	@$(BIN)/streaming-etl up

down: $(STAMP) ## stop the local servers
	@$(BIN)/streaming-etl down

status: $(STAMP) ## show whether each local server is ready
	@$(BIN)/streaming-etl status

lock: $(STAMP) ## update the pinned Python packages and their hashes
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --extra dev --strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o conf/requirements.lock pyproject.toml

clean: ## remove everything that was installed or built
	@if [ -x $(BIN)/streaming-etl ]; then $(BIN)/streaming-etl down; fi
	rm -rf $(VENV) .venv-bench .cache build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
