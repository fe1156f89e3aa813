# Needs GNU make (3.81 or newer) and Python 3.11 to 3.14. `make` alone lists what there is.
VENV := .venv
PY := $(VENV)/bin/python
OUT ?= state/trained.npz

.DEFAULT_GOAL := help
.PHONY: help serve test faults audit install check format train bench bench-peers bench-serve bench-latency soak FORCE

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

serve: $(VENV)/.runtime ## start the service on 127.0.0.1:8000 (ROOKIE_PORT=8080 make serve: on another port)
	@exec $(PY) -m app

# A process for each core; the tests of one file stay together where they share servers.
PYTEST := $(PY) -m pytest -n auto
test: $(VENV)/.dev ## run every test that can run here (ARGS="-k predict -x" goes to pytest, ARGS="-n0" is one process)
	$(PYTEST) --dist loadfile $(ARGS)

faults: $(VENV)/.dev ## kill processes, fill disks, lock databases: what docs/reliability.md lists (minutes; the longest: ARGS="-m soak")
	$(PYTEST) -m faults tests/app/faults $(ARGS)

# A release with known holes shows that the vulnerability service answers: where it cannot be asked, pip-audit finds nothing wrong either.
AUDIT := .venv-audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off
audit: $(VENV)/.dev .venv-audit/.installed ## ruff with its security rules (S), and known vulnerabilities of every pinned version (asks pypi.org)
	$(PY) -m ruff check .
	@$(AUDIT) --requirement .venv-audit/control.txt 2>&1 | grep -q "known vulnerabilit.* in 1 package" || { \
		echo "Nothing was audited: pypi.org/pypi/NAME/VERSION/json, which knows the vulnerabilities, gives no answer here." >&2; exit 1; }
	$(AUDIT) --requirement constraints.txt

.venv-audit/.installed: Makefile | $(VENV)/.dev
	@$(PY) -m venv --clear .venv-audit
	@.venv-audit/bin/python -m pip install -q --disable-pip-version-check pip-audit==2.10.1
	@echo "jinja2==2.4.1" > .venv-audit/control.txt
	@touch $@

install: $(VENV)/.dev ## install everything into .venv, the tools for development too

check: $(VENV)/.dev ## lint, formatting and types, as CI runs them
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy app model_core tests benchmarks examples

format: $(VENV)/.dev ## put the code into its format, and mend what the linter can mend
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

train: $(VENV)/.runtime ## fetch the data and train (OUT=file.npz ARGS="--recipe best")
	$(PY) -m model_core data
	$(PY) -m model_core train --out "$(OUT)" $(ARGS)

bench: $(VENV)/.runtime ## time an epoch of training beside its bare matrix products (ARGS="--rounds 9")
	$(PY) benchmarks/train_epoch.py $(ARGS)

bench-peers: $(VENV)/.runtime ## time training beside PyTorch, JAX and scikit-learn, in an environment of their own
	@test -x .venv-bench/bin/python || $(PY) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install -q --disable-pip-version-check -r benchmarks/peers/requirements.txt
	$(PY) -m benchmarks.train_peers $(ARGS)

bench-latency: $(VENV)/.dev ## time predictions while nothing else happens, during activations and during training (ARGS="--rounds 5")
	$(PY) -m benchmarks.latency $(ARGS)

soak: $(VENV)/.dev ## ten minutes of everything at once: memory, open files, jobs and the database must come through (ARGS="--minutes 1")
	$(PY) -m benchmarks.soak $(ARGS)

bench-serve: $(VENV)/.dev .venv-peers/litserve .venv-peers/bentoml .venv-peers/mlserver ## load the service and its peers, side by side (ARGS="--rounds 5")
	@command -v wrk >/dev/null || { echo "wrk makes the load. On Debian and Ubuntu: sudo apt install wrk" >&2; exit 1; }
	$(PY) -m benchmarks.serve.run $(ARGS)

# The peers, each in an environment of its own; one that cannot be installed is reported, and its row stays out.
.venv-peers/%: benchmarks/serve/peers/%.txt | $(VENV)/.dev
	@$(PY) -m venv --clear $@
	@$@/bin/python -m pip install -q --disable-pip-version-check -r $< || { rm -rf $@; echo "$* cannot be installed" >&2; }

# NVIDIA's client of the Open Inference Protocol, for the tests that speak it.
.venv-conformance: tests/conformance/requirements.txt | $(VENV)/.dev
	@$(PY) -m venv --clear $@
	@$@/bin/python -m pip install -q --disable-pip-version-check -r $<
	@touch $@

# Schemathesis, which holds the service to its own /openapi.json.
.venv-schemathesis: tests/schema/requirements.txt | $(VENV)/.dev
	@$(PY) -m venv --clear $@
	@$@/bin/python -m pip install -q --disable-pip-version-check -r $<
	@touch $@

# The stamps say that .venv holds what pyproject.toml and constraints.txt ask for; with them in place nothing is asked of the network.
# setuptools comes first, pinned like the rest, because pip would otherwise fetch the newest one to install this project.
$(VENV)/.runtime $(VENV)/.dev: pyproject.toml constraints.txt $(shell test -x $(PY) || echo FORCE)
	@$(make_venv)
	@echo "Installing pinned versions into $(VENV) (only after pyproject.toml or constraints.txt changed)"
	@touch $(VENV)/.unfinished
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt setuptools
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.$(if $(findstring dev,$@),[dev$(comma)postgres$(comma)report$(comma)onnx])'
	@rm $(VENV)/.unfinished
	@touch $@ $(VENV)/.runtime # what development needs includes what runs

# An environment whose last install broke off, or whose Python is gone or no longer fits, is made anew.
# A python3.13 on the PATH may be a shim for a version that is not there, so each candidate has to run.
comma := ,
fits := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
define make_venv
if [ ! -e $(VENV)/.unfinished ] && $(PY) -c '$(fits)' 2>/dev/null && $(PY) -m pip --version >/dev/null 2>&1; then exit 0; fi; \
for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3 python; do \
	"$$python" -c '$(fits)' >/dev/null 2>&1 || continue; \
	found=$$python; \
	"$$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || continue; \
	exec "$$python" -m venv --clear $(VENV); \
done; \
if [ -n "$$found" ]; then echo "$$found has no venv module. On Debian and Ubuntu: sudo apt install python3-venv" >&2; \
else echo "Rookie needs Python 3.11 to 3.14 and found none on the PATH. Name yours: make PYTHON=/path/to/python3.13" >&2; fi; \
exit 1
endef

FORCE:
