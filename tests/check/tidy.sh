#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang-tidy over the C++ sources of a build directory: tidy.sh BUILD [PATTERN]. Exit code 1 if anything is found.
set -eu
build=${1:?usage: tidy.sh BUILD [PATTERN]}
pattern=${2:-'(runtime|server|guard|client|ctl|lab|bench|tests)/.*\.cpp$'}
[ -f "$build/compile_commands.json" ] || { echo "tidy.sh: $build has no compile_commands.json; build it first" >&2; exit 2; }
# clang cannot read g++'s precompiled headers: the same commands without them.
mkdir -p "$build/tidy"
sed -E 's# -Winvalid-pch -include [^ ]*cmake_pch\.hxx##' "$build/compile_commands.json" >"$build/tidy/compile_commands.json"
exec run-clang-tidy -quiet -p "$build/tidy" "$pattern"
