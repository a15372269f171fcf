# SPDX-License-Identifier: Apache-2.0
# For scripts that make chroots of Debian's suites: debian_mirror and make_chroot. They define fail().

# The mirror that this machine's own sources name first.
debian_mirror() {
  found=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 !~ /-security$/ { print $2; exit }')
  [ -n "$found" ] || fail "apt knows no mirror; run apt-get update"
  echo "$found"
}

# make_chroot VARIANT SUITE FOLDER: once; a later call finds it there. The log is FOLDER.log. apt in
# it is set up as this machine's administrator did, such as with a proxy; the files of packages are
# not taken along, or theirs there would ask which to keep.
make_chroot() {
  [ "$(id -u)" = 0 ] || fail "making a chroot needs root"
  command -v debootstrap >/dev/null || fail "debootstrap is missing; install the package debootstrap"
  [ ! -e "$3/.made" ] || return 0
  echo "${0##*/}: makes a chroot of $2 in $3"
  made_from=$(debian_mirror)
  rm -rf "$3"
  mkdir -p "$3"
  debootstrap --variant="$1" "$2" "$3" "$made_from" >"$3.log" 2>&1 ||
    fail "debootstrap failed; its log is $3.log"
  for setting in /etc/apt/apt.conf.d/*; do
    dpkg-query -S "$setting" >/dev/null 2>&1 || cp -a "$setting" "$3/etc/apt/apt.conf.d/"
  done
  touch "$3/.made"
}
