# make app          install once, then serve the page on http://127.0.0.1:7860
# make test         install once, then run every test; the page's run in headless Chromium
# make lint         ruff, as the tests run it
# make screenshots  pictures of the page in docs/screenshots
#
# PYTHON=/path/to/python3.11 chooses the interpreter, VENV=folder the environment, and
# CHROME=/path/to/chromium the browser.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --no-input

# An empty file named after the contents of what was installed: a second call installs nothing,
# a changed pin installs again.
APP_READY := $(VENV)/.ready-app-$(shell cksum < requirements.txt | cut -d' ' -f1)
TEST_READY := $(VENV)/.ready-test-$(shell cat requirements.txt requirements-dev.txt | cksum | cut -d' ' -f1)

.PHONY: help app test lint screenshots
help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed '/^An empty/,$$d'

app: $(APP_READY)
	@exec $(VENV)/bin/python app.py

# One thread a process: workers with two threads each on two cores are many times slower. A third
# worker, since tests that wait for a browser or another process leave a core idle.
test: $(TEST_READY)
	@CHROME="$$($(VENV)/bin/python tests/page/chromium.py)" && export CHROME && \
		OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(TESTS)

lint: $(TEST_READY)
	@$(VENV)/bin/ruff check && $(VENV)/bin/ruff format --check

screenshots: $(TEST_READY)
	@CHROME="$$($(VENV)/bin/python tests/page/chromium.py)" && export CHROME && \
		$(VENV)/bin/python tests/page/screenshots.py docs/screenshots

$(VENV)/bin/python:
	@if ! "$(or $(PYTHON),false)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "Python 3.11 or newer is needed: install it, or name it as PYTHON=/path/to/python3." >&2; \
		exit 1; \
	fi
	@if ! "$(PYTHON)" -m venv "$(VENV)"; then \
		rm -rf "$(VENV)"; \
		echo "$(PYTHON) cannot make a virtual environment: install its venv module (python3-venv)." >&2; \
		exit 1; \
	fi

$(APP_READY): requirements.txt | $(VENV)/bin/python
	@$(PIP) install --no-compile -r requirements.txt
	@rm -f $(VENV)/.ready-app-* && touch $@

$(TEST_READY): requirements-dev.txt $(APP_READY)
	@$(PIP) install --no-compile -r requirements-dev.txt
	@rm -f $(VENV)/.ready-test-* && touch $@
