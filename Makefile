# Berth's front door. Every target sets up what it needs, and says what it does while it works.

TARGET ?= aws
APP ?= examples/fibonacci
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# The newest Python that the pinned requirements know; override with PYTHON=/path/to/python3.
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$each"; break; }; done)

export PATH := $(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Each run of a playbook imports the plugins: where nothing is kept, it would compile them again for every task.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo down test test-unit test-machine lint bench scan platform images

help: ## What there is to do
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 22

demo: $(VENV)/.ready ## Deploy the sample app (or APP=dir) to TARGET (aws, digitalocean or local) with ARGS, such as '-e app_domain=…', and leave it running
	@python -m rehearsal demo --target '$(TARGET)' --app '$(APP)' $(if $(ARGS),-- $(ARGS))

down: $(VENV)/.ready ## Take away all that a demo or a test left on this machine
	@python -m rehearsal down --all

test: platform test-unit test-machine ## The whole test suite

test-unit: $(VENV)/.ready ## What needs no Docker
	python -m pytest -m "not docker" -n auto

test-machine: $(VENV)/.ready platform ## What needs Docker: images, roles, the sample app through its front door
	python -m pytest -m docker -n 2 --dist loadfile --no-loadscope-reorder --durations 40

platform: $(VENV)/.ready
	@python -m rehearsal platform --or-skip --browser

images: $(VENV)/.ready platform
	@python -m rehearsal images

lint: $(VENV)/.ready ## Check style and types
	ruff check .
	ruff format --check .
	mypy
	yamllint --strict .
	ansible-lint --offline

scan: $(VENV)/.ready platform ## Let Prowler look at the AWS account and Lynis at droplets, and print their tables
	python -m scan

bench: $(VENV)/.ready platform ## Measure, as ratios taken in one run
	python -m benchmarks

$(VENV)/.ready: requirements.txt requirements-dev.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "make: Berth needs Python 3.11 or later and found none; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; fi
	@echo "Setting up $(VENV) with $$($(PYTHON) --version): a minute or two, once"
	@$(PYTHON) -m venv --clear $(VENV) || { \
		echo "make: $(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
		rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install --quiet --requirement requirements.txt --requirement requirements-dev.txt
	@touch $@
