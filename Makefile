# `make demo` and `make test` need Python >= 3.10 and nothing else; see CONTRIBUTING.md.

PYTHON ?= python3
PYTEST_ARGS ?=
# Most tests wait more than they compute; a file's tests stay together, because they share what they start (in tests/e2e
# each worker has a testbed of its own, and some have a whole Ray cluster: fewer at once). In the order of tests/conftest.py: the longest files first.
PARALLEL ?= -n 3 --dist loadfile --no-loadscope-reorder
E2E_PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder
BIN := .venv/bin
HUB5_BIN := .venv-hub5/bin
# With the Node.js that `make setup` brought, where the machine has none.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix labextension --silent
# What can differ between the hub's lines: all that imports jupyterhub or kubespawner. Of the service that is the way in;
# tests/sites and the rest of tests/service would run the very same code a second time.
HUB5_TESTS = tests/core tests/form tests/spawner \
	tests/service/test_pages.py tests/service/test_process.py tests/service/test_real_hub.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-hub5 demo test test-main test-hub5 lint format

help:  ## Say what there is
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup:  ## Make .venv when something has changed
	@$(PYTHON) scripts/bootstrap.py

# The older of the two supported lines of the hub: what the zero-to-jupyterhub chart 4.4.0 ships.
setup-hub5:
	@$(PYTHON) scripts/bootstrap.py --venv .venv-hub5 --extras dev,hub,lab,site,testbed \
		--with 'jupyterhub==5.5.*' --with 'jupyterhub-kubespawner==7.0.*'

demo: setup  ## Start everything on this machine, print a URL and a login; Ctrl-C ends it
	@exec $(BIN)/rayster testbed up --hub

test: test-main test-hub5  ## All tests

test-main: setup
	$(NPM) test
	$(BIN)/pytest $(PARALLEL) --ignore tests/e2e $(PYTEST_ARGS)
	$(BIN)/pytest $(E2E_PARALLEL) tests/e2e $(PYTEST_ARGS)

test-hub5: setup-hub5  ## The hub side's tests, without a browser, on jupyterhub 5.5 and kubespawner 7.0
	$(HUB5_BIN)/pytest $(PARALLEL) -m "not browser" $(PYTEST_ARGS) $(HUB5_TESTS)

lint: setup  ## ruff and mypy; tsc, eslint and prettier for the JupyterLab extension
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(NPM) run lint

format: setup  ## Let ruff and prettier mend what they can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(NPM) run format
