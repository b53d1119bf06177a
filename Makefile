# One line each; `make` is what CI asks first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: all demo test check test-system campaign bench golden lock new-connector
all: check test

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.proof: requirements-proof.lock $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-compile -r requirements-proof.lock
	@touch $@

demo: $(VENV)/.ready  ## the main job on a made-up company, from nothing
	$(BIN)/python -m sandbox.demo

test: $(VENV)/.ready  ## everything that needs no other server
	$(BIN)/python -m pytest -m "not system and not campaign"

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

test-system: $(VENV)/.proof  ## real servers, vendor clients, kill campaigns, and a little of `make campaign`
	ONEFOLD_CAMPAIGN_REQUESTS=2000 $(BIN)/python -m pytest -m "system or campaign"

campaign: $(VENV)/.ready  ## hostile input for minutes; prints its seed, ONEFOLD_CAMPAIGN_SEED=N replays it
	$(BIN)/python -m pytest -m campaign -s

bench: $(VENV)/.ready  ## figures of the rooms that exist
	$(BIN)/python benchmarks/identity.py
	$(BIN)/python benchmarks/state.py
	$(BIN)/python benchmarks/plan.py
	$(BIN)/python benchmarks/plan.py --accounts 1000000 --runs 1
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/suggest.py
	$(BIN)/python benchmarks/febrl.py
	$(BIN)/python benchmarks/inbox.py
	$(BIN)/python benchmarks/soon.py
	$(BIN)/python benchmarks/sources.py

golden: $(VENV)/.ready  ## write the golden files anew; read the diff before you commit it
	ONEFOLD_GOLDEN=write $(BIN)/python -m pytest tests/golden

lock:  ## needs uv
	uv export --quiet --format requirements-txt --no-emit-project --group dev | $(PYTHON) .ci/lock.py requirements.lock
	uv export --quiet --format requirements-txt --no-emit-project --group dev --group proof | $(PYTHON) .ci/lock.py requirements-proof.lock
	rm -f uv.lock

new-connector: $(VENV)/.ready  ## make new-connector KIND=okta
	$(BIN)/python -m connectors.new $(KIND)
