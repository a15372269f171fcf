# SPDX-License-Identifier: Apache-2.0
# The few commands a person needs. CMake does the building (CMakePresets.json), CTest the testing.
.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-asan bench bench-quick tidy format install clean

BIN := build/dev/bin

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install the Debian packages that are missing
	@mkdir -p build
	@scripts/setup.sh

build: setup ## build everything into build/dev
	@cmake --preset dev >build/.configure.log 2>&1 || { cat build/.configure.log; exit 1; }
	@cmake --build --preset dev

demo: build ## show TRAP defending a real service in a lab on this machine (root)
	@mkdir -p build/demo
	@$(BIN)/trap-lab demo --report build/demo/report.json

test: build test-asan ## every test: unit, sanitizers, BPF programs, fuzz corpus, conventions, lab scenarios (root)
	@ctest --preset dev

test-asan: setup ## the unit tests and the fuzz corpus under ASan and UBSan
	@cmake --preset asan >build/.configure-asan.log 2>&1 || { cat build/.configure-asan.log; exit 1; }
	@cmake --build --preset asan
	@ctest --preset asan

bench: build ## what packets, connections and downloads cost, beside other defences; twenty minutes at most (root)
	@mkdir -p build/bench
	@$(BIN)/trap-bench --output build/bench/report.json

bench-quick: build ## the same in two minutes, with less to say (root)
	@mkdir -p build/bench
	@$(BIN)/trap-bench --quick --output build/bench/report.json

tidy: build ## clang-tidy over the C++ sources
	@tests/check/tidy.sh build/dev

format: ## clang-format over everything
	@git ls-files '*.c' '*.h' '*.cpp' | xargs clang-format -i

install: build ## install programs, units, man pages and example configuration
	@cmake --install build/dev

clean: ## remove build/
	@rm -rf build
