# For a fresh clone: `make demo` and `make test` first set up all that they need, in .venv and, on Debian and
# its relatives, with apt-get where a system package is missing. A second run skips the setup.

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/ready
ARGS :=

# Tests with windows run with both Qt bindings at once, in three processes each, every one on a virtual screen of its
# own (those of what Qt has no part in, `either_binding`, in one of the six); all others without napari, which takes
# seconds to import. Most of a test is waiting: hence more processes than the two cores for which this is set.
WINDOWS := tests/widgets tests/plugin
process = --tx popen//env:QT_API=$(1)//env:SHARE=$(2)/3//env:SHARE_OF_EITHER=$(3)/6
BINDINGS := --dist each $(call process,pyqt6,1,1) $(call process,pyqt6,2,2) $(call process,pyqt6,3,3) \
    $(call process,pyside6,1,4) $(call process,pyside6,2,5) $(call process,pyside6,3,6) \
    --timeout-method thread --max-worker-restart 0
NO_NAPARI := -p no:napari -p no:npe2 -p no:pytest-qt

# Settings of the caller's own Python would leak into the environment; and tests start hundreds of Pythons, each of
# which would compile everything anew where no bytecode may be written.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX

.PHONY: help demo test soak bench docs lint venv clean
.NOTPARALLEL:

help:
	@echo "make demo   a simulated microscope and a live copy of it, in napari"
	@echo "make test   lint, then all tests; make test ARGS='-k resume' for some"
	@echo "make soak   what takes long: hundreds of killed engines, random orders, a million files (25 minutes at most)"
	@echo "make bench  measure it beside cp, rsync, rclone, ... and write docs/dev/benchmarks.md (30 minutes at most)"
	@echo "make docs   the documentation as a site, in build/site; fails where a link leads nowhere"
	@echo "make lint   ruff, mypy, import-linter"
	@echo "make venv   set up $(VENV) only"
	@echo "make clean  remove $(VENV) and everything that was built"

demo: $(READY)
	@$(VENV)/bin/softcopy demo $(ARGS)

# All of it, whatever comes of the first; lint while tests with windows wait. Exit code 5: ARGS leaves no test in one.
# What fails is tried twice more, half a minute later, and listed as RERUN: beside so many others a test may starve.
AGAIN := --reruns 2 --reruns-delay 30 --rerun-show-tracebacks
test: $(READY)
	@failed=0; \
	$(MAKE) --no-print-directory lint > $(VENV)/lint.txt 2>&1 & linting=$$!; \
	env -u DISPLAY -u WAYLAND_DISPLAY $(PYTHON) -m pytest -q $(AGAIN) $(BINDINGS) $(WINDOWS) $(ARGS) || [ $$? -eq 5 ] || failed=1; \
	wait $$linting || failed=1; cat $(VENV)/lint.txt; \
	$(PYTHON) -m pytest -q $(AGAIN) -n 6 --dist worksteal $(NO_NAPARI) $(addprefix --ignore=,$(WINDOWS)) $(ARGS) || [ $$? -eq 5 ] || failed=1; \
	exit $$failed

# Four at a time: most of them wait for engines to start and to be killed; but those that measure, alone. Then what
# strangers may write, tried with many more examples than by `make test` (a minute). Past 25 minutes something hangs.
MEASURING := tests/soak/test_benchmarks.py
LONGEST := tests/soak/test_kills.py# to begin with, so that not one of them is left at the end
SOAK := $(PYTHON) -m pytest -v $(NO_NAPARI) -m soak -o faulthandler_timeout=0
EXAMPLES := $(PYTHON) -m pytest -v $(NO_NAPARI) -m hypothesis --hypothesis-profile=soak -n 2
soak: $(READY)
	@failed=0; \
	timeout 1200 $(SOAK) -n 4 --dist worksteal $(addprefix --ignore=,$(WINDOWS) $(MEASURING)) $(LONGEST) tests $(ARGS) || [ $$? -eq 5 ] || failed=1; \
	timeout 300 $(SOAK) $(MEASURING) $(ARGS) || [ $$? -eq 5 ] || failed=1; \
	timeout 90 $(EXAMPLES) tests/security $(ARGS) || [ $$? -eq 5 ] || failed=1; \
	exit $$failed

# One after another, in the order of the page; a goal that is missed is told there and stops nothing.
bench: $(READY)
	@PYTHON=$(PYTHON) bash benchmarks/install_peers.sh
	@$(PYTHON) benchmarks/everything.py $(ARGS)

docs: $(READY)
	@$(PYTHON) tools/docs_options.py
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

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

$(READY): pyproject.toml hatch_build.py src/softcopy_napari/__init__.py $(wildcard src/softcopy_napari/engine/*/*.[ch] src/softcopy_napari/engine/*.h) tools/setup_venv.sh
	@bash tools/setup_venv.sh $(VENV)

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
