# All developer commands. `make` alone lists them.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Tests start hundreds of Python processes; without bytecode each compiles all its modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo rehearse check test test-deployment bench lint up down status clean lock
.PHONY: native native-lint native-test

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(STAMP): conf/requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "streaming-etl needs Python 3.11 (looked for $(PYTHON)); install it, or run make PYTHON=/path/to/python3.11"; exit 2; }
	@echo "installing the locked Python packages into $(VENV); this takes some minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r conf/requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## install everything into the checkout (NATIVE=required: fail without the native decoder)
	@$(BIN)/python -m dev setup

demo: setup ## run the job on real servers and print a report (SOURCE=kinesis|both, AWS=localstack, EVENTS=, KEEP=1)
	@$(BIN)/python -m dev demo $(if $(SOURCE),--source $(SOURCE)) $(if $(AWS),--aws $(AWS)) $(if $(KEEP),--keep) $(if $(EVENTS),--events $(EVENTS))

rehearse: setup ## rehearse the AWS deployment on local servers: package, alarms, upgrade (KEEP=1)
	@$(BIN)/python -m dev rehearse $(if $(KEEP),--keep)

check: lint native ## lint, then run all tests that need no server
	@$(BIN)/pytest -n $$(($$(nproc) + 1)) --dist loadfile -m "not server and not deployment"  # some tests wait

test: lint setup native-test ## lint, then run all tests on real servers
	@$(BIN)/pytest

bench: setup ## compare with Spark, Flink's JSON format and a plain consumer (EVENTS=, ROUNDS=)
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check -r dev/bench/requirements.txt
	@$(BIN)/python -m dev.bench.run $(if $(EVENTS),--events $(EVENTS)) $(if $(ROUNDS),--rounds $(ROUNDS))

test-deployment: setup ## run the package in a plain Flink, and the image's entry points, on real servers
	@$(BIN)/pytest -m deployment tests/deploy tests/dev/docker

lint: $(STAMP) native-lint ## run ruff, mypy --strict and the import contracts, and native-lint
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

native: $(STAMP) ## build the native decoder alone into .venv, if cargo is there
	@$(BIN)/python -m dev.native setup

native-lint: $(STAMP) ## run rustfmt and clippy, and check the crates' licences and sources, if cargo is there
	@$(BIN)/python -m dev.native lint

native-test: $(STAMP) ## run the native decoder's own tests, if cargo is there
	@$(BIN)/python -m dev.native test

up: setup ## start the local servers (WITH="kinesis dashboards", FREE_PORTS=1)
	@$(BIN)/python -m dev up $(foreach name,$(WITH),--with $(name)) $(if $(FREE_PORTS),--free-ports)

down: $(STAMP) ## stop the local servers
	@$(BIN)/python -m dev down

status: $(STAMP) ## show whether each local server is ready, and Flink's jobs
	@$(BIN)/python -m dev status

lock: $(STAMP) ## update the pinned Python packages and their hashes
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --extra dev --strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o conf/requirements.lock pyproject.toml
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o dev/servers/localstack.lock dev/servers/localstack.in

clean: ## remove everything that was installed or built
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m dev down; fi
	rm -rf $(VENV) .venv-bench .cache build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
