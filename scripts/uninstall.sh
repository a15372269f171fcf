#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Removes the files that installations of TRAP put below a prefix, as their list has them, and says
# what it leaves. Usage: scripts/uninstall.sh [PREFIX]; PREFIX is /usr/local if not given, and
# DESTDIR in the environment goes before it as with make install.
set -eu

prefix=${1:-/usr/local}
root=${DESTDIR:-}
list=$root$prefix/share/trap/installed-files.txt

fail() {
  echo "uninstall: $*" >&2
  exit 1
}

[ -f "$list" ] || fail "$list is not there: nothing was installed below $root$prefix"
[ -w "$list" ] || fail "$list cannot be removed: run as root"

# The programs attached to interfaces outlive their daemons: without the programs on disk, nothing
# could end them.
if [ -z "$root" ]; then
  for part in server guard client; do
    if [ -n "$(ls -A "/sys/fs/bpf/trap/$part" 2>/dev/null)" ]; then
      fail "trap-$part is at work on this host: run first:" \
        "systemctl disable --now trap-$part; trap-$part --detach"
    fi
  done
fi

removed=0
while read -r file; do
  if [ -e "$root$file" ] || [ -L "$root$file" ]; then
    rm "$root$file"
    removed=$((removed + 1))
  fi
  # Folders that are empty now, but none that stand below every prefix.
  folder=${file%/*}
  while :; do
    case "${folder#"$prefix"/}" in */*) ;; *) break ;; esac
    [ "$folder" != "$prefix/share/man" ] || break
    rmdir "$root$folder" 2>/dev/null || break
    folder=${folder%/*}
  done
done <<END
$(cat "$list")
END
echo "uninstall: removed $removed files below $root$prefix"

[ -z "$root" ] || exit 0
for left in /etc/trap /run/trap /etc/systemd/system/*.wants/trap-*.service \
  /etc/sysctl.d/trap-server.conf; do
  if [ -e "$left" ] || [ -L "$left" ]; then echo "uninstall: left: $left"; fi
done
