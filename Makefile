# make help lists the commands. Everything happens in $(VENV); nothing is installed elsewhere.
SHELL   := bash
PYTHON  ?= $(shell command -v python3.11 || command -v python3)
VENV    ?= .venv
BIN     := $(VENV)/bin
EXTRAS  := book,test
ifdef CORPORA
export SERCORE_CORPORA := $(abspath $(CORPORA))
endif

.PHONY: help book test gate check full clean install
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10
	@echo; echo "CORPORA=<folder>  real corpora found there (ravdess, emodb) replace the synthetic one"

book: install  ## run stale chapters, build the pages, print where they lie
	@$(BIN)/jupyter-book build -q -W --keep-going book
	@echo "the book: $(CURDIR)/_build/html/index.html"

test: install  ## the suite; ends with what was skipped and why
	@$(BIN)/python -m pytest

gate: install  ## checks on the built pages, read as files and opened in a browser
	@$(BIN)/python -m pytest -q -m "slow or not slow" tests/book/test_pages.py tests/book/test_numbers.py tests/book/test_browser.py tests/book/test_executed.py

check: EXTRAS := book,test,dev
check: install  ## ruff (rules and layout), mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

full: install  ## one chapter at full length: make full CHAPTER=reslstm_sa CORPORA=<folder>
	@test -n "$(CHAPTER)" || { echo "name a chapter: make full CHAPTER=reslstm_sa"; exit 1; }
	@$(BIN)/python notebooks/run.py $(CHAPTER) --profile full

clean:  ## remove pages and executed chapters (finished runs and the environment stay)
	@rm -rf _build book/chapters book/_generated book/runs book/api store/cache/chapters

# $(call slowly,what,command): a line every five seconds, the log only when it fails.
define slowly
started=$$SECONDS; ( $(2) ) > $(VENV)/install.log 2>&1 & job=$$!; \
while kill -0 $$job 2>/dev/null; do \
  sleep 1; past=$$((SECONDS - started)); \
  if [ $$((past % 5)) -eq 0 ]; then echo "  $(1): $$past s, $$(ls -d $(VENV)/lib/*/site-packages/*.dist-info | wc -l) packages in place"; fi; \
done; \
wait $$job || { tail -n 30 $(VENV)/install.log; echo "$(1) failed"; exit 1; }
endef

# Installs only when the pins, the ranges or the extras differ from those of the last time. The last step compiles what librosa
# compiles on its first call (half a minute in a fresh environment) and builds the font list, so that no chapter waits for either.
install:
	@wanted="$$(cat pyproject.toml constraints.txt | cksum) $(EXTRAS)"; stamp=$(VENV)/.installed-$(subst $(comma),-,$(EXTRAS)); \
	if [ "$$(cat $$stamp 2>/dev/null)" != "$$wanted" ]; then \
	  echo "installing into $(VENV) (once; about two minutes)"; \
	  "$(PYTHON)" -c "import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))" \
	    || { echo "needs Python 3.11 or 3.12: make book PYTHON=/path/to/python3.11"; exit 1; }; \
	  test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || exit 1; \
	  $(call slowly,installing,$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e ".[$(EXTRAS)]"); \
	  $(call slowly,preparing,$(BIN)/python -c "import matplotlib.pyplot; import librosa; import numpy; x = numpy.sin(numpy.arange(22050.0)); librosa.feature.mfcc(y=x, sr=22050); librosa.feature.chroma_stft(y=x, sr=22050)"); \
	  echo "$$wanted" > $$stamp; \
	fi

comma := ,
