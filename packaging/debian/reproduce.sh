#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds TRAP's packages of what is committed twice, at two times, in two time zones and locales and with other jobs, and compares the bytes.
# Usage: reproduce.sh [SUITE], bookworm if not given. Packages of the same commit that build.sh left count as the first. Prints a line for each
# package. Exit code 0 only if each is the same.
set -eu

case "${1:-}" in
-*) echo "usage: reproduce.sh [SUITE]" >&2 && exit 2 ;;
esac
suite=${1:-bookworm}
here=$(cd "$(dirname "$0")" && pwd)
packages=$(cd "$here/../.." && pwd)/build/packages
commit=$(git -C "$here" rev-parse HEAD)

[ "$(cat "$packages/$suite/commit" 2>/dev/null)" = "$commit" ] || "$here/build.sh" "$suite" "$commit"
rm -rf "${packages:?}/$suite.first"
mv "$packages/$suite" "$packages/$suite.first"
TZ=Pacific/Kiritimati LC_ALL=C DEB_BUILD_OPTIONS=parallel=3 unshare --uts sh -eu -c 'hostname elsewhere && exec "$0" "$1" "$2"' "$here/build.sh" "$suite" "$commit"

failed=0
compared=0
for package in "$packages/$suite.first"/*.deb; do
  name=${package##*/}
  compared=$((compared + 1))
  if cmp -s "$package" "$packages/$suite/$name"; then
    echo "ok - $name: $(sha256sum <"$package" | cut -c 1-16)"
  else
    echo "not ok - $name: the second build has other bytes; diffoscope says where"
    failed=1
  fi
done
[ "$compared" -ge 6 ] || { echo "not ok - only $compared packages were built" && failed=1; }
[ "$failed" != 0 ] || rm -rf "${packages:?}/$suite.first"
exit $failed
