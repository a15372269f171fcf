#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the signed tarball of a release from what is committed: dist.sh KEY, a key of gpg's. The
# version is that of CMakeLists.txt. Leaves trap-VERSION.tar.gz, .sha256 and .asc in build/dist.
# The same commit makes the same bytes.
set -eu

fail() {
  echo "dist: $*" >&2
  exit 2
}

key=${1:-}
[ -n "$key" ] || fail "name the key that signs: make dist KEY=you@example.com"
cd "$(dirname "$0")/.."
version=$(git show HEAD:CMakeLists.txt | sed -n 's/^project(trap VERSION \([0-9.]*\).*/\1/p')
[ -n "$version" ] || fail "CMakeLists.txt names no version"
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"
git show HEAD:CHANGELOG.md | grep -Eq "^## \[$version\] - [0-9]{4}-[0-9]{2}-[0-9]{2}\$" ||
  fail "CHANGELOG.md has no date for version $version"
git show HEAD:security.txt | grep -Eq '^Contact: (mailto:|https://|tel:)[^ ]' ||
  fail "security.txt has no contact: write a line such as Contact: mailto:security@example.com"

name=trap-$version
mkdir -p build/dist
rm -f "build/dist/$name".tar.gz*
git archive --format tar --prefix "$name/" HEAD | gzip -9 -n >"build/dist/$name.tar.gz"
(cd build/dist && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
gpg --batch --quiet --local-user "$key" --armor --detach-sign \
  --output "build/dist/$name.tar.gz.asc" "build/dist/$name.tar.gz" ||
  fail "gpg does not sign with the key $key"
echo "build/dist/$name.tar.gz"
