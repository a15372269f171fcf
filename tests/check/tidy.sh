#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang-tidy over the C++ sources of a build directory: tidy.sh BUILD [PATTERN]. Exit code 1 if
# anything is found.
set -eu
build=${1:?usage: tidy.sh BUILD [PATTERN]}
pattern=${2:-'(runtime|server|guard|client|ctl|lab|bench|tests)/.*\.cpp$'}
source=$(cd "$(dirname "$0")/../.." && pwd)
command -v run-clang-tidy-19 >/dev/null ||
  { echo "tidy.sh: run-clang-tidy-19 is missing: run scripts/setup.sh tidy" >&2; exit 2; }
[ -d "$build/bpf" ] || { echo "tidy.sh: $build is not built: run make build first" >&2; exit 2; }
# clang-tidy wants a command for each source, without g++'s precompiled headers; the skeletons of the
# BPF programs come from the build.
cmake -S "$source" -B "$build/tidy" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DTRAP_PRECOMPILE=OFF -DTRAP_UNITY=OFF >/dev/null
rm -rf "$build/tidy/bpf"
ln -s "$(cd "$build/bpf" && pwd)" "$build/tidy/bpf"
# clang-tidy 14 stops at C++20 of the standard library's (std::ranges, std::source_location).
exec run-clang-tidy-19 -quiet -p "$build/tidy" "$pattern"
