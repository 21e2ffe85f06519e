# Every target makes what it needs first; `make run` and `make test` work on a fresh
# Debian 12. `make` alone explains.
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
GERBANG := .venv/bin/gerbang
PYTEST := .venv/bin/python -m pytest

.PHONY: help install run test lint unit calls bench campaign train sounds check render clean
.PHONY: ready installed

help:  ## what you can make
	@printf '\n  Gerbang112: the gate between a city and its 112 operators\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@printf '\n  The running system speaks through .venv/bin/gerbang: try --help\n\n'

run: installed  ## start 112 here, in the foreground; Ctrl-C drains
	@exec $(GERBANG) run

install: installed  ## all it runs on: Python packages, Debian packages, Asterisk

test: ready  ## everything that must hold before a change is good (20 minutes at most)
	@scripts/test

lint: ready  ## style, format, types, import lines
	@scripts/test lint

unit: ready  ## the quick tests alone
	@$(PYTEST) tests/unit

calls: ready  ## whole calls on a real Asterisk
	@$(GERBANG) install --dev
	@$(PYTEST) tests/calls -m "not campaign"

bench: ready  ## what a call costs, and how fast a caller gets through
	@$(GERBANG) install --dev
	@.venv/bin/python -m tests.bench --write

campaign: ready  ## the long trials; their last reports are kept in docs/
	@$(GERBANG) install --dev
	@$(PYTEST) -s -m campaign --timeout 0 --campaign-report docs/campaign.md \
		--live-report docs/ghostfilter-live.md \
		--storm-report docs/records-storm.md \
		--dialogue-report docs/ghostfilter-dialogue.md
	@$(PYTEST) tests/calls/test_fail_open.py --fail-open-report docs/fail-open.md

train: ready  ## the ghost filter's weights anew; CORPUS=DIR: its open clips, too (an hour)
	@scripts/train $(if $(CORPUS),--corpus $(CORPUS))

sounds: ready  ## make the prompts from their texts and recordings
	@$(GERBANG) sounds

check: installed  ## try city.toml on a throw-away Asterisk
	@$(GERBANG) check

render: installed  ## put city.toml into force
	@$(GERBANG) render

clean:  ## remove what can be made again (never var/: it holds the records)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf htmlcov .coverage var/test
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +

ready:
	@scripts/bootstrap

installed: ready
	@$(GERBANG) install
