#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a release from a small repository with a key of its own, and tries what must be refused.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'gpgconf --homedir "$work/gpg" --kill gpg-agent 2>/dev/null || :; rm -rf "$work"' EXIT
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

refused() {
  ! "$work/clone/scripts/dist.sh" test@example.com >"$work/refusal" 2>&1 &&
    grep -q "$1" "$work/refusal" || { cat "$work/refusal"; return 1; }
}

commit() {
  git -C "$work/clone" add -A
  git -C "$work/clone" -c user.name=test -c user.email=test@example.com commit -qm "$1"
}

export GNUPGHOME="$work/gpg"
mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key test@example.com default default never
git init -q "$work/clone"
cd "$work/clone"
mkdir scripts
cp "$source/scripts/dist.sh" scripts/
cp "$source/CMakeLists.txt" "$source/security.txt" .
version=$(sed -n 's/^project(trap VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
echo "## [$version] - unreleased" >CHANGELOG.md
echo /build/ >.gitignore
commit first

check "a version without a date is refused" refused "no date for version $version"
echo "## [$version] - 2026-01-01" >CHANGELOG.md
check "what is not committed is refused" refused "not committed"
commit dated
check "a release without a contact is refused" refused "security.txt has no contact"
echo "Contact: mailto:security@example.com" >>security.txt
commit contact
check "a release is made" scripts/dist.sh test@example.com
tarball=build/dist/trap-$version.tar.gz
check "its signature is right" gpg --batch --verify "$tarball.asc" "$tarball"
check "its sum is right" sh -c 'cd build/dist && sha256sum -c *.sha256'
check "it has a folder of its name" sh -c "tar -tzf $tarball | grep -q '^trap-$version/CMakeLists.txt$'"
before=$(sha256sum "$tarball")
check "it is made again" scripts/dist.sh test@example.com
check "of the same bytes" test "$before" = "$(sha256sum "$tarball")"
echo x >>"$tarball"
check "a changed one has no right signature" sh -c "! gpg --batch --verify $tarball.asc $tarball"
check "without a key nothing is made" sh -c '! scripts/dist.sh'
exit "$((failures != 0))"
