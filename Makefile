# `make test` on a fresh clone installs everything into .venv and runs what CI runs. `make help` lists the rest.

PYTHON ?= python3
VENV   ?= .venv
# A fixed number of threads: tests neither crowd a shared machine nor depend on how many cores it has.
OMP_NUM_THREADS ?= 2
MKL_NUM_THREADS ?= $(OMP_NUM_THREADS)
export OMP_NUM_THREADS MKL_NUM_THREADS

PY      := $(VENV)/bin/python
STAMP   := $(VENV)/.installed
KERNELS := $(VENV)/.kernels

.DEFAULT_GOAL := help
.PHONY: help install kernels demo lint test slow slow-kill slow-faults slow-load api-check slow-fuzz audit browser bench results transfer evaluation paper-small simulator statistics mutation weights spectrum bench-inference rejection parity clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) $(KERNELS)  ## a virtual environment in .venv with the tested versions of everything

# One pip call, so that the constraint on torch holds for every package that asks for torch.
$(STAMP): pyproject.toml constraints.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	@touch $@

kernels:  ## the compiled scan again, whatever was there; `make install` builds it where a C++ compiler is
	@rm -f $(KERNELS)
	@$(MAKE) --no-print-directory $(KERNELS)

# Nothing needs the compiled scan, so nothing stops here. Without a compiler there is no stamp, and the next make
# looks again; a build that failed is tried again when a source changes, or by `make kernels`.
# What the build needs is pinned for pip 25.3 and newer by the second variable, for older ones by the first.
WITHOUT := make: the scan runs in plain torch, slower and with the same results:
$(KERNELS): $(STAMP) kernels_cpp/pyproject.toml kernels_cpp/CMakeLists.txt $(wildcard kernels_cpp/src/* kernels_cpp/lung_srad_kernels/*.py)
	@if ! for one in $${CXX:-c++ g++ clang++}; do command -v $$one && break; done >/dev/null; then \
	  echo "$(WITHOUT) no C++ compiler on PATH ($${CXX:-c++, g++, clang++}); install one (apt install g++), then make kernels"; \
	elif { PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	       $(PY) -m pip install --disable-pip-version-check --force-reinstall --no-deps ./kernels_cpp && \
	       $(PY) -c 'import lung_srad_kernels'; } >$(VENV)/kernels.log 2>&1; then \
	  touch $@; \
	else \
	  $(PY) -m pip uninstall -q -y lung-srad-kernels >>$(VENV)/kernels.log 2>&1; \
	  echo "$(WITHOUT) the compiled one could not be built; $(VENV)/kernels.log says why; mend it, then make kernels"; \
	  touch $@; \
	fi

demo: install  ## a simulated corpus, two systems trained on it, and a report page (10 minutes): make demo OUT=lung-srad-demo
	$(PY) -m lung_srad.cli demo $(or $(OUT),lung-srad-demo)

lint: install  ## ruff (lint and format) and mypy (the method)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

test: lint  ## lint, then the fast tests: what CI runs
	$(PY) -m pytest

slow: install  ## the tests that take minutes, but for kills and faults
	$(PY) -m pytest -m slow -k 'not kill' --ignore=tests/faults

slow-kill: install  ## benchmarks/kills.md: 250 kills at random moments, and what is resumed to the same bits (15 minutes)
	LUNG_SRAD_RESULTS=1 $(PY) -m pytest -m slow -k kill

slow-load: install  ## benchmarks/load.md: 64 clients, sockets that drip, clients that leave (10 minutes)
	$(PY) benchmarks/load.py

api-check: install  ## what /openapi.json promises, tried by schemathesis (3 minutes)
	$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[fuzz]'
	$(PY) -m pytest -m slow tests/serving/test_openapi.py

# Chromium comes from the system: `apt install chromium-headless-shell`, or LUNG_SRAD_CHROMIUM=PATH.
browser: install  ## the page of `lung-srad serve` in a headless Chromium (5 minutes); LUNG_SRAD_SCREENSHOTS=FOLDER keeps pictures
	$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[browser]'
	$(PY) -m pytest -m slow -rs tests/serving

slow-fuzz: install  ## benchmarks/fuzz.md: 50,000 mutants for everything that reads foreign bytes (15 minutes)
	$(PY) benchmarks/fuzz.py

# --strict: a package that the service does not know is an error; without it, nothing looked up would pass for nothing
# found. pip-audit has an environment of its own, so that what it needs does not decide what the tests run with.
audit:  ## constraints.txt against known vulnerabilities; asks a service, so it needs the internet
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --disable-pip-version-check -q 'pip-audit>=2.10'
	$(VENV)-audit/bin/python -m pip_audit --strict --no-deps --disable-pip -r constraints.txt

slow-faults: install  ## benchmarks/faults.md: full disks, lost processes, no memory, many writers (10 minutes)
	LUNG_SRAD_RESULTS=1 $(PY) -m pytest -m slow -k 'not kill' tests/faults

bench: install  ## benchmarks/RESULTS.md: the scan and the networks beside loops, AST and the GEMM floor (20 minutes)
	$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[baselines]'
	$(PY) benchmarks/speed.py

bench-inference: install  ## benchmarks/inference.md: recordings classified, a day in one file, a folder of 10,000 (an hour)
	$(PY) benchmarks/inference.py

results: install  ## docs/results.md from ICBHI recordings: make results DATA=PATH
	@test -n "$(DATA)" || { echo "error: DATA is empty; it is the folder of the ICBHI recordings; make results DATA=PATH" >&2; exit 2; }
	$(PY) benchmarks/results.py --data "$(DATA)"

transfer: install  ## its second half, SPRSound and other starts (hours): make transfer SIMULATED=PATH SPRSOUND=PATH ICBHI=PATH
	@test -n "$(SIMULATED)" -a -n "$(SPRSOUND)" -a -n "$(ICBHI)" || { echo "error: a corpus is missing; lung-srad simulate makes the first; make transfer SIMULATED=PATH SPRSOUND=PATH ICBHI=PATH" >&2; exit 2; }
	$(PY) benchmarks/transfer.py --commands --simulated "$(SIMULATED)" --sprsound "$(SPRSOUND)" --icbhi "$(ICBHI)" | PATH="$(abspath $(VENV))/bin:$$PATH" sh -ex
	$(PY) benchmarks/transfer.py

evaluation: install  ## its part on intervals, devices and SPRSound (hours): make evaluation ICBHI=PATH SPRSOUND=PATH
	@test -n "$(ICBHI)" -a -n "$(SPRSOUND)" || { echo "error: a corpus is missing; give the folders of both; make evaluation ICBHI=PATH SPRSOUND=PATH" >&2; exit 2; }
	$(PY) benchmarks/evaluation_page.py --commands --icbhi "$(ICBHI)" --sprsound "$(SPRSOUND)" | PATH="$(abspath $(VENV))/bin:$$PATH" sh -ex
	$(PY) benchmarks/evaluation_page.py

paper-small: install  ## every system of the tables for two epochs, small, into docs/results.md (an hour): make paper-small DATA=PATH
	@test -n "$(DATA)" || { echo "error: DATA is empty; it is the folder of the ICBHI recordings; make paper-small DATA=PATH" >&2; exit 2; }
	$(PY) benchmarks/paper.py --data "$(DATA)"

rejection: install  ## its part on sounds that are no lung (10 minutes): make rejection SIMULATED=PATH, and ICBHI=PATH for real lungs
	@test -n "$(SIMULATED)" || { echo "error: SIMULATED is empty; it is a corpus that lung-srad simulate made; make rejection SIMULATED=PATH" >&2; exit 2; }
	$(PY) benchmarks/rejection.py --data "icbhi:$(SIMULATED)" $(if $(ICBHI),--real "icbhi:$(ICBHI)")

parity: install  ## benchmarks/parity.md: exported graphs beside their models on 1,000 inputs, 50 for DASS-medium (20 minutes)
	$(PY) benchmarks/parity.py

simulator: install  ## benchmarks/simulator.md: how hard simulated corpora are; with DATA=PATH of ICBHI, how like real ones
	$(PY) benchmarks/simulator.py $(if $(DATA),--data "$(DATA)") $(if $(ANNOTATIONS),--annotations "$(ANNOTATIONS)")

statistics: install  ## benchmarks/statistics.md: whether intervals cover and tests err as often as they say (10 minutes)
	$(PY) benchmarks/intervals.py

mutation: install  ## benchmarks/mutation.md: which small faults in the metrics their tests notice (5 minutes)
	$(PY) benchmarks/mutation.py

weights: install  ## the weights that ship (src/lung_srad/weights): simulates, trains, copies, writes their card (hours)
	$(PY) benchmarks/weights.py

spectrum: install  ## docs/spectrum.md and its figures from the matrices of the paper's authors: make spectrum MATRICES=FOLDER
	@test -n "$(MATRICES)" || { echo "error: MATRICES is empty; it is the folder of the authors' .npy files; make spectrum MATRICES=FOLDER" >&2; exit 2; }
	$(PY) docs/spectrum.py --matrices "$(MATRICES)"
	$(if $(DATA),$(PY) benchmarks/spectrum.py --data "$(DATA)")

clean:  ## removes .venv and every cache of the tools; runs and feature caches stay
	rm -rf $(VENV) $(VENV)-audit build dist kernels_cpp/build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
