# Two commands of the README do everything on a fresh machine: `make demo` and `make test`.
# `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS := .[alibaba,eks,sandbox]

.PHONY: help install demo test check fmt deep bench docs facts clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##/\1\t/p' Makefile | expand -t 12

install: $(READY)  ## make .venv with everything (uv if present, pip if not)

$(READY): pyproject.toml constraints.txt tools/install.sh
	@sh tools/install.sh "$(PYTHON)" "$(VENV)" "$(EXTRAS)"
	@touch $@

demo: $(READY)  ## build a cluster in the sandbox, use it, destroy it
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/demo.sh

test: $(READY)  ## the tests
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not deep"

check: $(READY)  ## style, types, import rules, file lengths, generated documents
	$(BIN)/ruff check -q
	$(BIN)/ruff format -q --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/check_tree.py
	$(BIN)/python tools/gen_docs.py --check
	$(BIN)/python tools/gen_alibaba_models.py --check

fmt: $(READY)  ## bring the code into shape
	$(BIN)/ruff check -q --fix
	$(BIN)/ruff format -q

deep: $(READY)  ## the long matrix
	$(BIN)/pytest -q -n 2 -m deep --timeout 900

bench: $(READY)  ## measure, against Terraform where it is installed
	-$(BIN)/python bench/engine.py
	-$(BIN)/python bench/chain.py
	-$(BIN)/python bench/terraform.py

docs: $(READY)  ## write docs/profile.md and docs/cli.md anew
	$(BIN)/python tools/gen_docs.py

facts: $(READY)  ## write facts/mismatches.tsv: where a driver treats an error otherwise than the facts
	$(BIN)/python -m tests.facts.mismatches

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
