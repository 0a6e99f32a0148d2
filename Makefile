# The two commands of the README: `make report` and `make test`. Needs Python 3.11+, pip, make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
ALL := .venv/.all

.PHONY: report test lab speed lock clean

report: $(READY)  ## five reports on the sample company
	$(BIN)/aifactory run --workspace data/sample --out reports

# Two processes at once: more threads than processors would wait for each other.
test: export OMP_NUM_THREADS := 1
test: $(ALL)  ## lint, unit, notebook and browser tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -n 2 --dist worksteal -q
	$(BIN)/pytest -n 2 --dist loadfile -q -o addopts= --nbval-lax notebooks

lab: $(READY)  ## JupyterLab on the start notebook
	$(BIN)/jupyter lab notebooks/00_start.ipynb

speed: $(ALL)  ## benchmarks, printed as ratios
	$(BIN)/python tests/speed/road.py
	$(BIN)/python tests/speed/backtest.py

LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate -q --extra dev
lock:  ## renew both locks (needs uv): what a report needs, and that plus the optional engines
	$(LOCK) -o requirements.lock
	$(LOCK) --extra cluster --extra forecast -c requirements.lock -o requirements-all.lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/jupyter labextension disable "@jupyterlab/apputils-extension:announcements" 2>/dev/null
	touch $@

$(ALL): $(READY) requirements-all.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-all.lock
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache
