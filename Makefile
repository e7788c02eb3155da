# DeftMail: `make run` runs everything on this machine, `make test` tests everything. Debian 12; root or sudo.
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help run up down status test test-fast check bench fmt clean setup assets

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

run: setup ## start everything in the foreground; Ctrl-C stops it
	@exec $(BIN)/deftmail stack run --mode local

up: setup ## start everything in the background
	@$(BIN)/deftmail stack up --mode local

down: ## stop what `make up` or `make run` started
	@$(BIN)/deftmail stack down

status: ## addresses, and whether each service answers
	@$(BIN)/deftmail stack status

test: setup ## every test, on servers of its own
	@scripts/test.sh

test-fast: setup ## tests that need no server
	@$(BIN)/pytest -q -n 2 -m "not django_db and not servers"

check: setup ## linters, types, import directions, drift of migrations and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy deftmail tests bench
	$(BIN)/lint-imports
	$(BIN)/djlint --lint --quiet deftmail
	$(BIN)/python -m deftmail.kit.lint
	$(BIN)/python -m deftmail.kit.settings_docs --check
	DJANGO_SETTINGS_MODULE=deftmail.settings_check $(BIN)/python -m django openapi --check
	DJANGO_SETTINGS_MODULE=deftmail.settings_check $(BIN)/python -m django makemigrations --check --dry-run

bench: setup ## measure; NAME=a,b for some figures; JSON lines
	@scripts/bench.sh

fmt: setup ## format, and write generated files anew
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .
	$(BIN)/python -m deftmail.kit.settings_docs
	DJANGO_SETTINGS_MODULE=deftmail.settings_check $(BIN)/python -m django openapi

clean: ## remove what was built and the test data; DATA=yes also the data of `make run`
	@scripts/clean.sh

setup: ## Debian packages, Python environment, assets; quick when nothing changed
	@scripts/setup.sh

assets: ## build the style sheet and scripts anew
	@scripts/setup.sh assets
