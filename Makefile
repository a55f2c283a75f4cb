# The project's commands; `make` or `make help` lists them. Each sets up what it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
MATRIX := 2.11.0 3.0.0
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help install demo demo-stop test test-fast test-matrix test-e2e bench lint format constraints clean

help: ## List the commands
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 22

install: $(READY) ## Set up .venv with the pinned versions

$(READY): pyproject.toml constraints.txt tools/install.sh
	@PYTHON="$(PYTHON)" tools/install.sh .venv constraints.txt '.[test,lint,demo,bench]'

demo: $(READY) ## Run example DAGs on a real Airflow (SCENARIO=reveal: a block starts them; KEEP=1 leaves the web UI up)
	@$(BIN)/python -m demo $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(KEEP),--keep) $(if $(PORT),--port $(PORT)) $(if $(OUTCOME),--outcome $(OUTCOME))

demo-stop: $(READY) ## End what `make demo KEEP=1` left running
	@$(BIN)/python -m demo --stop

test: lint test-newest test-matrix test-e2e ## Everything that CI runs

test-fast: $(READY) ## Unit and integration tests on the newest Airflow, in under a minute
	$(BIN)/python -m pytest -m "not e2e and not dag_run and not slow" -n $(WORKERS) --dist worksteal

test-newest: $(READY) ## The same, and whole DAG runs in one process
	$(BIN)/python -m pytest -m "not e2e" -n $(WORKERS) --dist worksteal

test-matrix: $(MATRIX:%=test-airflow-%) ## Unit and integration tests on Airflow 2.11 and the lowest 3.x

test-airflow-%: .venvs/%/.ready
	PYTHONPATH= .venvs/$*/bin/python -m pytest -m "not e2e" -n $(WORKERS) --dist worksteal -p no:cacheprovider --ignore tests/local_airflow --ignore tests/e2e --ignore tests/benchmarks

.venvs/%/.ready: pyproject.toml constraints/airflow-%.txt tools/install.sh
	@PYTHON="$(PYTHON)" tools/install.sh .venvs/$* constraints/airflow-$*.txt '.[test]'

.PRECIOUS: .venvs/%/.ready

test-e2e: $(READY) ## End-to-end tests on real Airflow processes
	$(BIN)/python -m pytest -m e2e

bench: $(READY) ## Measure this package beside its peers (half an hour; RUN=polls for one comparison); tables and JSON in benchmarks/results
	$(BIN)/python -m benchmarks $(if $(RUN),--only $(RUN))

lint: $(READY) ## ruff, mypy --strict, import-linter, deptry
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

format: $(READY) ## Write the code as ruff wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: $(READY) ## Pin the newest versions that fit
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		pyproject.toml --extra test --extra lint --extra demo --extra bench -o constraints.txt
	for version in $(MATRIX); do \
		echo "apache-airflow==$$version" | $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 \
			--no-header --no-annotate --no-emit-index-url pyproject.toml --extra test -c - \
			-o constraints/airflow-$$version.txt || exit 1; \
	done

clean: ## Remove what the other commands made
	rm -rf .venv .venvs .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
