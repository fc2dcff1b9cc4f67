# `make demo` and `make test` do it all, on a machine with make and Python 3.11 or newer.

PYTHON ?= python3
BIN := .venv/bin
# Only who is not root and may not become it without a password is asked for one, and only to install an engine.
ASK := $(shell [ -S /var/run/docker.sock ] || [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null || echo --ask-become-pass)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# Molecule calls Ansible's programs by name: with this line in a .pth file it finds those beside it, though nothing is activated.
FIND_EACH_OTHER := import os, sys; os.environ["PATH"] = sys.prefix + "/bin" + os.pathsep + os.environ.get("PATH", os.defpath)
# Ansible sends each module as an archive of sources, which Python would compile anew in each task. With this line the modules
# that run on this machine take Ansible's library and community.docker from .venv, where the same sources are compiled.
TAKE_COMPILED := import sys; program = str(sys.orig_argv); "/AnsiballZ_" in program and __import__("ansible.module_utils"); \
  "/AnsiballZ_docker_" in program and __import__("ansible_collections.community.docker.plugins.module_utils")

LINTERS := yamllint ansible-lint ruff mypy shellcheck check-jsonschema

.PHONY: help demo test setup engine lint $(LINTERS) docs unit molecule molecule-crash molecule-fleet molecule-others \
  reliability bench lock

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 13

demo: setup ## install what is missing, then build, write and read
	$(BIN)/ansible-playbook site.yml

# Two scenarios have engines of their own only, and run beside the others; two rows of work are as long as each other.
test: setup ## install what is missing, then run every check
	$(MAKE) --jobs=2 molecule-others lint unit molecule-fleet molecule-crash

setup: .venv/installed engine ## install what is missing: .venv and Docker Engine

engine: .venv/installed
	$(BIN)/ansible-playbook playbooks/engine.yml $(ASK)

lint: $(LINTERS) ## check how everything is written

# One by one, so that .pre-commit-config.yaml can run those that a commit has files for.
$(LINTERS): .venv/installed

yamllint:
	$(BIN)/yamllint --strict .

ansible-lint:
	$(BIN)/ansible-lint --offline --strict

ruff:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

mypy:
	$(BIN)/mypy files roles tests
	$(BIN)/mypy molecule

shellcheck:
	$(BIN)/shellcheck .ci/run

check-jsonschema:
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*

docs: .venv/installed ## write each role's arguments into its README
	$(BIN)/ansible-playbook docs/roles.yml

unit: .venv/installed ## run the tests that need no engine
	$(BIN)/pytest tests

molecule: .venv/installed ## run every Molecule scenario, on the engine
	$(MAKE) --jobs=2 molecule-others molecule-fleet molecule-crash

molecule-fleet molecule-crash: molecule-%:
	$(BIN)/molecule test --scenario-name $*

molecule-others:
	$(BIN)/molecule test --all --exclude crash --exclude fleet

reliability: ROUNDS ?= 200
reliability: setup ## kill writers and engines, fill disks, damage files, ROUNDS times; print a table of figures
	ROUNDS=$(ROUNDS) COLUMNS=500 $(BIN)/molecule test -s crash

bench: setup ## measure site.yml on 1 to 32 hosts; then all beside plain Docker and Compose, into docs/benchmarks.md
	$(BIN)/python molecule/growth.py
	$(BIN)/python molecule/bench.py

lock: ## write requirements.txt anew from requirements.in
	$(PYTHON) -m venv build/uv
	build/uv/bin/pip install --quiet uv
	build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --custom-compile-command 'make lock' --output-file requirements.txt requirements.in

# Compiling only what is used, on all cores, saves a third of the time; not compiling would double each play's.
.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(SUDO) apt-get update && $(SUDO) apt-get install --yes python3-venv; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes --requirement requirements.txt
	$(BIN)/python -m compileall -qq -j 0 -x 'ansible_collections/(?!community/docker)' .venv/lib
	printf '%s\n' '$(FIND_EACH_OTHER)' '$(TAKE_COMPILED)' \
	  > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/path.pth"
	touch $@
