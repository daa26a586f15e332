# Two commands of the README do everything on a fresh machine: `make demo` and `make test`.
# `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# three workers on two cores: tests wait for the sandbox now and then
PYTEST := $(BIN)/pytest -q -n 3 --dist worksteal
SHARD ?= 1/1

.PHONY: help install demo test deep long crowd real counts cover pythons check fmt hooks lines bench docs permissions facts site lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##/\1\t/p' Makefile | expand -t 12

install: $(READY)  ## make .venv with everything (uv if present, pip if not)

$(READY): pyproject.toml constraints.txt tools/install.sh
	@sh tools/install.sh "$(PYTHON)" "$(VENV)" dev
	@touch $@

demo: $(READY)  ## build a cluster in the sandbox, use it, destroy it
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/demo.sh

test: $(READY)  ## the tests
	$(PYTEST) -m "not deep"

deep: $(READY)  ## the long matrix; a third of it: make deep SHARD=1/3
	$(PYTEST) -m "deep and not long and not crowd" --shard $(SHARD) --timeout 900

long: $(READY)  ## what takes too long for every change; a third of it: make long SHARD=1/3
	$(PYTEST) -m long --shard $(SHARD) --timeout 900

crowd: $(READY)  ## 32 clusters on 32 threads, clouds and all in one process
	$(BIN)/pytest -q -m crowd --timeout 900

real: $(READY)  ## one cluster's life on a real account, which costs money: make real CLOUD=eks PROFILE=profile.yaml
	@$(BIN)/python tools/real.py --cloud "$(CLOUD)" --profile "$(PROFILE)"

counts: $(READY)  ## record how many tests there are: the number may not fall
	$(BIN)/python tools/count_tests.py --write

cover: $(READY)  ## the tests, with the coverage printed
	$(PYTEST) -m "not deep" --cov --cov-report term:skip-covered

pythons: $(READY)  ## every Python that pyproject.toml names, and the wheel; one: ONLY=3.13; all tests: WHOLE=1
	$(BIN)/python tools/try_pythons.py $(if $(WHOLE),--whole) $(ONLY)

check: $(READY)  ## style, types, import rules, file lengths, generated documents, test counts
	$(BIN)/ruff check -q
	$(BIN)/ruff format -q --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/check_tree.py
	$(BIN)/python tools/gen_docs.py --check
	$(BIN)/python tools/gen_chart.py --check
	$(BIN)/python tools/gen_alibaba_models.py --check
	$(BIN)/python tools/gen_aws_models.py --check
	$(BIN)/python tools/gen_google_discovery.py --check
	$(BIN)/python tools/gen_azure_models.py --check
	$(BIN)/python tools/count_tests.py

fmt: $(READY)  ## bring the code into shape
	$(BIN)/ruff check -q --fix
	$(BIN)/ruff format -q

hooks: $(READY)  ## run `make check` before each commit
	$(BIN)/pre-commit install

lines: $(READY)  ## lines of code per folder, compared with the tag before-ground
	$(BIN)/python tools/count_code.py

bench: $(READY)  ## measure, against Terraform where it is installed
	-$(BIN)/python bench/engine.py
	-$(BIN)/python bench/critical_path.py
	-$(BIN)/python bench/terraform.py

docs: $(READY)  ## write the generated pages: docs/profile.md, portability.md, cli.md, verify.md, and the chart
	$(BIN)/python tools/gen_docs.py
	$(BIN)/python tools/gen_chart.py

permissions: $(READY)  ## measure in the sandbox and write docs/permissions (minutes)
	$(BIN)/python -m tests.drivers.permissions

facts: $(READY)  ## write facts/mismatches.tsv: where a driver treats an error otherwise than the facts
	$(BIN)/python -m tests.facts.mismatches

site: docs  ## write the documents as a web site to build/site
	@sh tools/install.sh "$(PYTHON)" "$(VENV)" dev site
	@rm -rf build/site build/pages && mkdir -p build/pages
	@git ls-files -co --exclude-standard '*.md' 'profiles/*.yaml' 'facts/*.tsv' | xargs cp --parents -t build/pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lock:  ## resolve the dependencies again (needs uv) into constraints.txt
	uv lock --upgrade
	@echo "# written by make lock" > constraints.txt
	uv export -q --frozen --all-extras --all-groups --no-emit-project \
	    --no-hashes --no-header --no-annotate >> constraints.txt
	@rm -f uv.lock  # it names an index, constraints.txt works with any

clean:  ## remove what the other targets made
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
