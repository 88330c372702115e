# One virtual environment for everything; nothing outside this folder is touched.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -q -n logical
INSTALL := $(BIN)/python tools/install.py

.DEFAULT_GOAL := help
.PHONY: help demo airflow test test-all test-system lint types docs check dist package test-versions coverage mutation reliability reliability-table soak soak-sandbox azurite \
  bench bench-smoke bench-sandbox bench-sync bench-sensors bench-workers parity kills examples examples-by-clicks screenshot constraints clean worlds races assumptions

help:  ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

demo: $(VENV)/.run  ## Sync and export against a local Intacct, in real Airflow
	@$(BIN)/python tools/demo.py

airflow: $(VENV)/.run  ## Start Airflow with the sandbox and the example DAGs, to click around
	@$(BIN)/python tools/start_airflow.py

test: $(VENV)/.dev  ## Run the tests that need nothing but Python, on all cores (8 minutes on two)
	@$(PYTEST) -m "not slow"

test-all: $(VENV)/.dev  ## Run every test, on all cores
	@$(PYTEST)

test-system: $(VENV)/.dev  ## Run the main jobs in three deployments, kill everything there, and write the table of docs/deploying.md
	@INTACCT_WRITE_DEPLOYMENTS=1 $(BIN)/python -m pytest -q tests/system/deployments

lint: $(VENV)/.dev  ## Check style, and that imports point downwards
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache

types: $(VENV)/.dev  ## Check types
	@$(BIN)/mypy

docs: $(VENV)/.dev  ## Build the documentation into docs/_build
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "Documentation: docs/_build/html/index.html"

check: test lint types docs  ## All of the above

dist: $(VENV)/.dev  ## Build what a release consists of into dist/, and check it
	@$(INSTALL) -c constraints.txt -e '.[release]'
	@$(BIN)/python tools/make_dist.py

package: $(VENV)/.dev  ## Install the built package alone, and run the documented test of a DAG there
	@$(BIN)/python tools/check_package.py

test-versions: $(VENV)/.dev  ## Install with Airflow 3.1 to 3.4 as users do, run the tests, and write the table of docs/versions.md
	@$(BIN)/python tools/versions.py

coverage: $(VENV)/.dev  ## Measure which lines and branches of the client its own tests reach; 95 % are the least
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -q -n logical --ignore tests/unit/worlds tests/unit tests/sandbox/client
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

mutation: $(VENV)/.dev  ## Break retries, paging and the reading of errors line by line: do the tests notice? (5 minutes)
	@rm -rf mutants
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mutmut run
	@$(BIN)/mutmut results

reliability: $(VENV)/.dev  ## Run the tests of faults, and write docs/reliability.md from what passed
	@INTACCT_WRITE_RELIABILITY=1 $(BIN)/python -m pytest -q tests/reliability

assumptions: $(VENV)/.dev  ## Write docs/assumptions.md from the list that the probe answers
	@$(BIN)/python tools/write_assumptions.py

parity: $(VENV)/.dev  ## Run sensors in each mode through everything that can happen, and write the table of docs/sensors.md
	@INTACCT_WRITE_PARITY=1 $(BIN)/python -m pytest -q tests/sandbox/sensors/test_parity.py

reliability-table: $(VENV)/.dev  ## Read while people work, in every way, and write the table of docs/reliability.md (20 minutes)
	@$(BIN)/python tools/reliability_under_change.py

azurite: $(VENV)/.made  ## Install the emulator of Azure Blob for the tests of exports to it; needs npm
	@npm install --prefix $(VENV) --no-save --no-package-lock --no-audit --no-fund --silent azurite@3.35.0

soak: $(VENV)/.dev  ## Read and write under each of 1,000 random schedules of faults, changes and false answers
	@$(BIN)/python tools/soak.py --schedules 1000

races: $(VENV)/.dev  ## Export to one destination from two and five processes, 1,000 times on a disk and on S3 (1 hour)
	@$(BIN)/python tools/races.py
	@$(BIN)/python tools/races.py --s3

worlds: $(VENV)/.dev  ## Try everything that can happen to reads, writes and syncs in 300,000 small worlds
	@$(BIN)/python tools/worlds.py

soak-sandbox: $(VENV)/.dev  ## Kill the sandbox under 20 writers for a minute: no acknowledged write may be lost
	@INTACCT_SOAK_SECONDS=60 $(BIN)/python -m pytest -q tests/sandbox/server/test_durability.py

bench-sandbox: $(VENV)/.dev  ## Measure the sandbox against SQLite itself
	@$(BIN)/python benchmarks/sandbox.py

examples: $(VENV)/.dev  ## Run every example DAG twice in what `make airflow` starts (4 minutes)
	@INTACCT_ALL_EXAMPLES=1 $(BIN)/python -m pytest -q tests/system/test_make_airflow.py

examples-by-clicks: $(VENV)/.dev  ## Run every example DAG twice in `make airflow` by clicks in Chromium
	@INTACCT_ALL_EXAMPLES=1 $(BIN)/python -m pytest -v tests/browser/test_examples_by_clicks.py

kills: $(VENV)/.dev  ## Kill the worker of an export at 20 random moments: files and manifest as if nothing had happened
	@INTACCT_EXPORT_KILLS=20 $(BIN)/python -m pytest -q tests/system/test_export_killed.py

bench: .venv-bench/.made  ## Measure the provider against what one would use instead (25 minutes)
	@.venv-bench/bin/python benchmarks/run.py

bench-smoke: $(VENV)/.dev  ## The same in small: counts, and ratios with wide margins
	@$(BIN)/python benchmarks/smoke.py

bench-sync: $(VENV)/.dev  ## Measure what a plan adds to reading the records that it needs
	@$(BIN)/python benchmarks/sync.py

bench-sensors: $(VENV)/.dev  ## Let 1,000 deferred sensors wait in one triggerer, and check what they take (13 minutes)
	@$(BIN)/python benchmarks/sensors.py

bench-workers: $(VENV)/.dev  ## Measure what 2 and 4 Celery workers export in the time of one; needs PostgreSQL and Redis (6 minutes)
	@$(BIN)/python benchmarks/workers.py

screenshot: $(VENV)/.dev  ## Take the pictures of the documentation (needs Chromium)
	@$(BIN)/python tools/screenshot.py

constraints: $(VENV)/.dev  ## Pin the newest versions that work together
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade -q --no-header \
	  --no-annotate --no-emit-index-url -o constraints.tmp
	@{ head -n 1 constraints.txt; cat constraints.tmp; } > constraints.new
	@mv constraints.new constraints.txt && rm constraints.tmp

clean:  ## Remove what was built, and the demo's files
	@rm -rf $(VENV) .venv-bench .airflow .demo .coverage .coverage.* mutants build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The stamps change when what they were installed from does.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ...")'
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing Airflow and the provider ..."
	@$(INSTALL) -c constraints.txt -e '.[sandbox,parquet,xlsx]' apache-airflow-providers-sqlite
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing Airflow, the provider and the test tools ..."
	@$(INSTALL) -c constraints.txt -e '.[dev,dev-celery,parquet,sql,openlineage]'
	@touch $@ $(VENV)/.run

# The benchmarks have an environment of their own, so that no peer is installed beside the provider.
.venv-bench/.made: pyproject.toml constraints.txt benchmarks/constraints.txt
	@echo "Making .venv-bench ..."
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python tools/install.py -c constraints.txt \
	  -c benchmarks/constraints.txt -e '.[sandbox,parquet]' 'dlt[parquet]' sageintacctrestsdk \
	  apache-airflow-providers-http
	@touch $@
