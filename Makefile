# make run     serve the app on 127.0.0.1:8501 (another port: make run PORT=8600)
# make test    run every test, the browser ones included
# make tables  measure every figure of the README again (needs DATA=FILE.npz, or CELLS=FILE.zip for the blood cells, or
#              TILES=FILE.zip for the lung tissue, or several of them)

PORT ?= 8501
PYTHON ?= $(shell command -v python3.11 || command -v python3)
DATA ?=
CELLS ?=
TILES ?=
PY := .venv/bin/python

.PHONY: run test tables chromium clean

run: .venv/app
	@echo "Purescan is at http://127.0.0.1:$(PORT)"
	@$(PY) -m streamlit run app.py --server.address 127.0.0.1 --server.port $(PORT)

test: .venv/test chromium
	$(PY) -m pytest

tables: .venv/app
	@test -n "$(DATA)$(CELLS)$(TILES)" || { echo "Say what to measure on: make tables DATA=FILE.npz CELLS=FILE.zip TILES=FILE.zip"; exit 2; }
	$(if $(DATA),$(PY) -m training.publish.tables --data $(DATA))
	$(if $(CELLS),$(PY) -m training.publish.tables --data $(CELLS) --bundle blood-cells)
	$(if $(TILES),$(PY) -m training.publish.tables --data $(TILES) --bundle lung-histology)

chromium: .venv/test
	@sh tests/browser/get-chromium.sh

.venv/app: requirements.txt
	@sh tests/make-venv.sh "$(PYTHON)"
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/test: .venv/app tests/requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

clean:
	rm -rf .venv
