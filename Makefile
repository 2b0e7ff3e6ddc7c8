# Each target sets up what it needs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM := false
# Idle OpenMP threads must not spin: on a shared machine that slows a training step by a factor of 50.
export OMP_WAIT_POLICY := passive

.DEFAULT_GOAL := help
.PHONY: help setup docs demo test test-full lint format bench libero libero-env clean

# What `make libero` evaluates: a checkpoint folder; the demo's, which is trained first if it is missing.
POLICY ?= outputs/demo/train/checkpoints/last/pretrained_model

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with the tested versions

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' || \
	  { echo "Python 3.12 or newer is needed; set PYTHON=... or install what .python-version names"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	@# Compiled here: LeRobot's imports take three times as long where Python may not write its cache.
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: setup  ## sample episodes -> dataset -> training -> open-loop evaluation -> report, in minutes on a CPU
	PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/demo.sh

test: setup  ## the tests, under 10 minutes on 2 cores
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-full: setup  ## also the long ones
	$(BIN)/python -m pytest -m "slow or not slow" --timeout=1800

docs: setup  ## the documentation as a site in outputs/site, its reference written from the code
	$(BIN)/python scripts/write_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open outputs/site/index.html, or: $(BIN)/mkdocs serve"

lint: setup  ## ruff, types, the import rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## let ruff rewrite the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## measured speed beside named peers; writes benchmarks/results
	mkdir -p benchmarks/results
	for name in tfrecord conversion prefix_encoder pi05 pi05_wins waypoints waypoint_vla exact_statistics memory_estimate serving; do \
	  SVT_LOG=1 $(BIN)/python benchmarks/$$name.py | tee -a /dev/stderr | tail -n 1 > benchmarks/results/$$name.json; \
	done

libero-env: setup  ## the LIBERO simulator and its assets in an environment of its own
	$(BIN)/python scripts/libero_setup.py

libero: libero-env  ## one short episode in the LIBERO simulator with a trained checkpoint
	test -e $(POLICY) || $(MAKE) demo
	MUJOCO_GL=$${MUJOCO_GL:-egl} LIBERO_CONFIG_PATH=$(CURDIR)/.cache/libero \
	.venv-libero/bin/lerobot-eval --policy.path=$(POLICY) --policy.device=cpu \
	  --env.type=libero --env.task=libero_object --env.task_ids='[3]' \
	  --env.observation_height=64 --env.observation_width=64 --env.episode_length=60 \
	  --eval.n_episodes=1 --eval.batch_size=1 --eval.use_async_envs=false --output_dir=outputs/libero

clean:  ## remove what the targets made, environments included
	rm -rf outputs build dist .venv .venv-libero .cache *.egg-info
