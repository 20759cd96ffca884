# The commands of a checkout: `make help` lists them.
#
# The virtual environment is filled again only when pyproject.toml has changed.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The folder of recorded outcomes, and where `make train` writes the router.
DATA   ?= ../shared/data
OUT    ?= build/router
ENCODER ?= static
LABEL_static = 2
LABEL_minilm = 1
SETS   ?= mmlu_pro routellm zeroeval_math llmrouter_dc
# How many mutants `make mutants` tries, out of about 7,000; all of them take about three hours.
SAMPLE ?= 400
SEED   ?= 0
MEASURED ?= routerbench cascades $(SETS)
# What `make test-range` tests, and how it reads the supported versions from pyproject.toml.
RANGE = tests/standard tests/answers tests/backends tests/config tests/escalation tests/request tests/state tests/test_*.py
VERSIONS = grep -oE '"(langchain[a-z-]*|litellm)>=[0-9.]+(,<[0-9.]+)?' pyproject.toml | tr -d '"'

.DEFAULT_GOAL := help
.PHONY: help demo test test-range lint mutants architecture train benchmarks figures clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.llmroute-demo ## Route prompts to scripted models, offline; no key needed
	$(BIN)/llmroute demo

test: $(VENV)/.llmroute-dev lint ## Check style, types and layers, then run all tests
	$(BIN)/pytest

test-range: build/oldest/.made build/newest/.made ## Run LangChain's suites on the oldest and newest supported versions
	build/oldest/bin/python -m pytest $(RANGE)
	build/newest/bin/python -m pytest $(RANGE)

lint: $(VENV)/.llmroute-dev ## Only check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

architecture: $(VENV)/.llmroute-dev ## Print rooms, layers and circles; write them into docs/
	$(BIN)/python -m examples.reproduce.architecture --write docs

mutants: $(VENV)/.llmroute-dev ## Count the small faults of the core that no test notices. Options: SAMPLE=number|all SEED=number
	$(BIN)/python examples/reproduce/mutants.py $(SAMPLE) --seed $(SEED)

train: $(VENV)/.llmroute-train ## Train a bundled router again. Options: DATA=folder OUT=folder ENCODER=static|minilm
	$(BIN)/llmroute train $(addprefix $(DATA)/,$(SETS)) --out $(OUT) --encoder $(ENCODER) \
	  --name $(ENCODER) --label $(LABEL_$(ENCODER)) --weight routellm=2

benchmarks: $(VENV)/.llmroute-demo ## Replay recorded outcomes and write docs/benchmarks.md. Option: DATA=folder
	$(BIN)/llmroute eval $(foreach set,$(MEASURED),--data $(DATA)/$(set)) --shift \
	  --markdown docs/benchmarks.md

# All generated tables but the one of label modes, whose commands are in docs/routers.md.
figures: benchmarks $(VENV)/.llmroute-train ## Write the generated tables of the docs (hours). Option: DATA=folder
	$(BIN)/python -m examples.reproduce.escalation_benchmarks $(DATA) --write docs/escalation-benchmarks.md
	for features in words minilm; do \
	  $(BIN)/python -m examples.reproduce.router_comparison --features $$features \
	    $(foreach set,llmrouter_dc routerbench cascades mmlu_pro,$(DATA)/$(set)) \
	    --results build/routers.json && \
	  $(BIN)/python -m examples.reproduce.router_comparison --features $$features $(DATA)/routellm \
	    --without gsm8k --without mt_bench --results build/routers.json \
	    --write docs/routers.md || exit 1; \
	done
	$(BIN)/python -m examples.reproduce.router_floor \
	  $(foreach set,routerbench cascades mmlu_pro,$(DATA)/$(set)) --write docs/routers.md
	$(BIN)/python -m examples.reproduce.transfer $(foreach set,$(SETS),$(DATA)/$(set)) \
	  --measured $(DATA)/routerbench $(DATA)/cascades --encoder static minilm \
	  --weight routellm=2 --work build/transfer --write docs/transfer.md
	$(BIN)/python -m examples.reproduce.crossfit $(foreach set,$(SETS),$(DATA)/$(set)) \
	  --on routellm --write docs/router.md
	$(BIN)/python -m examples.reproduce.profile_figures \
	  $(foreach set,routerbench cascades mmlu_pro routellm=mmlu routellm=gsm8k llmrouter_dc,$(DATA)/$(set)) \
	  --unseen routerbench --unseen cascades --write docs/profile.md

clean: ## Remove the virtual environment, builds and caches
	rm -rf $(VENV) build dist mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find llmroute tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp a set of extras, so that `make demo` installs no more than it needs.
$(VENV)/.llmroute-demo: EXTRAS = cli,eval
$(VENV)/.llmroute-dev: EXTRAS = dev
$(VENV)/.llmroute-train: EXTRAS = train

$(VENV)/.llmroute-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[$(EXTRAS)]'
	@touch $@

build/oldest/.made: pyproject.toml
	$(PYTHON) -m venv build/oldest
	build/oldest/bin/python -m pip install --quiet -e '.[dev]' \
	  $$($(VERSIONS) | sed -E 's/>=([0-9.]+).*/==\1/')
	@touch $@

# pip takes the newest versions whose own requirements it can meet. The last install takes the
# newest there are; where pip could have them already, it changes nothing.
build/newest/.made: pyproject.toml
	$(PYTHON) -m venv build/newest
	build/newest/bin/python -m pip install --quiet --upgrade -e '.[dev]'
	build/newest/bin/python -m pip install --quiet --upgrade --no-deps $$($(VERSIONS))
	@touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
