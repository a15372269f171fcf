#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Has Debian's own tools judge TRAP's packages in a fresh chroot of their suite: piuparts installs, upgrades and purges them, autopkgtest runs
# debian/tests, whose lab uses this host's kernel. Usage: judge.sh [SUITE [PACKAGES]], bookworm and what build.sh left if not given.
# Prints "ok" and "not ok" lines; the logs are in build/packages. Exit code 0 only if each is ok.
set -eu

fail() {
  echo "judge.sh: $*" >&2
  exit 2
}

case "${1:-}" in
-*) echo "usage: judge.sh [SUITE [PACKAGES]]" >&2 && exit 2 ;;
esac
suite=${1:-bookworm}
source=$(cd "$(dirname "$0")/../.." && pwd)
built=$source/build/packages
packages=$(cd "${2:-$built/$suite}" && pwd)
base=$built/base-$suite
. "$source/scripts/chroot.sh"
make_chroot minbase "$suite" "$base"
for tool in piuparts autopkgtest; do
  command -v "$tool" >/dev/null || fail "$tool is missing; install the package $tool"
done
set -- "$packages"/trap*.deb
[ -e "$1" ] || fail "$packages has no packages; run make packages"
installed=
for package; do
  case "$package" in *-dbgsym_*) ;; *) installed="$installed $package" ;; esac
done

failed=0
said() {
  if [ "$1" = 0 ]; then
    echo "ok - $2"
  else
    echo "not ok - $2: $3 is the log; it ends:"
    tail -n 5 "$3" | sed 's/^/  | /'
    failed=1
  fi
}

log=$built/piuparts-$suite.log
# shellcheck disable=SC2086
piuparts --existing-chroot "$base" --distribution "$suite" --mirror "$(debian_mirror) main" --no-eatmydata $installed >"$log" 2>&1 && status=0 || status=1
said "$status" "piuparts finds no fault with $(echo $installed | wc -w) packages" "$log"

# Everything is mounted in a namespace of this script's own, which goes with it.
work=$(mktemp -d "$built/judge.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
cp -a "$base" "$work/root"
mkdir -p "$work/source"
git -C "$source" archive HEAD packaging/debian | tar -x -C "$work/source" --strip-components 1
printf 'trap (0) unstable; urgency=low\n\n  * Under test.\n\n -- T <t@trap.invalid>  Thu, 01 Jan 1970 00:00:00 +0000\n' >"$work/source/debian/changelog"
log=$built/autopkgtest-$suite.log
# shellcheck disable=SC2086
unshare --mount --propagation private sh -eu -c '
  root=$1 work=$2
  shift 2
  mount --bind "$root" "$root" # labs ask for mounts of their own, for which / must be one
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
  exec autopkgtest --ignore-restrictions=isolation-machine --output-dir "$work/output" "$@" "$work/source" -- chroot "$root"
' sh "$work/root" "$work" $installed >"$log" 2>&1 && status=0 || status=1
for test in $(sed -n 's/.*test-name=\([a-z]*\).*/\1/p; s/^Tests: //p' "$work/source/debian/tests/control"); do
  grep -Eq "^(autopkgtest \[[0-9:]*\]: )?$test +PASS" "$log" && passed=0 || passed=1
  said "$passed" "autopkgtest passes $test" "$log"
done
[ "$status" = 0 ] || failed=1
exit $failed
