# For a fresh clone: `make demo` and `make test` first set up all that they need, in .venv and, on Debian and
# its relatives, with apt-get where a system package is missing. A second run skips the setup.

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/ready
ARGS :=

# Settings of the caller's own Python would leak into the environment.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX

.PHONY: help demo test lint venv clean
.NOTPARALLEL:

help:
	@echo "make demo   a simulated microscope and a live copy of it"
	@echo "make test   lint, then all tests; make test ARGS='-k resume' for some"
	@echo "make lint   ruff, mypy, import-linter"
	@echo "make venv   set up $(VENV) only"
	@echo "make clean  remove $(VENV) and everything that was built"

demo: $(READY)
	@$(VENV)/bin/softcopy demo $(ARGS)

test: lint
	@$(PYTHON) -m pytest -q -n 4 $(ARGS)

lint: $(READY)
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo

venv: $(READY)
	@:

# The stamp holds the checkout's place: an environment does not survive being moved, nor the loss of its Python.
ifneq ($(shell $(PYTHON) -c "" 2>/dev/null && cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

$(READY): pyproject.toml src/softcopy_napari/__init__.py tools/setup_venv.sh
	@bash tools/setup_venv.sh $(VENV) demo,dev,test

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
