# Every command a person types. `make help` lists them.
PYTHON ?= python3
BOOTSTRAP = PYTHONPATH=libs/terrane_cli:libs/terrane_dev/src PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m terrane_cli.bootstrap
TERRANE = .venv/bin/terrane
SPATIAL = cd libs/terrane_spatial && ../../code_locations/spatial/.venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help setup demo up down status doctor check test lint format location location-remove locations lock docs hooks clean cluster cluster-down cluster-status charts test-cluster test-environments test-locations bench-spatial bench-spatial-scale bench-features bench-platform bench-locations bench-flow bench-analytics mutate-charts simulate story-with-faults feast-repositories dbt-projects fuzz mutate generated-files real-files

help:  ## List the commands
	@awk -F ':.*## ' '/^[a-z -]+:.*## / {split($$1, names, " "); for (i = 1; i in names; i++) printf "  make %-16s %s\n", names[i], $$2}' $(MAKEFILE_LIST)

setup:  ## Install what is missing: uv, Postgres with PostGIS, Redis, one environment a location
	@$(BOOTSTRAP)

demo: setup  ## Run the whole platform on real input, and show it (ONCE=1: end after the table)
	@$(TERRANE) demo $(if $(ONCE),--once)

up: setup  ## Start the platform and leave it running
	@$(TERRANE) up

down:  ## Stop what was started
	@test ! -x $(TERRANE) || $(TERRANE) down

status doctor:  ## Say what is missing, which ports are taken, and the state of every process
	@$(TERRANE) doctor

check: setup-development  ## Load every location's definitions in its own environment
	@$(TERRANE) check

test: setup-development  ## Run every test, each location's in its own environment (COVERAGE=1: and tell which lines none of them runs)
	@$(TERRANE) test

lint: setup-development  ## Check style, types, and that what is imported is declared
	@.venv/bin/ruff check && .venv/bin/ruff format --check && $(TERRANE) dependencies && $(TERRANE) types

format: setup-development  ## Put the code in style
	@.venv/bin/ruff check --fix --quiet; .venv/bin/ruff format

cluster: setup-cluster  ## Make a kind cluster, deploy, run the demo, follow changes (ONCE=1: end after the table; PROFILE=celery)
	@$(TERRANE) cluster up $(if $(ONCE),--once) $(if $(PROFILE),--profile $(PROFILE))

cluster-down:  ## Delete the kind cluster
	@$(TERRANE) cluster down

test-environments: setup-development  ## Run the story in two environments on the same stores, and compare what each has
	@.venv/bin/python -m pytest -q tests/environments

test-locations: setup-development  ## Make two locations of each kind, run their tests, the contracts and the charts' tests, and remove them
	@TERRANE_EVERY_KIND=1 .venv/bin/python -m pytest -q tests/contracts/test_new_location.py

test-cluster:  ## Run what needs a cluster, on one of its own (a container engine, kind, helm, skaffold)
	@$(BOOTSTRAP) --development --only workspace --without-stores
	@.venv/bin/python -m pytest -q tests/images tests/cluster

charts: setup-cluster  ## Get the charts' dependencies: what plain helm and skaffold want
	@$(TERRANE) cluster charts

cluster-status:  ## Say of every pod on the cluster where it belongs and how it is
	@$(TERRANE) cluster status

bench-spatial bench-features: setup-development  ## Measure a location beside the stock tools, and write docs/benchmarks.md (features: PARTS="growth mixed")
	@code_locations/$(@:bench-%=%)/.venv/bin/python -m benchmarks.$(@:bench-%=%) $(if $(PARTS),--parts $(PARTS)) $(if $(SIZES),$(SIZES))

bench-spatial-scale: setup-development  ## Measure intake and publishing after a million batches, on MinIO
	@code_locations/spatial/.venv/bin/python -m benchmarks.spatial.scale

bench-flow: setup-development  ## Measure loading, a day after ten years, and what faults lose (PARTS="dlt day": those alone)
	@code_locations/analytics/.venv/bin/python -m benchmarks.flow $(if $(PARTS),--parts $(PARTS))

dbt-projects: setup-development  ## Load every dbt project below FOLDER as it was published, and build those that ask for it
	@code_locations/analytics/.venv/bin/python -m benchmarks.analytics.projects $(abspath $(FOLDER))

bench-analytics: setup-development  ## Measure dbt through Dagster beside dbt alone, and loading 1,000 models (PARTS="builds": that alone)
	@code_locations/analytics/.venv/bin/python -m benchmarks.analytics $(if $(PARTS),--parts $(PARTS))

feast-repositories: setup-development  ## Compare 500 Feast repositories made at random, or those below FOLDER, with what stock Feast makes of them
	@code_locations/features/.venv/bin/python -m benchmarks.features.repositories $(if $(FOLDER),--folder $(abspath $(FOLDER)))

bench-platform: setup-development  ## Measure a local cluster of its own (COLD=1: with nothing cached as well)
	@.venv/bin/python -m benchmarks.platform $(if $(COLD),--cold) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-locations: setup-development  ## Make and remove a location of each kind on a platform that runs, and count what it takes and leaves
	@.venv/bin/python -m benchmarks.locations $(if $(ROUNDS),--rounds $(ROUNDS))

mutate-charts: setup-development  ## Put faults into the rendered charts, and count which of them the charts' tests notice
	@.venv/bin/python -m tests.charts.mutations

mutate: setup-development  ## Put N faults (200) into ROOM=<package>, as terrane_spatial.loading, and count those its tests notice
	@.venv/bin/python -m tests.mutation $(ROOM) $(if $(N),--number $(N)) $(if $(MINUTES),--minutes $(MINUTES)) \
	  $(if $(TESTS),--tests "$(TESTS)") $(if $(SURVIVORS),--survivors "$(SURVIVORS)")

simulate: setup-development  ## Play HISTORIES (default 300) of failures and late data through automation; goes on where it was stopped
	@.venv/bin/python -m terrane_dev.simulation --histories $(or $(HISTORIES),300)

story-with-faults: setup-development  ## Play the whole story while processes die, for MINUTES (10), and compare it with an undisturbed one
	@.venv/bin/python -m tests.faulty_story $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

fuzz: setup-development  ## Fuzz what hostile bytes reach first, for MINUTES each (default 10); finds are kept in .terrane/fuzz
	@for program in fuzz_manifests fuzz_rows; do mkdir -p .terrane/fuzz/$$program && \
	  ($(SPATIAL) tests/fuzz/$$program.py -max_total_time=$$(( $(or $(MINUTES),10) * 60 )) \
	  -artifact_prefix=$(CURDIR)/.terrane/fuzz/ $(CURDIR)/.terrane/fuzz/$$program) || exit 1; done

generated-files: setup-development  ## Make adversarial files of every format and load them, for MINUTES each (5), from SEED (1)
	@cd libs/terrane_spatial && GENERATED_SECONDS=$$(( $(or $(MINUTES),5) * 60 )) GENERATED_SEED=$(or $(SEED),1) \
	  ../../code_locations/spatial/.venv/bin/python -m pytest -q tests/cases/test_generated.py

real-files: setup-development  ## Try every spatial file below FILES: how many load, and why the others are refused
	@for program in real_files real_rasters; do \
	  ($(SPATIAL) -W ignore tests/real_files/$$program.py $(abspath $(FILES))) || exit 1; done

location: setup-cluster  ## Make a location: NAME=maps, KIND=plain, dbt, spatial or features
	@$(TERRANE) location $(NAME) $(if $(KIND),--kind $(KIND))

location-remove: setup-cluster  ## Remove a location, its code server, and its place everywhere: NAME=maps
	@$(TERRANE) location-remove $(NAME)

locations: setup-cluster  ## Write what follows from every location.yaml: chart entries, images, skaffold, workspace, the page of variables
	@$(TERRANE) locations

lock:  ## Compile every requirements.lock anew (UPGRADE=1: take the newest versions allowed)
	@$(TERRANE) lock $(if $(UPGRADE),--upgrade)

docs: setup  ## Write the pages that are made from code
	@$(TERRANE) locations
	@.venv/bin/python -m terrane_cli.charts.documentation

hooks: setup-development  ## Run the linters before every commit
	@.venv/bin/pre-commit install

clean: down  ## Remove .terrane: databases, buckets, logs, passwords
	@test ! -x $(TERRANE) || $(TERRANE) clean

# ONLY=spatial makes that environment alone; `workspace` is the root's.
.PHONY: setup-development setup-cluster
setup-development:
	@$(BOOTSTRAP) --development $(if $(ONLY),--only $(ONLY))

setup-cluster:
	@$(BOOTSTRAP) --only workspace --without-stores
