# `make demo` and `make test` do it all, on a machine with make and Python 3.11 or newer.

PYTHON ?= python3
BIN := .venv/bin
# Only who is not root and may not become it without a password is asked for one, and only to install an engine.
ASK := $(shell [ -S /var/run/docker.sock ] || [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null || echo --ask-become-pass)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Scenarios with engines of their own, which can run beside those on the user's.
APART := fleet crash readme report
LINTERS := yamllint ansible-lint ruff mypy shellcheck check-jsonschema

.PHONY: help demo test announce setup engine browser lint $(LINTERS) docs unit molecule $(APART:%=molecule-%) molecule-others
.PHONY: reliability bench picture lock

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 13

demo: setup ## install what is missing; then build, write, read, and write build/report.html
	@$(BIN)/ansible-playbook site.yml --extra-vars demo_report=build/report.html
	@printf '%s\n' 'What to try next:' \
	  '  open build/report.html in a browser               what came, what went, what stayed' \
	  '  $(BIN)/ansible-playbook site.yml               again: changed=0, the names are in the volume' \
	  '  $(BIN)/ansible-playbook playbooks/backup.yml   a snapshot of the data, in backups/' \
	  '  $(BIN)/ansible-playbook teardown.yml           removes it all, the data too'

# Two at a time, the longest first.
test: setup ## install what is missing, then run every check
	@$(MAKE) --no-print-directory --jobs=2 molecule-others $(APART:%=molecule-%) lint unit

setup: announce .venv/installed engine ## install what is missing: .venv and Docker Engine

announce:
	@[ -e .venv/installed ] || echo 'Will install into .venv: the packages of requirements.txt, from the Python package index'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || echo 'Will install as root: python3-venv, a package of this system'
	@[ -n "$$DOCKER_HOST" ] || [ -S /var/run/docker.sock ] || command -v dockerd >/dev/null \
	  || echo 'Will install as root, and start: docker.io, the Docker Engine of Debian and Ubuntu'

engine: .venv/installed
	@$(BIN)/ansible-playbook playbooks/engine.yml $(ASK)

browser:
	@for program in chromium google-chrome chromium-browser; do command -v $$program >/dev/null && exit; done; \
	echo 'Will install as root: chromium, a package of this system, to look at the report'; \
	$(SUDO) apt-get update -qq && $(SUDO) apt-get install -qq --yes --no-install-recommends chromium >/dev/null

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
	$(BIN)/mypy files playbooks roles tests examples .config/venv/compiled_modules.py
	$(BIN)/mypy molecule

shellcheck:
	$(BIN)/shellcheck .ci/run .config/venv/molecule

check-jsonschema:
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*

docs: .venv/installed ## write each role's arguments into its README
	$(BIN)/ansible-playbook docs/roles.yml

unit: .venv/installed ## run the tests that need no engine
	$(BIN)/pytest tests

molecule: .venv/installed ## run every Molecule scenario, on the engine
	@$(MAKE) --no-print-directory --jobs=2 molecule-others $(APART:%=molecule-%)

molecule-report: browser

$(APART:%=molecule-%): molecule-%:
	$(BIN)/molecule test --scenario-name $*

molecule-others:
	$(BIN)/molecule test --all $(APART:%=--exclude %)

reliability: ROUNDS ?= 200
reliability: setup ## kill writers and engines, fill disks, damage files, ROUNDS times; print a table of figures
	ROUNDS=$(ROUNDS) COLUMNS=500 $(BIN)/molecule test -s crash

bench: setup ## measure site.yml on 1 to 32 hosts; then all beside plain Docker and Compose, into docs/benchmarks.md
	cd molecule && ../$(BIN)/python -m benchmarks.scaling
	cd molecule && ../$(BIN)/python -m benchmarks.bench

picture: demo browser ## write docs/report.*.png, the pictures of the report
	cd molecule && ../$(BIN)/python -m benchmarks.screenshots

lock: ## write requirements.txt anew from requirements.in
	$(PYTHON) -m venv build/uv
	build/uv/bin/pip install --quiet uv
	build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --custom-compile-command 'make lock' --output-file requirements.txt requirements.in

# Compiling only what is used, on all cores, saves a third of the time; not compiling would double each play's.
.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -qq --yes python3-venv >/dev/null; }
	@echo 'Installing into .venv, which takes about a minute'
	@rm -rf .venv  # venv --clear would empty what a link points to
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --no-user --disable-pip-version-check --no-compile --require-hashes --requirement requirements.txt
	@cp .config/venv/molecule $(BIN)/molecule
	@packages=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
	  && cp .config/venv/compiled_modules.py "$$packages" && echo 'import compiled_modules' > "$$packages/compiled_modules.pth"
	@$(BIN)/python -m compileall -qq -j 0 -x 'ansible_collections/(?!community/docker)' .venv/lib
	@touch $@
