#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that TRAP is built, shown, tested and measured with; only those that are missing.
set -eu

usage="usage: scripts/setup.sh [--list | --help]
Installs the Debian packages that TRAP is built, shown, tested and measured with, those that are missing. Needs root only if some are.
  --list   print the packages, and install nothing
  --help   print this, and install nothing"

case "$#${1:-}" in
0 | 1--list) ;;
1--help | 1-h)
  echo "$usage"
  exit 0
  ;;
*)
  echo "setup: \"$*\" is not understood: run it without options, or with --list or --help" >&2
  exit 2
  ;;
esac

build="make cmake ninja-build pkg-config g++ clang-14 llvm-14 bpftool libbpf-dev libelf-dev zlib1g-dev linux-libc-dev
 libsodium-dev libcli11-dev libtomlplusplus-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libcpp-httplib-dev libpcap-dev libsystemd-dev prometheus-cpp-dev"
demo="iproute2 ethtool nginx-light curl hping3"
tests="libgtest-dev libgmock-dev libtins-dev libclang-rt-14-dev clang-format clang-tidy python3 procps git prometheus mandoc
 qemu-system-x86 cpio xz-utils kmod ppp wireguard-tools libnginx-mod-stream haproxy openssh-server openssh-client iperf3 wget chromium
 redis-server redis-tools postgresql wrk nmap"
bench="nftables iptables gnuplot-nox"
packages="$build $demo $tests $bench"

if [ "${1:-}" = "--list" ]; then
  echo $packages | tr ' ' '\n'
  exit 0
fi
missing=
for package in $packages; do
  case "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" in
    "install ok installed") ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "setup: missing packages:$missing; run as root: apt-get install$missing" >&2
  exit 1
fi
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# nginx, Redis and PostgreSQL must not start by themselves on this host: the lab runs its own.
policy=/usr/sbin/policy-rc.d
ours=
if [ ! -e "$policy" ]; then
  ours=1
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT INT TERM
fi
log=$(mktemp)
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends $missing; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get failed; the whole log is $log" >&2
  exit 1
fi
rm -f "$log"
if [ -n "$ours" ]; then rm -f "$policy"; fi
