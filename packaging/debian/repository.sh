#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a signed repository of packages, from which apt installs by a file: or http: address. Usage: repository.sh PACKAGES FOLDER KEY: the
# folder that build.sh filled, the repository's folder, and a secret key that gpg knows. FOLDER/key.asc is the public key for signed-by.
set -eu

fail() {
  echo "repository.sh: $*" >&2
  exit 2
}

if [ $# != 3 ]; then
  echo "usage: repository.sh PACKAGES FOLDER KEY" >&2
  exit 2
fi
packages=$1 folder=$2 key=$3
for tool in apt-ftparchive:apt-utils gpg:gpg; do
  command -v "${tool%:*}" >/dev/null || fail "${tool%:*} is missing; install the package ${tool#*:}"
done
[ -n "$(find "$packages" -maxdepth 1 -name '*.deb' 2>/dev/null)" ] || fail "$packages has no packages; run make packages"
gpg --list-secret-keys "$key" >/dev/null 2>&1 || fail "gpg has no secret key $key"

mkdir -p "$folder"
rm -f "$folder"/*.deb
cp "$packages"/*.deb "$folder"
cd "$folder"
apt-ftparchive packages . >Packages
gzip -9kf Packages
rm -f Release InRelease
apt-ftparchive -o APT::FTPArchive::Release::Origin=TRAP -o APT::FTPArchive::Release::Label=TRAP release . >Release.new
mv Release.new Release
gpg --batch --yes --local-user "$key" --clearsign --output InRelease Release
gpg --batch --yes --armor --export --output key.asc "$key"
echo "repository.sh: deb [signed-by=$PWD/key.asc] file:$PWD ./"
