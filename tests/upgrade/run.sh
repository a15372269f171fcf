#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh VERSION: builds the programs of an earlier version from the commit of its release, with the
# packages that its own set-up installs, then plays scenario "takeover" from them to those of
# build/dev. As root, after `make build`.
set -eu
[ $# = 1 ] || { echo "usage: tests/upgrade/run.sh VERSION" >&2; exit 2; }
version=$1
cd "$(dirname "$0")/../.."
commit=$(git log --format=%H --grep "^version $version\$" -1)
[ -n "$commit" ] ||
  { echo "tests/upgrade/run.sh: no commit \"version $version\" in this clone" >&2; exit 2; }
source=$PWD/build/upgrade/$version
if [ ! -d "$source" ]; then
  mkdir -p "$source.part"
  git archive "$commit" | tar -x -C "$source.part"
  mv "$source.part" "$source"
fi
cd "$source"
scripts/setup.sh
cmake --preset release >build.log 2>&1 && cmake --build --preset release >>build.log 2>&1 ||
  { tail -n 20 build.log >&2; exit 1; }
cd - >/dev/null
TRAP_LAB_FORMER=$source/build/release/bin \
  exec tests/scenarios/isolated.sh build/dev/bin/trap-lab run takeover
