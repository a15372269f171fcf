#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Packs the programs of a version that had no packages yet as its packages would have been: former.sh VERSION PACKAGES OUT. PACKAGES has this
# version's, from which the dependencies and the maintainer scripts are taken. BUILD in the environment is a build tree of that version;
# without it the one of tests/upgrade is made and used.
set -eu

fail() {
  echo "former.sh: $*" >&2
  exit 2
}

[ $# = 3 ] || { echo "usage: former.sh VERSION PACKAGES OUT" >&2 && exit 2; }
version=$1 packages=$(cd "$2" && pwd)
mkdir -p "$3"
out=$(cd "$3" && pwd)
cd "$(dirname "$0")/../.."
build=${BUILD:-}
if [ -z "$build" ]; then
  commit=$(git log --format=%H --grep "^version $version\$" -1)
  [ -n "$commit" ] || fail "no commit \"version $version\" in this clone"
  source=$PWD/build/upgrade/$version
  if [ ! -d "$source" ]; then
    mkdir -p "$source.part"
    git archive "$commit" | tar -x -C "$source.part"
    mv "$source.part" "$source"
  fi
  build=$source/build/release
  (cd "$source" && cmake --preset release && cmake --build --preset release) >"$out/build.log" 2>&1 || fail "$version does not build: see $out/build.log"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
DESTDIR=$work/all cmake --install "$build" --prefix /usr --strip >/dev/null
for name in trap-server trap-guard trap-client trapctl; do
  root=$work/$name
  newer=$(find "$packages" -name "${name}_*.deb")
  [ -f "$newer" ] || fail "$packages has no $name"
  mkdir -p "$root"
  dpkg-deb -e "$newer" "$root/DEBIAN"
  rm -f "$root/DEBIAN/md5sums"
  sed -i "s/^Version: .*/Version: $version/; /^Installed-Size/d" "$root/DEBIAN/control"
  program=$(find "$work/all/usr" -path "*bin/$name")
  libraries=$(ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | while read -r library; do
    dpkg-query -S "$(readlink -f "$library")" 2>/dev/null | sed 's/:.*//'
  done | sort -u | paste -sd, | sed 's/,/, /g')
  sed -i "s/^Depends: .*/Depends: $libraries/" "$root/DEBIAN/control"
  (cd "$work/all" && find usr \( -path "*bin/$name" -o -path "*/man*/$name.*" -o -name "$name.service" \) -type f) |
    while read -r file; do install -D -m "$(stat -c %a "$work/all/$file")" "$work/all/$file" "$root/$file"; done
  # What the maintainer scripts name.
  dpkg-deb -x "$newer" "$work/newer"
  (cd "$work/newer" && find usr/lib/sysusers.d usr/lib/tmpfiles.d -name "$name.conf" 2>/dev/null || true) |
    while read -r file; do install -D -m 644 "$work/newer/$file" "$root/$file"; done
  if [ -d "$root/usr/lib/systemd" ]; then
    mkdir -p "$root/lib/systemd"
    mv "$root/usr/lib/systemd/system" "$root/lib/systemd/"
    sed -i 's,/usr/local/sbin,/usr/sbin,' "$root/lib/systemd/system/$name.service"
  fi
  dpkg-deb --root-owner-group -Zgzip -b "$root" "$out/${name}_${version}_amd64.deb" >/dev/null
done
ls "$out"/*.deb
