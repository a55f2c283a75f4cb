# The project's commands: `make` lists those that people use first, `make help-all` all. Each sets up what it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
MATRIX := 2.11.0 3.0.0
# Run by make test-all alone; 3.4 is a pre-release.
MORE_VERSIONS := 3.1.8 3.4.0b2
WORKERS ?= 3
# How many parts of the tests run side by side; 1: one after the other, their output as it comes.
JOBS ?= 3
# The fault matrix takes long, and the measurements are not what users install.
APART := tests/faults tests/benchmarks
E2E := $(patsubst tests/e2e/%/__init__.py,test-e2e-%,$(filter-out tests/e2e/smoke/%,$(wildcard tests/e2e/*/__init__.py)))
# The pages, and the tests that read them: tests/tools/test_parts.py.
PAGES := $(wildcard *.md) $(filter-out docs/_build/%,$(wildcard docs/*.md docs/*/*.md))
DOCUMENTED := tests/docs tests/assets/test_page.py tests/packaging/test_security_page.py \
	tests/testing/test_control.py tests/tools/test_parts.py \
	tests/triggers/test_chain_page.py
# A first answer, by the rule in CONTRIBUTING.md.
FAST := tests/api tests/chain tests/waits tests/tokens tests/hooks/test_hook.py tests/triggers/test_trigger.py \
	tests/triggers/test_chain.py tests/operators/test_submit.py tests/operators/test_wait.py tests/operators/test_collection.py \
	tests/operators/test_reingest_contracts.py tests/sensors/test_answers.py tests/sensors/test_collection.py tests/sensors/test_chain.py
IN_PROCESS := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
# They need the processes, servers and tools of the newest environment.
NEWEST_ONLY := tests/local_airflow tests/e2e tests/benchmarks tests/packaging tests/faults tests/key_search tests/tools
# They import no Airflow, and the libraries under them are the same in all environments: tests/packaging/test_pins.py.
SAME_EVERYWHERE := tests/api tests/testing

FIRST := install demo cluster test-fast test lint format
LIST := grep -hE '^[a-z0-9-]+:.*\#\# ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^\#]*\#\# (.*)/  make \1\t\2/'

.DEFAULT_GOAL := help
.PHONY: help help-all docs test-versions test-lowest install demo demo-stop cluster kills test test-all ci test-fast test-in-process test-slow test-faults test-benchmarks test-docs test-matrix \
	test-smoke test-e2e test-local-airflow test-kills test-soak bench soak lint audit dist-check format constraints clean

help: ## List the commands that people use first
	@$(LIST) | grep -E '^  make ($(subst $() $(),|,$(strip $(FIRST))))[[:space:]]' | expand -t 28
	@echo "All of them: make help-all"

help-all: ## List all commands
	@$(LIST) | expand -t 28

install: $(READY) ## Set up .venv with the pinned versions

$(READY): pyproject.toml dev/constraints.txt dev/tools/install.sh
	@PYTHON="$(PYTHON)" dev/tools/install.sh .venv dev/constraints.txt '.[test,lint,audit,docs,demo,cluster,bench,browser]'

demo: $(READY) ## Run example DAGs on a real Airflow (SCENARIO=reveal: a block starts them; KEEP=1 leaves the web UI up)
	@$(BIN)/python -m dev.demo $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(KEEP),--keep) $(if $(PORT),--port $(PORT)) $(if $(OUTCOME),--outcome $(OUTCOME))

demo-stop: $(READY) ## End what `make demo KEEP=1` left running
	@$(BIN)/python -m dev.demo --stop

cluster: $(READY) ## A whole cluster with web UI and example DAGs, until Ctrl-C: two workers, two triggerers, PostgreSQL, Redis
	@$(BIN)/python -m dev.cluster $(if $(PORT),--port $(PORT))

test: $(READY) ## Before a commit: lint, in-process tests on the newest Airflow, a short pass on a real one
	@$(BIN)/python -m dev.tools.parts --jobs $(JOBS) lint test-smoke test-in-process

test-all: $(READY) ## Before a release: every part, also the older Airflows, wheel and sdist, the cluster, kills, the short soak
	@$(BIN)/python -m dev.tools.parts --jobs $(JOBS) --all

ci: $(READY) ## What CI runs: make test and the older Airflows; what documents need where nothing else differs from CI_BASE
	@$(BIN)/python -m dev.tools.ci "$$CI_BASE"

test-fast: $(READY) ## A first answer: the rooms without Airflow, and one path of each task
	$(IN_PROCESS) -m "not e2e and not dag_run and not slow" $(FAST)

test-in-process: $(READY) ## The same, and whole DAG runs in one process
	$(IN_PROCESS) -m "not e2e and not slow" $(APART:%=--ignore %)

test-slow: $(READY) ## The in-process tests that are marked as slow
	$(IN_PROCESS) -m "not e2e and slow" $(APART:%=--ignore %) --ignore tests/packaging

test-faults: $(READY) ## Each fault of the service in each place where it can come
	$(IN_PROCESS) tests/faults

test-benchmarks: $(READY) ## The measurements themselves
	$(IN_PROCESS) -m "not e2e" tests/benchmarks

test-docs: docs ## What the documents say, link to and show
	$(BIN)/ruff format --check --preview $(PAGES)
	$(BIN)/python -m pytest $(DOCUMENTED)

docs: $(READY) ## Build the documentation, every link in it checked: docs/_build/index.html
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder html docs docs/_build

test-matrix: $(MATRIX:%=test-airflow-%) ## Unit and integration tests on Airflow 2.11 and the lowest 3.x

test-airflow-%: .venvs/%/.ready
	PYTHONPATH= .venvs/$*/bin/python -m pytest -m "not e2e" -n $(WORKERS) --dist worksteal -p no:cacheprovider $(NEWEST_ONLY:%=--ignore %) $(SAME_EVERYWHERE:%=--ignore %)

.venvs/%/.ready: pyproject.toml dev/constraints/airflow-%.txt dev/tools/install.sh
	@PYTHON="$(PYTHON)" dev/tools/install.sh .venvs/$* dev/constraints/airflow-$*.txt '.[test]'

test-versions: $(MORE_VERSIONS:%=test-airflow-%) test-lowest ## The same on Airflow 3.1, the 3.4 pre-release, and with the lowest versions of all direct dependencies

test-lowest: .venvs/lowest/.ready
	PYTHONPATH= .venvs/lowest/bin/python -m pytest -m "not e2e" -n $(WORKERS) --dist worksteal -p no:cacheprovider $(NEWEST_ONLY:%=--ignore %)

.venvs/lowest/.ready: pyproject.toml dev/constraints/lowest.txt dev/tools/install.sh
	@PYTHON="$(PYTHON)" dev/tools/install.sh .venvs/lowest dev/constraints/lowest.txt '.[test]'

.venvs/3.4.0b2/.ready: export UV_PRERELEASE := allow

.PRECIOUS: .venvs/%/.ready

test-smoke: $(READY) ## Each operator and sensor once on one real Airflow
	$(BIN)/python -m pytest tests/e2e/smoke

test-e2e: $(READY) ## The other tests on real Airflow processes
	@$(BIN)/python -m dev.tools.parts --jobs $(JOBS) test-local-airflow $(E2E)

test-local-airflow: $(READY) ## The real Airflow that they use, and the load of make bench RUN=scale in small
	$(BIN)/python -m pytest -m e2e tests/local_airflow tests/benchmarks

test-e2e-%: $(READY)
	$(BIN)/python -m pytest tests/e2e/$*

test-kills: $(READY) ## Several kills in a row on the cluster, over 40 waits
	$(BIN)/python -m pytest tests/e2e/cluster/test_kills.py

test-soak: $(READY) ## Two minutes of make soak
	$(BIN)/python -m pytest tests/e2e/cluster/test_soak.py

kills: $(READY) ## Each kill on the cluster as a scenario of its own (an hour; WAITS=200 in each)
	CLUSTER_WAITS=$(or $(WAITS),200) CLUSTER_KILLS=each $(BIN)/python -m pytest -m e2e tests/e2e/cluster/test_kills.py tests/e2e/cluster/test_the_key.py

bench: $(READY) ## Measure this package beside its peers (half an hour; RUN=polls for one comparison); tables and JSON in dev/benchmarks/results
	$(BIN)/python -m dev.benchmarks $(if $(RUN),--only $(RUN))

soak: $(READY) ## What grows while a whole cluster works (MINUTES=30; LOAD=core or idle to compare); tables, picture and JSON
	$(BIN)/python -m dev.benchmarks.soak --minutes $(or $(MINUTES),30) $(if $(LOAD),--load $(LOAD))

lint: docs ## ruff, mypy --strict, import-linter, deptry, bandit, pip-audit; the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ruff format --check --preview $(PAGES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive airflow_provider_alchemy dev example_dags
	$(BIN)/python -m dev.tools.audit --allow-unaudited

audit: $(READY) ## Look for known weaknesses of the pinned packages; fails where the advisory service is out of reach
	$(BIN)/python -m dev.tools.audit

dist-check: $(READY) ## Build wheel and sdist, look into them, use the wheel in an empty environment
	INDEX_HTTPS_PROXY="$${HTTPS_PROXY:-$$https_proxy}" INDEX_NO_PROXY="$${NO_PROXY:-$$no_proxy}" \
		$(BIN)/python -m pytest -m slow tests/packaging -n 2 --dist loadfile

format: $(READY) ## Write the code as ruff wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/ruff format --preview $(PAGES)

constraints: $(READY) ## Pin the newest versions that fit
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		pyproject.toml --extra test --extra lint --extra audit --extra docs --extra demo --extra cluster --extra bench --extra browser -o dev/constraints.txt
	$(BIN)/uv pip compile -q --resolution lowest-direct --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		pyproject.toml | $(BIN)/uv pip compile -q --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		pyproject.toml --extra test -c - -o dev/constraints/lowest.txt
	for version in $(MATRIX) $(MORE_VERSIONS); do \
		echo "apache-airflow==$$version" | $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 \
			--prerelease if-necessary-or-explicit --no-header --no-annotate --no-emit-index-url pyproject.toml --extra test -c - \
			-o dev/constraints/airflow-$$version.txt || exit 1; \
	done

clean: ## Remove what the other commands made
	rm -rf .venv .venvs .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
