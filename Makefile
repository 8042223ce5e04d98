# Everything for a developer and for CI. No target needs a virtual
# environment beforehand; each that needs one makes it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Services start twice as fast where byte code may be written.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test test-series test-conductors test-upstream soak \
    vm-images test-vm \
    campaign kills fuzz lint docs bench clean constraints \
    constraints-series programs \
    accessibility screenshots

install: $(STAMP)

$(BIN)/python:
	@$(PYTHON) -m tools.check_venv
	$(PYTHON) -m venv $(VENV)

# --compile-bytecode: services start twice as fast on compiled wheels.
$(STAMP): $(BIN)/python pyproject.toml setup.cfg constraints.txt \
    emulator/pyproject.toml
	@test -x $(BIN)/uv || \
	    $(BIN)/python -m pip install -q -c constraints.txt uv
	$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python \
	    -c constraints.txt -e '.[dev]' -e './emulator[tls]'
	@touch $@

demo: install
	$(BIN)/ironic-accel demo

# MariaDB is for one test of the functional tier, Chromium for those of the
# report's page: they skip where it is missing.
programs:
	@$(PYTHON) -m tools.debian_packages mariadbd=mariadb-server \
	    chromium=chromium

test: install programs
	@$(BIN)/python -m tools.run_tests

# The supported series of Ironic, each with the packages of its release. Their
# environments are kept in .series, or where SERIES_ENVS says.
SERIES ?=
PARTS ?=
test-series: install programs
	@$(BIN)/python -m tools.test_series $(SERIES) \
	    $(if $(PARTS),--parts $(PARTS))

# Two conductors with many nodes in flight, on MariaDB and over RabbitMQ, which
# is for this alone; some minutes.
NODES ?= 60
test-conductors: install programs
	@$(PYTHON) -m tools.debian_packages rabbitmq-server=rabbitmq-server
	@NODES=$(NODES) $(BIN)/python -m pytest -q tests/conductors

# Ironic 39 with an interface type for accelerators: upstream's unit tests
# that this touches, and the lab with it (contrib/upstream). It gets the sdist
# from the package index; SDIST=FILE names one.
test-upstream: install
	@$(BIN)/python -m contrib.upstream.check \
	    $(if $(SDIST),--sdist $(SDIST)) $(if $(FOLDER),--folder $(FOLDER))

# A kernel and root file systems of Debian for virtual machines, in .vm or
# where VM_IMAGES says; as root. It installs Debian's qemu-system-x86 (on
# bookworm that of its backports), debootstrap, busybox-static, kmod and cpio.
vm-images: install
	@$(BIN)/python -m tools.vm_images

# What is read and written in band, judged by a real kernel.
test-vm: vm-images
	@$(BIN)/python -m pytest -q tests/vm

# make soak TESTS=tests/functional/test_kill.py ROUNDS=20: the functional tier
# ten times by default.
ROUNDS ?= 10
soak: install
	@$(BIN)/python -m tools.soak --rounds $(ROUNDS) $(TESTS)

# Whole runs against boxes of which anything may go wrong, in process and in
# simulated time; the table is every fault at every moment.
CASES ?= 100000
SEED ?= 1
WORKERS ?= 2
campaign: install
	@$(BIN)/python -m tests.campaign --table; table=$$?; \
	    $(BIN)/python -m tests.campaign --cases $(CASES) --seed $(SEED) \
	    --workers $(WORKERS) && exit $$table

# The command is killed before and after every request and every save of its
# journal, and run again; make test takes some of these moments.
kills: install
	@KILLED_AT_EVERY_MOMENT=1 $(BIN)/python -m pytest -q -rP \
	    tests/faces/test_killed.py

# make fuzz COUNT=100000 SEED=1: mutated answers of BMCs, agents and tools,
# in process; CAPTURES='--captures DIR' adds recorded BMCs.
COUNT ?= 100000
SEED ?= 1
fuzz: install
	@$(BIN)/python -m tests.security.fuzz --count $(COUNT) --seed $(SEED) \
	    $(CAPTURES)

lint: install
	@$(BIN)/python -m tools.run_tests lint

# axe-core, of npm, checks the report's page (WCAG 2.2 AA). It is not part of
# the project: the tests that need it skip where it is missing.
AXE ?= 4.14.1
accessibility: install programs
	npm install --silent --no-audit --no-fund --ignore-scripts --no-save \
	    --prefix .axe axe-core@$(AXE)
	$(BIN)/python -m pytest -q tests/faces/test_page.py \
	    tests/faces/test_palette.py

# The pictures of the report's page in the documentation.
screenshots: install programs
	ACCEL_WRITE_SCREENSHOT=1 $(BIN)/python -m pytest -q \
	    tests/faces/test_page.py -k pictures

docs: install
	$(BIN)/sphinx-build -q -W --keep-going -b html doc/source doc/build/html
	@echo "doc/build/html/index.html"

# make bench BENCH='tick --json FILE': all by default, a quarter of an hour on
# two idle processors. A missed bar is printed; with --strict it fails.
bench: install
	@$(BIN)/python -m bench $(BENCH)

# No registry's name goes into the file.
constraints: $(BIN)/python
	$(BIN)/uv pip compile -q --universal --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --extra dev --extra tls \
	    --upgrade --python-version 3.11 pyproject.toml \
	    emulator/pyproject.toml -o constraints.txt

# The services and the agent of a series are the latest of its release, which
# the upper constraints do not name.
PINS_32 := ironic>=32,<33 ironic-python-agent>=11.1,<11.3 nova>=32,<33 \
    openstack-placement>=14,<15 keystone>=28,<29
PINS_35 := ironic>=35,<36 ironic-python-agent>=11.5,<12 nova>=33,<34 \
    openstack-placement>=15,<16 keystone>=29,<30
constraints-series: install
	@test -n "$(PINS_$(SERIES))" -a -r "$(UPPER)" || { echo \
	    "make constraints-series SERIES=32|35 UPPER=FILE"; exit 2; }
	$(BIN)/uv pip compile -q --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --extra dev --extra tls \
	    --upgrade --python-version 3.11 -c $(UPPER) \
	    -c <(printf '%s\n' $(foreach pin,$(PINS_$(SERIES)),'$(pin)')) \
	    pyproject.toml emulator/pyproject.toml \
	    -o constraints/ironic-$(SERIES).txt

clean:
	rm -rf $(VENV) .axe .demo .series .tox build dist *.egg-info doc/build \
	    .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
	    .hypothesis .coverage
