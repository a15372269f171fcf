#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds TRAP on another suite of Debian and runs its tests there, with a root that is made with debootstrap and kept. The kernel is this host's.
# Usage: run.sh SUITE [CTEST-ARGUMENT...], such as run.sh trixie -L unit; without arguments every test. It tests what is committed.
# Exit code 0 only if everything builds and every test passes.
set -eu

usage="usage: run.sh SUITE [CTEST-ARGUMENT...]"
fail() {
  echo "run.sh: $*" >&2
  exit 2
}

case "${1:-}" in
--help | -h) echo "$usage" && exit 0 ;;
"" | -*) echo "$usage" >&2 && exit 2 ;;
esac
suite=$1
shift
source=$(cd "$(dirname "$0")/../.." && pwd)
root=$source/build/debian/$suite
. "$source/scripts/chroot.sh"
make_chroot minbase "$suite" "$root"

# Everything is mounted in a namespace of this script's own, which goes with it.
exec unshare --mount --uts --propagation private sh -eu -c '
  source=$1 root=$2
  shift 2
  mount --bind "$root" "$root" # labs ask for their own mounts, for which / must be one
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
  mount -t tmpfs tmpfs "$root/tmp"
  mkdir -p "$root/mnt/source" "$root/src"
  mount --bind "$source" "$root/mnt/source"
  hostname debian # a name that can be looked up: curl looks up its own where it cannot connect
  printf "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost\n" >"$root/etc/hosts"
  cd "$root"
  pivot_root . . # not chroot: who enters a mount namespace arrives at its root, the host there
  umount -l .
  exec chroot . env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive sh -eu -c "
    apt-get -qq update
    apt-get -qq install --no-install-recommends -y ca-certificates git make >/dev/null
    git config --global --replace-all safe.directory \"*\"
    [ -e /src/.git ] || git clone -q /mnt/source /src
    cd /src
    git fetch -q /mnt/source HEAD
    git reset -q --hard FETCH_HEAD
    make build
    cmake --preset optimised >/dev/null # by g++; the tests run what clang built
    cmake --build --preset optimised
    exec ctest --preset dev \"\$@\"
  " sh "$@"
' sh "$source" "$root" "$@"
