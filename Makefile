# Everything that people do here by name. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help setup sandbox cluster test lint lock bench soak fidelity clean clean-cache \
	sandbox-start sandbox-stop sandbox-status sandbox-reset sandbox-env

PYTHON := .venv/bin/python

# The sandbox is here, whatever proxy leads to the rest of the world.
export NO_PROXY := 127.0.0.1,localhost,$(or $(no_proxy),$(NO_PROXY))
export no_proxy := $(NO_PROXY)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Bring system packages, Python environment, Pulumi engine and plugins (part of the others)
	@toolchain/run

sandbox: setup ## From nothing to a verified node image on this machine, with a summary
	@$(PYTHON) -m tools.tryout

cluster: setup ## From nothing to a Kubernetes cluster of two nodes with kernels of their own, on this machine
	@$(PYTHON) -m tools.cluster

test: ## Run all tests, the checks of `make lint` among them
	@toolchain/run --for-tests
	@$(PYTHON) -m pytest

lint: setup ## Check the sources: ruff, mypy, shellcheck, gofmt, go vet, CI files
	@$(PYTHON) -m tools.lint

lock: setup ## Pin all Python packages again, with their sums: requirements.lock
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		requirements-dev.txt --output-file requirements.lock

bench: setup ## Measure set-up, update, preview and machine boot; a table and JSON
	@$(PYTHON) -m benchmarks

soak: setup ## Disturb builds in some 1800 ways, for hours; goes on where it stopped. Writes docs/soak.md
	@$(PYTHON) -m tests.scenarios

sandbox-start: setup ## Start the sandbox's API and the artifact mirror
	@$(PYTHON) -m tools.local_cloud start

sandbox-stop: setup ## Stop the sandbox, its machines and the mirror; their state stays
	@$(PYTHON) -m tools.local_cloud stop

sandbox-status: setup ## Show what runs in the sandbox
	@$(PYTHON) -m sandbox status

sandbox-reset: setup ## Stop the sandbox and delete everything in it
	@$(PYTHON) -m sandbox reset

sandbox-env: setup ## Print variables that point other clients to the sandbox: eval "$(make -s sandbox-env)"
	@$(PYTHON) -m sandbox env

fidelity: setup ## Run the Terraform provider's own tests, schemathesis and the whole hcloud CLI against the sandbox. Writes docs/fidelity.md
	@$(PYTHON) -m tests.fidelity

clean: ## Stop everything and delete what was made in this checkout; asks before it deletes stack state (CLEAN_STATE=yes)
	@toolchain/clean

clean-cache: ## Delete the cache that all checkouts share
	@toolchain/clean --cache
