# Every target sets up $(VENV) by itself on first use, and again when pyproject.toml changes.
# Needed: Python 3.11 or later and make. Works with make 3.81 and with `make -j`.
#
#   make check CHECK_ARGS='-k "*/flush"'       arguments for `treadle check`
#   make test PYTEST_ARGS='-x tests/world'     arguments for pytest
#   make bench BENCH_ARGS=--all                arguments for `python -m benchmarks`
#   make test PYTEST_WORKERS=0                 one process, for a debugger
#   make test PYTHON=python3.13 VENV=.venv313  another interpreter, beside the usual one
#   make test REQUIRE='sqlalchemy<2.1'         an extra requirement
#   make test CONSTRAINTS=lowest.txt           versions that pip must keep to (see .ci/lowest.py)

VENV           = .venv
PYTHON        ?=
REQUIRE        =
CONSTRAINTS    =
CHECK_ARGS     =
BENCH_ARGS     =
PYTEST_ARGS    =
PYTEST_WORKERS = 2

BIN   = $(VENV)/bin
READY = $(VENV)/.ready

# Tests start Python many hundred times: let it keep what it has compiled, whatever the environment says.
test truth: export PYTHONDONTWRITEBYTECODE =

# A file's tests stay together, because they share what its fixtures have learned.
PYTEST = $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile

.PHONY: help check test truth bench docs lint format types clean venv always

help: ## Say what there is to make.
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

check: $(READY) ## Check every scenario that pyproject.toml names.
	$(BIN)/treadle check $(CHECK_ARGS)

test: $(READY) ## Run the tests.
	$(PYTEST) $(PYTEST_ARGS)

truth: $(READY) ## Compare fast paths with the slow truth; nightly-sized.
	$(PYTEST) -m truth --no-header $(PYTEST_ARGS)

bench: $(READY) ## Measure what checks cost, compare with the last record, and record it.
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

docs: $(READY) ## Build the documentation; any warning is an error.
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "The documentation is in docs/_build/html/index.html"

lint: $(READY) ## Check style and formatting.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## Repair style and formatting where that is safe.
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .

types: $(READY) ## Check types.
	$(BIN)/mypy

venv: $(READY) ## Only set up the environment.

clean: ## Remove the environment, the caches and what was built.
	@if [ -e "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist docs/_build reports
	find . -path './.venv*' -prune -o -type d -name __pycache__ -exec rm -rf {} +

# --- The environment -------------------------------------------------------------------------------

# Being found is not enough: a pyenv shim exists for versions that do not run, and Debian ships
# Python without venv. So each candidate is run, and must answer.
CANDIDATES = python3.14 python3.13 python3.12 python3.11 python3
PROBE = import sys; sys.version_info < (3, 11) and sys.exit(1); import ensurepip, sqlite3, venv; \
        print(sys.executable, sys.version.split()[0])

# $(READY) records what was asked for, so that asking for something else makes the environment anew.
ASKED = $(strip PYTHON=$(PYTHON) REQUIRE=$(REQUIRE) CONSTRAINTS=$(CONSTRAINTS))
ifneq ($(strip $(PYTHON)$(REQUIRE)$(CONSTRAINTS)),)
ifneq ($(shell cat "$(READY)" 2>/dev/null),$(ASKED))
$(READY): always
endif
endif

$(READY): pyproject.toml
	@if [ -e "$(VENV)" ] && [ ! -e "$(VENV)/pyvenv.cfg" ]; then \
	    echo "make: $(VENV) is no virtual environment, and would be emptied: give another VENV=" >&2; exit 1; \
	fi
	@for candidate in $(if $(PYTHON),"$(PYTHON)",$(CANDIDATES)); do \
	    if found=$$("$$candidate" -c '$(PROBE)' 2>/dev/null); then break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "make: no Python 3.11 or later with venv and sqlite3 among:" \
	         "$(if $(PYTHON),$(PYTHON),$(CANDIDATES))." \
	         "Install one (Debian: apt-get install python3 python3-venv) or give PYTHON=/path/to/python." >&2; \
	    exit 1; \
	fi; \
	python=$${found% *}; \
	echo "Setting up $(VENV) with Python $${found##* } ($$python)$(if $(REQUIRE), and $(REQUIRE)): a minute or so, once" && \
	"$$python" -m venv --clear "$(VENV)" && \
	$(BIN)/python -m pip --disable-pip-version-check install -qq --upgrade 'pip>=25.1' && \
	$(BIN)/python -m pip --disable-pip-version-check install -qq --group dev --editable '.[distributed,docs,explore]' \
	    $(foreach requirement,$(REQUIRE),'$(requirement)') $(if $(CONSTRAINTS),--constraint '$(CONSTRAINTS)') && \
	echo '$(ASKED)' > "$@"
