# SPDX-License-Identifier: Apache-2.0
# The few commands a person needs. CMake does the building (CMakePresets.json), CTest the testing.
.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-asan bench bench-quick evaluation tidy format install clean

BIN := build/dev/bin
EVALUATE = rm -f build/bench/*.svg; python3 -B bench/report/evaluate.py build/bench/report.json

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

bench: build ## measure everything and write build/bench/evaluation.md; twenty minutes (root)
	@mkdir -p build/bench
	@status=0; $(BIN)/trap-bench --output build/bench/report.json || status=$$?; $(EVALUATE) && exit $$status

bench-quick: build ## the same in two minutes, with less to say (root)
	@mkdir -p build/bench
	@status=0; $(BIN)/trap-bench --quick --output build/bench/report.json || status=$$?; $(EVALUATE) && exit $$status

evaluation: ## bring the outcome of the last `make bench` to docs/
	@mkdir -p docs/evaluation
	@rm -f docs/evaluation/*.svg
	@cp build/bench/*.svg docs/evaluation/
	@sed 's,](\([a-z0-9_-]*\.svg\)),](evaluation/\1),' build/bench/evaluation.md >docs/evaluation.md

tidy: build ## clang-tidy over the C++ sources
	@tests/check/tidy.sh build/dev

format: ## clang-format over everything
	@git ls-files '*.c' '*.h' '*.cpp' | xargs clang-format -i

install: build ## install programs, units, man pages and example configuration
	@cmake --install build/dev

clean: ## remove build/
	@rm -rf build
