# `make` alone says what there is. Needs Python 3.11+ and nothing else.
SHELL := /bin/bash
PYTEST = .venv/bin/python -m pytest
FAST = not slow and not postgres and not browser
# Tests share nothing, so two run side by side; slow ones, races and processes, want the machine for themselves.

# Only a test under which Chromium had to be ended because it fell silent gets a second try.
AGAIN = --reruns 1 --only-rerun "Target page, context or browser has been closed"

.DEFAULT_GOAL := help
.PHONY: help run setup assets translations reset-demo test fast check audit bench simulate clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Bring .venv and the assets up to date
	@.ci/prepare

run: setup ## Start the portal: everything it needs, one address, Ctrl-C stops it
	@exec .venv/bin/clinic-portal run

assets: setup ## Rebuild styles and scripts if their sources changed

translations: setup ## Collect the texts of pages and mails into the catalogues, to be translated there
	@mkdir -p .data
	@.venv/bin/pybabel -q extract -F pyproject.toml -k NN_:1,2 -o .data/messages.pot --omit-header --sort-output --add-location=file .
	@.venv/bin/pybabel -q update -i .data/messages.pot -d clinic_portal/translations --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --no-wrap
	@.venv/bin/python static/build_assets.py

reset-demo: setup ## Throw the demo clinic away and make it again (refuses production)
	@.venv/bin/clinic-portal reset-demo

test: ## Install what tests need and run all of them
	@.ci/prepare test
	@.ci/checkers
	@$(PYTEST) -n 2 $(AGAIN) -m "not slow"
	@$(PYTEST) -m slow

fast: ## Only the fast tests
	@.ci/prepare test
	@$(PYTEST) -n 2 -m "$(FAST)"

check: ## Lint, format check, types, import rules
	@.ci/prepare check
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy clinic_portal worker.py
	.venv/bin/lint-imports

audit: ## Lighthouse and axe on every page of the flow, in a demo clinic of its own: all must be perfect
	@.ci/prepare test
	@.ci/checkers
	@.venv/bin/python -m tests.checkers.audit

bench: ## Measure the core, with the figures of the README
	@.ci/prepare test
	@.venv/bin/python -m tests.bench

simulate: ## Let a clinic run through days in minutes: waits, fairness, what the weights do; with pictures
	@.ci/prepare test
	@.venv/bin/python -m tests.simulate

clean: ## Remove what was built or installed; keeps the data folder
	rm -rf .venv static/node_modules static/dist tests/checkers/node_modules clinic_portal/translations/*/*/*.mo build dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
