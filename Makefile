# The template's own verbs. `make help` lists them.

PYTHON ?= python3
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The machine's own certificates: a company's proxy is among them.
export UV_SYSTEM_CERTS := 1
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV
# Fits in the tests do not fight each other for the cores.
TESTING := OMP_NUM_THREADS=1

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PAYLOAD := {{cookiecutter.project_slug}}
PREVIEW := build/preview
LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --upgrade --python-version 3.11
ARGS ?=

.PHONY: demo test faults prove docs pictures preview manifest test-chassis lint bench bench-tables bench-monitor bench-demo bench-overload lock clean help

demo: $(READY)  ## generate a project into build/demo, run it, request one prediction
	@$(BIN)/python tools/demo.py

test: $(READY)  ## run the template's tests and a complete generated project
	$(TESTING) $(BIN)/pytest

faults: $(READY)  ## break copies of build/demo, one fault at a time: each guard must go red
	@test -e build/demo/.venv/.project || $(MAKE) --no-print-directory demo
	@$(BIN)/python tools/faults.py

prove: $(READY)  ## run the long tests: all faults, more random inputs and kills
	$(TESTING) HYPOTHESIS_PROFILE=prove HOSTILE_ANSWERS=400 KILL_MOMENTS=102 RESTARTS=20 KILLS=50 OVERLOAD_ANSWERS=1000 SCORE_KILLS=20 SCORE_MONTHS=8 HOSTILE_EXAMPLES=10000 SCHEMATHESIS_EXAMPLES=600 AGREEMENT_CONTRACTS=200 WAYS_TABLES=200 WAYS_CELLS=3000 ADOPTION_TABLES=200 COVERAGE_REPETITIONS=1000 MONITOR_SEEDS=100 LOG_ROWS=1000000 CLEAN_REBUILDS=2 SIMULATED_YEAR=1 $(BIN)/pytest

docs: $(READY)  ## build the documentation site into build/site; a warning is an error
	@$(BIN)/python tools/doc_site.py

pictures: $(READY)  ## take the pictures of the documentation from build/demo (needs Chromium)
	@test -e build/demo/.venv/.project || $(MAKE) --no-print-directory demo
	@PYTHONPATH=tools $(BIN)/python tools/pictures.py $(ARGS)

preview: $(READY)  ## bake the defaults into build/preview, linked to the payload's package
	@$(BIN)/python tools/preview.py

manifest: $(READY)  ## write chassis/MANIFEST.json: digests of its files, fingerprints of the stages
	@$(BIN)/python tools/manifest.py

test-chassis: $(READY)  ## run the chassis' tests with the preview's packages (ARGS="cli/test_cli.py -k help")
	@$(BIN)/python tools/preview.py --setup
	@cd tests/chassis && OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(PREVIEW)/.venv/bin:$$PATH" \
	  $(CURDIR)/$(PREVIEW)/.venv/bin/python -m pytest $(ARGS)

lint: $(READY)  ## check the template and the payload's package with ruff and mypy
	$(BIN)/ruff check hooks tools tests
	$(BIN)/ruff format --check hooks tools tests
	$(BIN)/mypy
	@$(BIN)/python tools/preview.py --lint

bench: $(READY)  ## benchmark the service against five others: same model, rows, cores (ARGS=--help; needs wrk)
	@PYTHONPATH=tools $(BIN)/python -m bench $(ARGS)

bench-tables: $(READY)  ## benchmark adoption of 32 public tables against plain LightGBM (ARGS="NAME … --keep")
	@PYTHONPATH=tools $(BIN)/python tools/bench_tables.py $(ARGS)

bench-monitor: $(READY)  ## compare the monitor's drift tests with Evidently's on build/demo (ARGS=--help)
	@test -e build/demo/.venv/.project || $(MAKE) --no-print-directory demo
	@PYTHONPATH=tools $(BIN)/python tools/bench_monitor.py $(ARGS)

bench-demo: $(READY)  ## measure the demo three times and report the median of each part
	@$(BIN)/python tools/demo.py --times 3

bench-overload: $(READY)  ## measure overload at ten times the demo's capacity (ARGS=--help; needs h2load)
	@$(BIN)/python tools/overload.py $(ARGS)

lock: $(READY)  ## compile requirements/ from pyproject.toml
	@for group in bootstrap dev docs s3-server clients; do \
	  $(LOCK) --group $$group --output-file requirements/$$group.txt || exit 1; \
	done
	@for group in fastapi mlflow mlserver bentoml evidently; do \
	  case $$group in fastapi|mlflow) same="--constraints $(PAYLOAD)/requirements/train.txt" ;; *) same= ;; esac; \
	  $(LOCK) $$same --group bench-$$group --output-file requirements/bench-$$group.txt || exit 1; \
	done
	@$(LOCK) --no-deps --group bench-tables --output-file requirements/bench-tables.txt

clean:  ## remove the environment and everything that was built
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis

help:  ## list the verbs
	@awk -F ':.*## +' '/^[a-z-]+:.*##/ { printf "%-15s %s\n", $$1, $$2 }' Makefile

# uv installs what is pinned; where it reaches no index (only pip was told of one), pip does.
$(READY): requirements/bootstrap.txt requirements/dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: no '$(PYTHON)' on PATH; install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("error: $(PYTHON) is Python %d.%d, and this template needs 3.11, 3.12 or 3.13; name one: make PYTHON=/path/to/python3.12" % v)'
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
