# maskmake: `make` alone lists the targets; each sets up what it needs on a fresh machine.
# Where they are not given, Python and GPU are those that .venv was set up with.
# Without pip, Python could not finish .venv, as on Debian without python3-venv.
PYTHON ?= $(if $(wildcard .venv/bin/pip),.venv/bin/python,python3)
# GPU=1 adds the CUDA libraries of TensorFlow and JAX (Linux, NVIDIA).
GPU ?= $(if $(wildcard .venv/.installed-requirements-gpu.lock),1,0)
$(if $(filter 0 1,$(GPU)),,$(error GPU is '$(GPU)'; write GPU=1 for the packages with CUDA, or GPU=0))
LOCK := $(if $(filter 1,$(GPU)),requirements-gpu.lock,requirements.lock)
FOUND = $(shell unset PYTHONHOME; $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
# With that of another Python, this one would not find its own library.
unexport PYTHONHOME
STAMP := .venv/.installed-$(LOCK)
TOOLS := .venv/.installed-requirements-dev.lock
BIN := .venv/bin
# A lock is complete, so pip has nothing to look for; it would want what the lock leaves out.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
  --require-hashes -r

# With what Python keeps of compiled code: the tests start a thousand processes.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
# Three processes, because on two processors one of them often waits for a cluster's queue.
IN_PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo new why check test test-all docs pictures lock sbom

help: ## list the targets
	@echo "make [target], with GPU=1 for CUDA and PYTHON=python3.12, say, for another Python:"
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' Makefile | awk -F'\t' '{printf "  %-10s %s\n", $$1, $$2}'
	@echo "Your own images: ./maskmake [target] config/mine.yaml; ./maskmake alone lists the targets."

setup: $(STAMP) ## install the locked packages into .venv

$(STAMP): $(LOCK)
	$(if $(filter $(FOUND),3.11 3.12 3.13),,$(error $(PYTHON) is $(if $(FOUND),Python $(FOUND),not there); \
	  expected Python 3.11 to 3.13; write make setup PYTHON=python3.12))
	@echo "Installing the packages of $(LOCK) into .venv; this takes one to seven minutes."
	$(if $(filter .venv/bin/python,$(PYTHON)),,$(PYTHON) -m venv --clear .venv)
	rm -f .venv/.installed-*
	$(INSTALL) $(LOCK)
	touch $@

# For checks and tests alone, beside the packages that all users have.
$(TOOLS): requirements-dev.lock $(STAMP)
	$(INSTALL) requirements-dev.lock
	touch $@

# As the command has them, and not the environment: WSL, for one, has the computer's name in NAME.
KIND = membranes
DATA =
NAME =
CONFIG =
TARGET =

# Each kind has a folder of its own for its results.
DEMO := demo$(if $(filter-out membranes,$(KIND)),-$(KIND))

demo: setup ## train on synthetic images (KIND=cracks, blobs or textures) and write their report
	@./maskmake config/config.yaml --config 'dataset={name: $(DEMO), synthesis: {kind: $(KIND)}}'

new: setup ## look at DATA=folder and write a configuration for it, config/NAME.yaml
	$(if $(DATA),,$(error DATA is not set; write make new DATA=folder))
	@$(BIN)/python workflow/new.py "$(DATA)" $(if $(NAME),"$(NAME)")

why: setup ## say what would run again, and why, for CONFIG=config/mine.yaml (and TARGET=masks)
	$(if $(CONFIG),,$(error CONFIG is not set; write make why CONFIG=config/mine.yaml))
	@./maskmake why $(TARGET) "$(CONFIG)"

check: setup $(TOOLS) ## style, types, layers and the fast tests
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/mypy
	PYTHONPATH=workflow/scripts $(BIN)/lint-imports --no-logo
	$(PYTEST) -n 2 --dist worksteal -q -m "not slow and not long" tests/unit

test: setup $(TOOLS) ## what must hold before a commit, and what CI runs
	$(PYTEST) $(IN_PARALLEL) -q

test-all: setup $(TOOLS) ## every test, all 128 networks included
	$(PYTEST) $(IN_PARALLEL) -q -m ""

docs: setup ## write docs/configuration.md and docs/reruns.md again from what they are made of
	$(BIN)/python docs/settings.py
	$(BIN)/python tests/reruns/table.py > docs/reruns.md

pictures: demo ## make the pictures of the README again; needs chromium
	$(BIN)/python docs/pictures.py

sbom: $(TOOLS) ## list the locked packages in maskmake.cdx.json, in the format CycloneDX
	$(BIN)/cyclonedx-py requirements --no-validate --output-reproducible -o maskmake.cdx.json $(LOCK)

# The locks hold for Python 3.11 to 3.13 and every platform that has wheels.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --custom-compile-command "make lock"

lock: ## renew the three locks; needs uv
	$(COMPILE) --extra workflow pyproject.toml -o requirements.lock
	$(COMPILE) --extra workflow --extra gpu --constraint requirements.lock pyproject.toml -o requirements-gpu.lock
	$(COMPILE) --group dev --constraint requirements.lock -o requirements-dev.lock
