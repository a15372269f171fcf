#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds TRAP's Debian packages of a commit, in a chroot of a suite that has nothing but what the packages name, and lets lintian judge them.
# Usage: build.sh [SUITE [COMMIT]], bookworm and HEAD if not given. They are left in build/packages/SUITE, and the commit beside them. TZ, LC_ALL and
# DEB_BUILD_OPTIONS reach the build. Exit code 0 only if lintian finds neither error nor warning.
set -eu

fail() {
  echo "build.sh: $*" >&2
  exit 2
}

case "${1:-bookworm}" in
-*) echo "usage: build.sh [SUITE [COMMIT]]" >&2 && exit 2 ;;
esac
suite=${1:-bookworm}
source=$(cd "$(dirname "$0")/../.." && pwd)
packages=$source/build/packages
root=$packages/chroot-$suite
commit=$(git -C "$source" rev-parse "${2:-HEAD}^{commit}")
version=$(git -C "$source" show "$commit:CMakeLists.txt" | sed -n 's/^project(trap VERSION \([0-9.]*\).*/\1/p')
[ -n "$version" ] || fail "CMakeLists.txt names no version"
. "$source/scripts/chroot.sh"
make_chroot buildd "$suite" "$root"

# The source tree, at the same place each time: a package does not depend on where it was built.
rm -rf "$root/build"
mkdir -p "$root/build/trap-$version"
git -C "$source" archive "$commit" | tar -x -C "$root/build/trap-$version"
(
  cd "$root/build/trap-$version"
  mv packaging/debian debian
  rm debian/*.sh
  cat >debian/changelog <<END
trap ($version) unstable; urgency=medium

  * The changes are in CHANGELOG.md, which trap-doc installs.

 -- $(sed -n 's/^Maintainer: //p' debian/control)  $(git -C "$source" log -1 --format=%cD "$commit")
END
)

# Everything is mounted in a namespace of this script's own, which goes with it.
unshare --mount --propagation private sh -eu -c '
  root=$1 version=$2
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  exec chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL="${LC_ALL:-C.UTF-8}" \
    TZ="${TZ:-UTC}" DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-}" DEBIAN_FRONTEND=noninteractive sh -eu -c "
    cd /build/trap-$version
    apt-get -qq update
    apt-get -qq build-dep --no-install-recommends -y ./ >/build/apt.log 2>&1 || { tail -n 20 /build/apt.log; exit 1; }
    dpkg-buildpackage -b -us -uc >/build/build.log 2>&1 || { tail -n 40 /build/build.log; exit 1; }
    apt-get -qq install --no-install-recommends -y lintian >/build/apt.log 2>&1 || { tail -n 20 /build/apt.log; exit 1; }
    cd /build
    lintian --allow-root --fail-on error,warning --tag-display-limit 0 ./*.changes
  "' sh "$root" "$version" || failed=$?
rm -rf "${packages:?}/$suite"
mkdir -p "$packages/$suite"
find "$root/build" -maxdepth 1 -type f -exec cp -t "$packages/$suite" {} +
[ -n "${failed:-}" ] || echo "$commit" >"$packages/$suite/commit"
[ -z "${failed:-}" ] || exit "$failed"
echo "build.sh: packages are in build/packages/$suite"
