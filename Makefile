# SPDX-License-Identifier: Apache-2.0
# The few commands a person needs. CMake does the building (CMakePresets.json), CTest the testing.
.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-asan test-slow test-matrix test-debian test-upgrade \
	test-packages test-machines test-neighbours reproducible bench bench-quick evaluation \
	tidy format release install uninstall dist packages clean prove fuzz reference

PREFIX ?= /usr/local
COMPONENTS ?= server guard client ctl doc
BIN := build/dev/bin
EVALUATE = rm -f build/bench/*.svg; python3 -B bench/report/evaluate.py build/bench/report.json

# configure PRESET OPTIONS: says nothing unless it fails.
define configure
	@mkdir -p build
	@cmake --preset $(1) $(2) >build/.configure-$(1).log 2>&1 || \
		{ cat build/.configure-$(1).log; exit 1; }
endef

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## install the Debian packages that are missing for everything below
	@scripts/setup.sh

build: ## build everything into build/dev
	@scripts/setup.sh test
	$(call configure,dev)
	@cmake --build --preset dev

# The programs and the lab alone. Where build/dev has the tests already, they stay.
demo: ## show TRAP defending a real service in a lab on this machine (root)
	@scripts/setup.sh demo
	@[ -e build/dev/CMakeCache.txt ] || $(MAKE) --no-print-directory configure-demo
	@cmake --build --preset demo
	@mkdir -p build/demo
	@$(BIN)/trap-lab demo --report build/demo/report.json

.PHONY: configure-demo
configure-demo:
	$(call configure,dev,-DTRAP_TESTS=OFF)

# A build that had no tests yet gets unit tests and corpus with sanitizers alone.
test: ## the tests: unit, sanitizers, BPF programs, fuzz corpus, conventions, lab (root)
	@scripts/setup.sh test
	@grep -qs TRAP_TESTS:BOOL=ON build/dev/CMakeCache.txt || \
		$(MAKE) --no-print-directory configure-test
	@$(MAKE) --no-print-directory build
	@tests/all.sh

.PHONY: configure-test
configure-test:
	$(call configure,dev,-DTRAP_UNIT=OFF)

test-asan: ## the unit tests and the fuzz corpus under ASan and UBSan
	@scripts/setup.sh test
	$(call configure,asan,-DTRAP_BPF_FROM=$(BPF_FROM))
	@cmake --build --preset asan
	@ctest --preset asan

test-slow: build ## what `make test` leaves out because it computes for minutes: g++, benchmarks (root)
	$(call configure,optimised)
	@cmake --build --preset optimised
	@ctest --test-dir build/dev -C slow -L slow -j 2 --output-on-failure

test-matrix: build ## all set-ups of docs/compatibility.md, and the lab on newer kernels, emulated (root)
	@ctest --test-dir build/dev -C matrix -L matrix --output-on-failure

test-clocks: build ## set every host's clock by hours, in the lab; four minutes (root)
	@TRAP_LAB_CLOCK_STEPS=all tests/scenarios/isolated.sh $(BIN)/trap-lab run clock-steps

FROM ?= 0.4.0
test-upgrade: build ## play an upgrade from another version in the lab: FROM=0.4.0 (root)
	@tests/upgrade/run.sh $(FROM)

test-neighbours: build ## TRAP beside xdp-filter, xdp-loader and xdpdump, each before and behind it (root)
	@scripts/setup.sh neighbours
	@tests/scenarios/neighbours.sh $(BIN)

SUITE ?= trixie
test-debian: ## build and run every test on another Debian in a chroot: SUITE=trixie (13) (root)
	@scripts/setup.sh test
	@tests/debian/run.sh $(SUITE)

test-machines: ## the packages on a Debian that systemd starts, emulated; an hour: PACKAGES_SUITE=bookworm (root)
	@scripts/setup.sh machines
	@python3 -B tests/machines/play.py --suite $(PACKAGES_SUITE) build/packages/$(PACKAGES_SUITE)

prove: ## prove that no frame makes the headers read out of bounds, the arithmetic of tickets, and the handshake
	@scripts/setup.sh test
	@tests/prove/run.sh
	@tests/model/run.sh --all

# Ten minutes are shared by all targets: libFuzzer's of the readers, and the packet walk of each part.
FUZZ_SECONDS ?= 600

fuzz: build ## look for frames and texts that readers and programs judge wrongly; ten minutes (root)
	$(call configure,fuzz)
	@cmake --build --preset fuzz
	@tests/fuzz/run.sh build $(FUZZ_SECONDS)

.PHONY: build-bench
build-bench: ## build trap-bench, optimised, into build/optimised
	@scripts/setup.sh bench
	$(call configure,optimised)
	@cmake --build --preset bench
	@mkdir -p build/bench

bench: build-bench ## measure everything and write build/bench/evaluation.md; forty minutes (root)
	@status=0; build/optimised/bin/trap-bench --output build/bench/report.json || status=$$?; \
		$(EVALUATE) && exit $$status

bench-quick: build-bench ## the same in two minutes, with less to say (root)
	@status=0; build/optimised/bin/trap-bench --quick --output build/bench/report.json || status=$$?; \
		$(EVALUATE) && exit $$status

evaluation: ## bring the outcome of the last `make bench` to docs/
	@mkdir -p docs/evaluation
	@rm -f docs/evaluation/*.svg
	@cp build/bench/*.svg docs/evaluation/
	@sed 's,](\([a-z0-9_-]*\.svg\)),](evaluation/\1),' build/bench/evaluation.md >docs/evaluation.md

reference: ## write docs/reference and the table of verdicts from the code and build/dev
	@python3 -B scripts/reference.py --build build/dev

tidy: build ## clang-tidy over the C++ sources
	@scripts/setup.sh tidy
	@tests/check/tidy.sh build/dev

format: ## clang-format over everything
	@judge=$$(sed -n 's/.*clang-format \([0-9]*\).*/\1/p' .clang-format); \
		clang-format --version | grep -q " version $$judge\." || \
		{ echo "make: .clang-format wants clang-format $$judge, and this is $$(clang-format --version)"; \
		exit 1; }
	@git ls-files '*.c' '*.h' '*.cpp' | xargs clang-format -i

release: ## build the programs alone, for installation, into build/release
	@scripts/setup.sh build
	$(call configure,release,-DCMAKE_INSTALL_PREFIX=$(PREFIX))
	@cmake --build --preset release

install: release ## install programs, units, pages and examples (PREFIX, DESTDIR, COMPONENTS)
	@for component in $(COMPONENTS); do \
		DESTDIR=$(DESTDIR) cmake --install build/release --strip --component $$component || exit 1; \
	done

uninstall: ## remove what install put there, and say what stays (PREFIX, DESTDIR)
	@DESTDIR=$(DESTDIR) scripts/uninstall.sh $(PREFIX)

KEY ?=
dist: ## the signed tarball of a release in build/dist: KEY=a key of gpg's
	@scripts/dist.sh "$(KEY)"

PACKAGES_SUITE ?= bookworm
packages: ## Debian packages in build/packages, built in a clean chroot: PACKAGES_SUITE=bookworm (root)
	@scripts/setup.sh packages
	@packaging/debian/build.sh $(PACKAGES_SUITE)
	@packaging/debian/try.sh $(PACKAGES_SUITE)

test-packages: ## piuparts and autopkgtest on what make packages built: PACKAGES_SUITE=bookworm (root)
	@scripts/setup.sh packages
	@packaging/debian/judge.sh $(PACKAGES_SUITE)

reproducible: ## build the packages twice and compare their bytes: PACKAGES_SUITE=bookworm (root)
	@scripts/setup.sh packages
	@packaging/debian/reproduce.sh $(PACKAGES_SUITE)

clean: ## remove build/
	@rm -rf build
