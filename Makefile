# Everything that a contributor or CI does has a target here. `make demo` and `make test` work from a fresh clone
# on Debian and Ubuntu, as root or as a user with sudo; a second run only does what is new.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
REAL := native or docker or registry or browser
SPREAD := -n logical --maxprocesses 4 --dist loadgroup --durations=15
# Guests wait for as long as they work (timers, daemons, registries): one more than there are processors.
BESIDE := -n $(shell expr $$(nproc) + 1) --maxprocesses 5 --dist loadgroup --durations=15
WARDEN := $(filter-out sandbox/warden/test_% sandbox/warden/fuzz_%,$(wildcard sandbox/warden/*.c)) $(wildcard sandbox/warden/*.h)

.PHONY: help demo test soak test-offline test-c lint types bench readme setup clean

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: .venv/ready ## Install what is missing on this machine, and build into .venv

.venv/ready: pyproject.toml hatch_build.py tools/setup.sh $(WARDEN)
	@tools/setup.sh
	@touch $@

demo: .venv/ready ## Check two honest packages and two inert thieves, and show what a user sees
	@tools/demo.sh

test: .venv/ready ## The whole test suite: the unit tests, without a network where that can be had, then real guests
	@BAITBOX_REQUIRE= $(PYTHON) tools/offline.py --or-online $(PYTHON) -m pytest -q $(SPREAD) -m "not ($(REAL))"
	@BAITBOX_REQUIRE=$${BAITBOX_REQUIRE:+native,docker} $(PYTHON) -m pytest $(BESIDE) -m "($(REAL)) and together"
	@$(PYTHON) -m pytest --durations=15 -m "($(REAL)) and not together"

soak: .venv/ready ## Each inert thief five times: the same verdict and the same rules each time
	@BAITBOX_TIMES=5 $(PYTHON) -m pytest $(BESIDE) -m "native and together"

test-offline: .venv/ready ## The unit tests, in a network namespace without any network
	@$(PYTHON) tools/offline.py $(PYTHON) -m pytest -q -m "not ($(REAL))"

test-c: .venv/ready ## The warden's own tests, under the address and undefined-behaviour sanitizers
	@$(PYTHON) -m pytest -q tests/test_warden_c.py

lint: .venv/ready ## ruff
	@$(PYTHON) -m ruff check .

types: .venv/ready ## mypy --strict
	@$(PYTHON) -m mypy

bench: .venv/ready ## Measure what watching costs (docs/performance.md)
	@$(PYTHON) -m benchmarks

readme: .venv/ready ## Write the generated parts of README.md
	@$(PYTHON) -m tools.readme

clean: ## Remove what was built here
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis sandbox/warden/warden
