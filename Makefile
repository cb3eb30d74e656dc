# Everything a person does here, by name. `make help` lists it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PORT ?= 8000
# One thread pool at a time: several libraries would each start one a core.
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help install demo run test bench bench-latency check format lock clean

help: ## list every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## make .venv with everything, from the hashed lock

# torch stays out of the lock and comes first: its build differs by machine (CPU here, CUDA on a GPU host).
$(INSTALLED): requirements/dev.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) with venv is needed: on Debian, apt-get install python3.11 python3.11-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@touch $@

demo: install ## install, then the whole board on this machine with two reference systems on `mini`
	@$(BIN)/python manage.py demo --port $(PORT)

run: install ## web, worker and reconciler on this machine, without the demo's submissions
	@$(BIN)/python manage.py run --port $(PORT)

test: install ## the whole suite; what needs Redis, PostgreSQL or Chromium is skipped by name where they are absent
	@$(BIN)/python -m pytest

check: install ## lint, format, types, import rules, migrations, system check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python -m pip check

format: install ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: install ## write requirements/*.txt anew from pyproject.toml
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --unsafe-package torch -o requirements/run.txt pyproject.toml
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --unsafe-package torch --extra demo --extra dev -c requirements/run.txt -o requirements/dev.txt pyproject.toml

# Peers have an environment of their own, so that none of them can become a dependency of the product.
.venv-bench/.installed: requirements/bench.in
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/bench.in
	@touch $@

bench: .venv-bench/.installed ## compare with peers and write docs/benchmarks.md; ONLY=NAME runs one bench
	.venv-bench/bin/python -m tests.benchmarks $(ONLY)

HALF ?= busy
SYSTEM ?= minilm
SESSIONS ?= 20
bench-latency: install ## repeat a latency session: HALF=quiet|busy SYSTEM=bm25|minilm SESSIONS=N
	$(BIN)/python -m tests.benchmarks.latency $(HALF) --system $(SYSTEM) --sessions $(SESSIONS)

clean: ## remove what runs and tests left behind (the environment and var/ stay)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
