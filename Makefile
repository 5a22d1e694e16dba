# Two commands do everything: `make play` and `make test`. Both install what is missing.
.PHONY: play down test test-fast lint bench chaos docs setup
KUBEPLAY := .venv/bin/kubeplay

play: ## build the example's images, play it, show it, leave it running
	@tools/setup.sh run
	@examples/play.sh

down: ## remove the example
	@tools/setup.sh run
	@$(KUBEPLAY) kube down examples/manifests/10-guestbook.yaml

test: ## everything: linters, types, unit, real containers
	@tools/setup.sh test
	@tools/test.sh

test-fast: ## no root, no containers: for daily work
	@tools/setup.sh test
	@.venv/bin/pytest -q -n 2 -m 'not root and not slow' tests

lint:
	@.venv/bin/ruff check kubeplay tests bench docs tools schemas
	@.venv/bin/mypy

bench: ## alternating runs against Debian's podman; see docs/performance.md
	@tools/setup.sh bench
	@.venv/bin/python bench/run.py

chaos: ## 20 pods while supervisor, monitors, containers and commands are killed; under 3 minutes. SEED=N does it again
	@tools/setup.sh test
	@.venv/bin/python -m tests.chaos.run $(if $(SEED),--seed $(SEED))

docs: ## write the generated pages
	@.venv/bin/python docs/generate_cli.py
	@.venv/bin/python docs/generate_matrix.py
	@.venv/bin/python docs/generate_semantics.py

setup:
	@tools/setup.sh test
