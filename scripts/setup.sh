#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that TRAP is built, shown, tested and measured with: those that are
# missing, of the groups that are asked for. No service that comes with them starts, now or later.
set -eu

usage="usage: scripts/setup.sh [--list] [build] [demo] [test] [bench] [packages] [machines]
  [neighbours] [tidy]
Installs the missing Debian packages of each group named (default: test). Needs root only if some
are missing. Services that the packages bring are neither started nor enabled.
  build    what compiles the programs and make install need
  demo     build, and what make demo runs
  test     demo, and what the tests and sanitizers need
  bench    demo, and what make bench needs
  packages what builds and judges Debian packages, in chroots
  machines what make test-machines needs
  neighbours  XDP programs of others, for make test-neighbours
  tidy     clang-tidy of a version that knows C++20, for make tidy
  --list   print the packages, and install nothing
  --help   print this, and install nothing"

fail() {
  echo "setup: $*" >&2
  exit 1
}

list=
groups=
for argument in "$@"; do
  case "$argument" in
  --list) list=1 ;;
  --help | -h)
    echo "$usage"
    exit 0
    ;;
  build) groups="$groups build" ;;
  demo) groups="$groups build demo" ;;
  bench) groups="$groups build demo bench" ;;
  packages | machines | neighbours | tidy) groups="$groups $argument" ;;
  test) groups="$groups build demo bench test" ;;
  *)
    echo "setup: \"$*\" is not understood: see scripts/setup.sh --help" >&2
    exit 2
    ;;
  esac
done
groups=${groups:-build demo bench test}

is_installed() {
  [ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" = "install ok installed" ]
}

# "clang" and "llvm" are the versions that the distribution builds with: 14 on Debian 12, 19 on 13.
packages_of() {
  case "$1" in
  build) echo "make cmake ninja-build pkg-config g++ clang bpftool libbpf-dev libelf-dev
    zlib1g-dev linux-libc-dev libsodium-dev libcli11-dev libtomlplusplus-dev libfmt-dev
    libspdlog-dev nlohmann-json3-dev libsystemd-dev
    prometheus-cpp-dev" ;;
  demo) echo "iproute2 ethtool nginx-light curl hping3 nftables" ;;
  bench) echo "libgtest-dev libgmock-dev libtins-dev python3 iptables iperf3 gnuplot-nox
    strace" ;;
  test) echo "llvm libclang-rt-dev clang-format procps git prometheus mandoc
    qemu-system-x86 cpio xz-utils kmod debootstrap apt-utils gpg gpg-agent ppp wireguard-tools libnginx-mod-stream haproxy
    frama-c-base spin bird2 exabgp keepalived openssh-server openssh-client wget chromium redis-server redis-tools postgresql wrk nmap zsh tshark systemd" ;;
  packages) echo "make git debootstrap apt-utils gpg gpg-agent piuparts autopkgtest" ;;
  machines) echo "make git python3 iproute2 curl qemu-system-x86 e2fsprogs ethtool clang
    apt-utils cpio xz-utils kmod debootstrap" ;;
  tidy) echo "clang-tidy-19" ;;
  neighbours) echo "xdp-tools clang iproute2 bpftool" ;;
  esac
}

packages() {
  for group in $groups; do packages_of "$group"; done | tr -s ' ' '\n' | grep . | sort -u
}

missing_packages() {
  packages | while read -r package; do is_installed "$package" || printf ' %s' "$package"; done
}

# Frama-C is not in Debian 13: there the proofs say that they are skipped.
may_be_absent="frama-c-base"

# Whether apt knows a version of it.
is_offered() {
  apt-cache policy "$1" 2>/dev/null | grep -q '^ *Candidate: [^(]'
}

# Of the packages named, those that this release has.
offered_packages() {
  for package; do
    case " $may_be_absent " in
    *" $package "*)
      is_offered "$package" || {
        echo "setup: this release of Debian has no $package; the tests that use it are skipped" >&2
        continue
      }
      ;;
    esac
    printf ' %s' "$package"
  done
}

# What starts services at boot: links of units below systemd's folders, and System V's. A unit that
# only another unit than a target wants, such as ssh.service's keys, starts with that.
boot_links() {
  {
    find /etc/systemd/system -type l ! -path '*.service.*/*' ! -path '*.socket.*/*' 2>/dev/null ||
      true
    find /etc/rc[2345].d -name 'S*' 2>/dev/null || true
  } | sort
}

# The unit that a link starts; an alias such as sshd.service, or a System V script, has another name.
unit_of() {
  case "$1" in
  /etc/rc?.d/*) echo "$(basename "$(readlink -f "$1")").service" ;;
  *) basename "$(readlink "$1")" ;;
  esac
}

# Whether the unit is of a package that every Debian host has, such as systemd or dbus.
is_of_the_host() {
  package=$(dpkg-query -S "*/systemd/system/$1" "/etc/init.d/${1%.service}" 2>/dev/null |
    sed -n 's/[:,].*//p' | head -n 1)
  case "$(dpkg-query -W -f='${Priority}' "$package" 2>/dev/null)" in
  required | important | standard) return 0 ;;
  esac
  [ "$package" = systemd ] || [ "$package" = dbus ]
}

# New units that would start at boot, each once; $1 has the links from before.
new_units() {
  boot_links | comm -13 "$1" - | while read -r link; do
    unit=$(unit_of "$link")
    case "$unit" in
    *.service | *.socket | *.timer | *.path) is_of_the_host "$unit" || echo "$unit" ;;
    esac
  done | sort -u
}

# Disables what the packages enabled; $1 has the links from before. Works on files, so that it does
# the same in a chroot or container where systemd does not run.
disable_new_services() {
  units=$(new_units "$1")
  for unit in $units; do
    deb-systemd-helper disable "$unit" >/dev/null 2>&1 || true
    script=${unit%.service}
    [ ! -e "/etc/init.d/$script" ] || update-rc.d "$script" disable >/dev/null 2>&1 || true
  done
  left=$(new_units "$1")
  [ -z "$left" ] || fail "these services would start at boot, disable them:" $left
  [ -z "$units" ] || echo "setup: installed, but not enabled:" $units
}

if [ -n "$list" ]; then
  packages
  exit 0
fi
missing=$(missing_packages)
[ -n "$missing" ] || exit 0
[ "$missing" != " $may_be_absent" ] || is_offered "$may_be_absent" || exit 0
[ "$(id -u)" = 0 ] || fail "missing packages:$missing; run as root: apt-get install$missing"
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
work=$(mktemp -d)
policy=/usr/sbin/policy-rc.d
ours=
cleanup() {
  rm -rf "$work"
  [ -z "$ours" ] || rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
# Packages must not start services on this host: the lab runs its own.
if [ ! -e "$policy" ]; then
  ours=1
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
boot_links >"$work/links.before"
status=0
{ apt-get update -q && missing=$(offered_packages $missing) &&
  apt-get install -y -q --no-install-recommends $missing; } >"$work/apt.log" 2>&1 || status=$?
grep '^setup: ' "$work/apt.log" || true
disable_new_services "$work/links.before"
if [ "$status" != 0 ]; then
  log=$(mktemp)
  cp "$work/apt.log" "$log"
  tail -n 20 "$log" >&2
  fail "apt-get failed; the whole log is $log"
fi
