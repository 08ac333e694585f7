# `make` alone lists the targets. Only Python 3.11 or newer, make and a network are needed.
.DEFAULT_GOAL := help
.PHONY: help run test test-all test-examples test-long contract-tests quick check check-code check-contract format bench bench-growth client \
        install production migrate lock audit release clean

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
UV_VERSION := 0.13.8
UV     := $(or $(shell command -v uv 2>/dev/null),$(VENV)/uv/bin/uv)
INTO   := --quiet --require-hashes --python $(BIN)/python
EXTRA  := $(if $(OTEL),-otel)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
NODE   := node_modules/.package-lock.json
EXAMPLE := examples/nextjs/node_modules/.package-lock.json
LOCK   := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
          --no-annotate --custom-compile-command "make lock"

# npm writes funding addresses to its lock file. Remove them, because the file must contain no addresses.
WITHOUT_ADDRESSES := const fs = require("fs"), name = "package-lock.json", lock = JSON.parse(fs.readFileSync(name)); \
  for (const entry of Object.values(lock.packages)) delete entry.funding; \
  fs.writeFileSync(name, JSON.stringify(lock, null, 2) + "\n")

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: $(VENV)/.run$(EXTRA)  ## serve on http://127.0.0.1:8000 (SQLite, built-in accounts, unless .env says otherwise)
	@$(BIN)/python -m cli serve

PYTEST := $(BIN)/python -m pytest
T      ?= tests/unit

test: check  ## check, then run the unit, API and contract tests on SQLite and PostgreSQL (4 minutes)
	@$(PYTEST) -n 2 tests/api tests/contract tests/unit

test-all: test  ## test, then run the tests with faults and other programs: browser, Better Auth, nginx, Redis (12 minutes)
	@$(PYTEST) -n 3 tests/ecosystem tests/faults

test-examples: $(VENV)/.dev client $(EXAMPLE)  ## build the example of Next.js, and drive it in Chromium (3 minutes)
	@$(PYTEST) tests/examples

test-long: $(VENV)/.dev  ## run the fault tests at full length (1 hour)
	@$(PYTEST) -n 3 tests/faults --long

contract-tests: $(VENV)/.dev  ## run the contract and unit tests, for example on another Python
	@$(PYTEST) -n 2 tests/contract tests/unit

quick: $(VENV)/.dev  ## run some tests on SQLite in one process: make quick T=tests/api/test_create.py
	@$(PYTEST) --database=sqlite $(T)

check: $(VENV)/.dev $(NODE)  ## check formatting, lint, types, imports, handlers, the contract and the generated types
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target check-code check-contract

check-code:
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/python -m app

check-contract:
	@$(BIN)/openapi-spec-validator openapi/todo.yaml
	@tests/contract/check

format: $(VENV)/.dev $(NODE)  ## format the code, fix what lint can fix, generate the TypeScript types
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .
	@cd clients/typescript && npm run --silent generate

bench: $(VENV)/.dev  ## measure this server beside others, and with many connections (15 minutes)
	@$(BIN)/python -W 'ignore:Using `httpx`' -m benchmarks.in_process
	@$(BIN)/python -m benchmarks.tokens
	@$(BIN)/python -m benchmarks.compare --sqlite
	@$(BIN)/python -m benchmarks.connections

bench-growth: $(VENV)/.dev  ## measure this server with up to 2 million tasks (10 minutes)
	@$(BIN)/python -m benchmarks.growth

client: $(NODE)  ## generate the TypeScript client's types from the contract, and build it
	@cd clients/typescript && npm run --silent generate && npm run --silent build

install: $(VENV)/.dev $(NODE)  ## install everything into .venv

production: | $(BIN)/python $(UV)  ## install only what the server needs, with bytecode: for a user who may not write here
	@$(UV) pip install $(INTO) --compile-bytecode -r requirements$(EXTRA).lock
	@$(BIN)/python -m compileall -q *.py cli contract handlers observability persistence security server
	@touch $(VENV)/.run$(EXTRA)

migrate: $(VENV)/.run$(EXTRA)  ## migrate the database of DATABASE_URL to the newest schema
	@$(BIN)/python -m cli migrate

lock: $(UV)  ## resolve the dependencies of pyproject.toml
	@$(LOCK) --upgrade --output-file requirements.lock
	@$(LOCK) --upgrade --extra otel --constraint requirements.lock --output-file requirements-otel.lock
	@$(LOCK) --upgrade --extra otel --group dev --constraint requirements-otel.lock --output-file requirements-dev.lock
	@npm install --package-lock-only --silent && node -e '$(WITHOUT_ADDRESSES)'

audit: $(VENV)/.dev  ## look up the run-time dependencies in the database of known vulnerabilities
	@.ci/audit

release: client  ## build the files of a release into dist/: the image and the client
	@mkdir -p dist
	@cd clients/typescript && npm pack --silent --pack-destination ../../dist
	@docker build --quiet --tag todo-backend:$(VERSION) . && docker save --output dist/todo-backend-$(VERSION).tar todo-backend:$(VERSION)
	@cd dist && sha256sum *.t* >SHA256SUMS

clean:  ## remove everything that the targets created
	rm -rf $(VENV) node_modules examples/nextjs/node_modules examples/nextjs/.next clients/typescript/build clients/typescript/dist dist .mypy_cache .ruff_cache .pytest_cache .hypothesis test-output

$(VENV)/.run$(EXTRA): requirements$(EXTRA).lock | $(BIN)/python $(UV)
	@$(UV) pip install $(INTO) -r requirements$(EXTRA).lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(BIN)/python $(UV)
	@$(UV) pip install $(INTO) -r requirements-dev.lock
	@touch $@ $(VENV)/.run $(VENV)/.run-otel

$(NODE): package-lock.json
	@if command -v npm >/dev/null; then npm ci --ignore-scripts --silent; fi

$(EXAMPLE): examples/nextjs/package-lock.json
	@cd examples/nextjs && npm ci --ignore-scripts --silent

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@$(PYTHON) -m venv --without-pip $(VENV)

$(VENV)/uv/bin/uv: | $(BIN)/python
	@$(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install --quiet uv==$(UV_VERSION)
