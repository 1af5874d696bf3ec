# maskmake: `make demo` and `make test` are all a fresh machine needs.
PYTHON ?= python3
# GPU=1 adds the CUDA libraries of TensorFlow and JAX (Linux, NVIDIA).
GPU ?= 0
LOCK := $(if $(filter 1,$(GPU)),requirements-gpu.lock,requirements.lock)
STAMP := .venv/.installed-$(LOCK)
BIN := .venv/bin

.PHONY: setup demo test lock

setup: $(STAMP)

$(STAMP): $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "maskmake needs Python 3.11 to 3.13; call make with PYTHON=python3.12, say."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	touch $@

demo: setup
	$(BIN)/snakemake --cores 4 --resources gpu=1
	@echo "The report of the demo: results/demo/report.html"

# Three processes, because on two processors one of them often waits for a cluster's queue.
test: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# The locks hold for Python 3.11 to 3.13 and every platform that has wheels; needs uv.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group dev \
	  --no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group dev \
	  --no-emit-index-url --custom-compile-command "make lock" --extra gpu \
	  --constraint requirements.lock pyproject.toml -o requirements-gpu.lock
