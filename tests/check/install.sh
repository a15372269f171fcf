#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs a build into an empty folder and uninstalls it again: install.sh BUILD
set -eu
build=${1:?usage: install.sh BUILD}
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

check() {
  what=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    echo "ok $what"
  else
    echo "not ok $what"
    sed 's/^/  | /' "$work/said"
    failures=$((failures + 1))
  fi
}

install() {
  env DESTDIR="$work/root" cmake --install "$build" --prefix "$1" --component "$2"
}

uninstall() {
  env DESTDIR="$work/root" "$source/scripts/uninstall.sh" "$1"
}

files() {
  (cd "$work/root" && find . ! -type d | sed 's,^\.,,' | sort)
}

mkdir -p "$work/root/usr/local/share/man" "$work/root/usr/local/share/trap"
echo "the administrator's" >"$work/root/usr/local/share/trap/notes"
for component in server guard client ctl doc; do
  check "$component installs" install /usr/local "$component"
done
for file in sbin/trap-server sbin/trap-guard sbin/trap-client bin/trapctl \
  lib/systemd/system/trap-guard.service share/man/man8/trap-guard.8 share/man/man1/trapctl.1 \
  lib/sysusers.d/trap-client.conf share/doc/trap/README.md share/doc/trap/examples/guard.toml; do
  check "$file is there" test -s "$work/root/usr/local/$file"
done
version=$(sed -n 's/^project(trap VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
check "the page has the version" \
  grep -q "^\.Os TRAP $version\$" "$work/root/usr/local/share/man/man8/trap-guard.8"
check "the program has the version" \
  sh -c '"$1" --version | grep -q " $2\$"' - "$work/root/usr/local/sbin/trap-guard" "$version"

files | grep -v /notes >"$work/installed"
check "the list has every file" diff "$work/installed" \
  "$work/root/usr/local/share/trap/installed-files.txt"
check "uninstall" uninstall /usr/local
check "uninstall leaves what it did not bring" \
  test "$(files)" = "/usr/local/share/trap/notes"
check "uninstall leaves no folder of its own" test ! -e "$work/root/usr/local/share/doc/trap"

check "one component alone" install /opt/trap guard
check "the others are not there" test ! -e "$work/root/opt/trap/sbin/trap-server"
check "it can be uninstalled" uninstall /opt/trap
check "nothing is left of it" test -z "$(files | grep -v /notes)"
check "what is not installed cannot be uninstalled" \
  sh -c '! DESTDIR="$1" "$2" /opt/trap' - "$work/root" "$source/scripts/uninstall.sh"
[ "$failures" = 0 ]
