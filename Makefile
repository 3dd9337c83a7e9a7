# Everything that a developer or CI runs. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PYTHON := $(VENV)/bin/python
CLUSTER := $(PYTHON) -m tests.cluster
# What is installed and tested on purpose elsewhere goes to the current KUBECONFIG, if there is one.
CURRENT_CLUSTER := $(CLUSTER) $(if $(KUBECONFIG),--kubeconfig $(KUBECONFIG))
IMAGES := operator example postgres pgbouncer
IMAGE ?= poolbudget/operator:dev

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.synced ## Create .venv from the lock

# uv itself comes from PyPI into a venv of its own; the project's venv holds only what the lock names.
$(VENV)/.synced: pyproject.toml uv.lock
	python3 -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
	.uv/bin/uv sync --frozen --quiet
	touch $@

.PHONY: lint
lint: setup ## Check style, types and the architecture contract
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

.PHONY: generate
generate: setup ## Make the CRD and its reference from the models
	$(PYTHON) -m poolbudget.api.crd > crds/poolbudget.dev_poolbudgets.yaml
	$(PYTHON) -m poolbudget.api.reference > docs/reference.md

.PHONY: test
test: setup cluster-up images ## Run every test
	$(CLUSTER) exec -- $(VENV)/bin/pytest

.PHONY: unit
unit: setup ## Run the tests that need no cluster
	$(VENV)/bin/pytest tests/unit tests/properties

# A copy, since kustomize takes no absolute path and nothing in the checkout should change.
.PHONY: install
install: setup ## Deploy to the current cluster: IMAGE=registry.example/poolbudget/operator:tag
	target=$$(mktemp -d); trap 'rm -rf "$$target"' EXIT; \
	cp -r crds deploy "$$target"; mkdir "$$target/install"; \
	printf '%s\n' 'resources: [../deploy]' 'patches:' '- target: {kind: Deployment}' '  patch: |-' \
	  '    - {op: replace, path: /spec/template/spec/containers/0/image, value: "$(IMAGE)"}' \
	  > "$$target/install/kustomization.yaml"; \
	$(CURRENT_CLUSTER) exec -- kubectl apply --server-side --force-conflicts -k "$$target/install"; \
	$(CURRENT_CLUSTER) exec -- kubectl -n poolbudget-system rollout status deployment --timeout=120s

.PHONY: soak
soak: setup cluster-up images ## Run the models for long, and ask a million queries of a pooler
	$(VENV)/bin/pytest -s --hypothesis-profile=soak tests/properties/test_ledger_model.py tests/properties/test_moved_pods.py
	QUERIES=1000000 $(CLUSTER) exec -- $(VENV)/bin/pytest -s tests/e2e/test_statements.py

.PHONY: e2e
e2e: setup ## Run functional and end-to-end tests, also on another cluster: KUBECONFIG=...
	$(CURRENT_CLUSTER) exec -- $(VENV)/bin/pytest tests/functional tests/e2e

.PHONY: bench
bench: setup cluster-up images ## Measure, side by side with something to compare with: ONLY=modes
	$(PYTHON) -m tests.bench.kwok
	$(CLUSTER) exec -- $(PYTHON) -m tests.bench $(ONLY)

CHAOS = $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(if $(HEADROOM),--headroom $(HEADROOM)) \
  $(if $(CHECK_INTERVAL_MS),--check-interval-ms $(CHECK_INTERVAL_MS))

.PHONY: chaos
chaos: setup cluster-up images ## Let faults happen to real pods at a real Postgres: SECONDS=600 SEED=7
	$(CLUSTER) exec -- $(PYTHON) -m tests.chaos $(CHAOS)

.PHONY: demo
demo: setup cluster-up images ## Show the whole path on a real cluster with real Postgres (KEEP=1 leaves it running)
	$(CLUSTER) exec -- $(PYTHON) -m examples.demo

.PHONY: images
images: setup ## Build the images and load them into the cluster
	$(PYTHON) -m tests.cluster.images $(IMAGES) | xargs --no-run-if-empty $(CLUSTER) load

.PHONY: cluster-up
cluster-up: setup ## Start a kind cluster for this checkout
	$(CLUSTER) up

.PHONY: cluster-down
cluster-down: setup ## Remove the cluster and everything that it started
	$(CLUSTER) down

.PHONY: cluster-load
cluster-load: setup ## Load an image archive into the cluster: IMAGE=x.tar
	$(CLUSTER) load $(IMAGE)

.PHONY: cluster-exec
cluster-exec: setup ## Run a command where the cluster can be reached: CMD="kubectl get pb -A"
	$(CLUSTER) exec -- bash -c '$(CMD)'
