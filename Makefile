# The project's commands; `make` or `make help` lists them. Each sets up what it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
MATRIX := 2.11.0 3.0.0
WORKERS ?= 3
# How many end-to-end Airflows run side by side: they mostly wait.
AIRFLOWS ?= 2
# They need the processes, servers and tools of the newest environment.
NEWEST_ONLY := tests/local_airflow tests/e2e tests/benchmarks tests/packaging tests/faults tests/key_search
# They import no Airflow, and the libraries under them are the same in all environments: tests/packaging/test_pins.py.
SAME_EVERYWHERE := tests/api tests/testing tests/tokens

.DEFAULT_GOAL := help
.PHONY: help install demo demo-stop cluster kills test test-in-process test-of-processes test-newest test-fast test-matrix test-e2e bench soak lint audit dist-check format constraints clean

help: ## List the commands
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 22

install: $(READY) ## Set up .venv with the pinned versions

$(READY): pyproject.toml constraints.txt tools/install.sh
	@PYTHON="$(PYTHON)" tools/install.sh .venv constraints.txt '.[test,lint,audit,demo,cluster,bench]'

demo: $(READY) ## Run example DAGs on a real Airflow (SCENARIO=reveal: a block starts them; KEEP=1 leaves the web UI up)
	@$(BIN)/python -m demo $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(KEEP),--keep) $(if $(PORT),--port $(PORT)) $(if $(OUTCOME),--outcome $(OUTCOME))

demo-stop: $(READY) ## End what `make demo KEEP=1` left running
	@$(BIN)/python -m demo --stop

cluster: $(READY) ## A whole cluster with web UI and example DAGs, until Ctrl-C: two workers, two triggerers, PostgreSQL, Redis
	@$(BIN)/python -m cluster $(if $(PORT),--port $(PORT))

test: lint ## Everything that CI runs
	@# Airflow's processes mostly wait for each other, and take it ill when they wait for a core: the others are nice.
	$(MAKE) --jobs 2 --output-sync=target test-in-process test-of-processes

test-in-process:
	@nice -n 5 $(MAKE) --jobs 1 test-newest test-matrix

test-of-processes:
	@$(MAKE) --jobs 1 dist-check test-e2e

test-fast: $(READY) ## Unit and integration tests on the newest Airflow, in under a minute
	$(BIN)/python -m pytest -m "not e2e and not dag_run and not slow" -n $(WORKERS) --dist worksteal

test-newest: $(READY) ## The same, and whole DAG runs in one process
	$(BIN)/python -m pytest -m "not e2e" -n $(WORKERS) --dist worksteal --ignore tests/packaging

test-matrix: $(MATRIX:%=test-airflow-%) ## Unit and integration tests on Airflow 2.11 and the lowest 3.x

test-airflow-%: .venvs/%/.ready
	PYTHONPATH= .venvs/$*/bin/python -m pytest -m "not e2e" -n $(WORKERS) --dist worksteal -p no:cacheprovider $(addprefix --ignore ,$(NEWEST_ONLY) $(SAME_EVERYWHERE))

.venvs/%/.ready: pyproject.toml constraints/airflow-%.txt tools/install.sh
	@PYTHON="$(PYTHON)" tools/install.sh .venvs/$* constraints/airflow-$*.txt '.[test]'

.PRECIOUS: .venvs/%/.ready

test-e2e: $(READY) ## End-to-end tests on real Airflow processes
	$(BIN)/python -m pytest -m e2e -n $(AIRFLOWS) --dist loadscope --no-loadscope-reorder

kills: $(READY) ## Each kill on the cluster as a scenario of its own (an hour; WAITS=200 in each)
	CLUSTER_WAITS=$(or $(WAITS),200) CLUSTER_KILLS=each $(BIN)/python -m pytest -m e2e tests/e2e/cluster/test_kills.py tests/e2e/cluster/test_the_key.py

bench: $(READY) ## Measure this package beside its peers (half an hour; RUN=polls for one comparison); tables and JSON in benchmarks/results
	$(BIN)/python -m benchmarks $(if $(RUN),--only $(RUN))

soak: $(READY) ## What grows while a whole cluster works (MINUTES=30; LOAD=core or idle to compare); tables, picture and JSON
	$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),30) $(if $(LOAD),--load $(LOAD))

lint: $(READY) ## ruff, mypy --strict, import-linter, deptry, bandit, pip-audit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive airflow_provider_alchemy local_airflow cluster demo benchmarks example_dags tools
	$(BIN)/python -m tools.audit --allow-unaudited

audit: $(READY) ## Look for known weaknesses of the pinned packages; fails where the advisory service is out of reach
	$(BIN)/python -m tools.audit

dist-check: $(READY) ## Build wheel and sdist, look into them, use the wheel in an empty environment
	INDEX_HTTPS_PROXY="$${HTTPS_PROXY:-$$https_proxy}" INDEX_NO_PROXY="$${NO_PROXY:-$$no_proxy}" \
		$(BIN)/python -m pytest tests/packaging -n 2 --dist loadfile

format: $(READY) ## Write the code as ruff wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: $(READY) ## Pin the newest versions that fit
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		pyproject.toml --extra test --extra lint --extra audit --extra demo --extra cluster --extra bench -o constraints.txt
	for version in $(MATRIX); do \
		echo "apache-airflow==$$version" | $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 \
			--no-header --no-annotate --no-emit-index-url pyproject.toml --extra test -c - \
			-o constraints/airflow-$$version.txt || exit 1; \
	done

clean: ## Remove what the other commands made
	rm -rf .venv .venvs .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
