PORT ?= 8501
# Left empty: the first Python here that fits.
PYTHON ?=
DATA ?=
BUNDLE ?=
PER_SITE ?=
OUT ?=
STRATEGY ?= medfedpure
PY := .venv/bin/python
# A process a core, and so one thread each; a file's tests stay together, as they share what is slow to load. Browser tests
# come last.
TESTS := OMP_NUM_THREADS=1 $(PY) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
COMPILE := .venv/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
           --custom-compile-command "make lock"

.PHONY: help run test test-fast lint style types contracts format tables federate lock chromium clean

help: ## say what make can do
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

# Streamlit itself says where the app is, once it listens there.
run: export PORT := $(PORT)
run: .venv/app ## serve the app on 127.0.0.1:8501 (another port: make run PORT=8600)
	@$(PY) tests/port.py "$$PORT"
	@$(PY) -m streamlit run app.py --server.address 127.0.0.1 --server.port "$$PORT"

test: .venv/test chromium ## run every test, the browser ones included
	$(TESTS)

test-fast: .venv/test ## run what answers within two minutes: nothing slow, no browser
	$(TESTS) -m "not slow" --ignore=tests/browser

lint: style types contracts ## check style, types and which module may import which

style: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/test
	.venv/bin/mypy

# Without its cache, which outlives a package that has moved.
contracts: .venv/test
	.venv/bin/lint-imports --no-logo --no-cache

format: .venv/test ## bring the code into the house's style
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

tables: .venv/app ## measure every figure again (DATA=FILE.npz or several, of another bundle than brain-mri with BUNDLE=NAME)
	@test -n "$(DATA)" || { echo "Say what to measure on: make tables DATA=FILE.npz"; exit 2; }
	$(PY) -m training.publish.tables --data $(DATA) $(if $(BUNDLE),--bundle $(BUNDLE)) $(if $(PER_SITE),--per-site $(PER_SITE))

federate: .venv/federation ## train between sites on this machine (DATA="A.npz B.npz" OUT=FOLDER STRATEGY=medfedpure)
	@test -n "$(DATA)" -a -n "$(OUT)" || { echo "Say what to train on and where to put it: make federate DATA=\"A.npz B.npz\" OUT=FOLDER"; exit 2; }
	@$(PY) -m core federate run --data $(DATA) --out $(OUT) --strategy $(STRATEGY)

# The extra comes first: whoever installs it on top of the app changes no version that the app runs with.
lock: .venv/test ## pin the whole tree again, after a change to one of the requirements
	$(COMPILE) requirements.txt requirements-federation.txt -o requirements-federation.lock
	$(COMPILE) requirements.txt -c requirements-federation.lock -o requirements.lock
	$(COMPILE) tests/requirements.txt -c requirements-federation.lock -o tests/requirements.lock

chromium: .venv/test
	@sh tests/browser/get-chromium.sh

.venv/app: requirements.lock
	@sh tests/make-venv.sh "$(PYTHON)"
	$(INSTALL) -r requirements.lock
	@touch $@

.venv/federation: .venv/app requirements-federation.lock
	$(INSTALL) -r requirements-federation.lock
	@touch $@

.venv/test: .venv/federation tests/requirements.lock
	$(INSTALL) -r tests/requirements.lock
	@touch $@

clean: ## remove .venv and every cache
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
