#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The commands of the drop-in trap-guard-closed.conf, in the order of a boot whose bridge comes after the guard's first start, while an
# uninvited host tries to connect: without them it gets through until the guard is ready, with them never, and a trusted host always.
# closed.sh BIN_DIR DROP_IN (as root, in tests/scenarios/isolated.sh). Prints "ok NAME" or "not ok NAME". tests/kernels/late.sh has systemd do it.
set -eu

bin=${1:?usage: closed.sh BIN_DIR DROP_IN}
drop_in=${2:?usage: closed.sh BIN_DIR DROP_IN}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/late-bridge.sh"
work=$(mktemp -d)
failures=0
guard=
stop() {
  [ -z "$guard" ] || { kill "$guard" && wait "$guard" || true; } 2>/dev/null
  "$bin/trap-guard" --config "$work/guard.toml" --detach >/dev/null 2>&1 || true
  guard=
}
trap 'stop; kill ${service:-} 2>/dev/null; ip netns del stranger 2>/dev/null; rm -rf "$work"' EXIT

check() { # NAME COMMAND...
  name=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    echo "ok $name"
  else
    echo "not ok $name: $(tail -n 3 "$work/said" | tr '\n' '/')"
    failures=$((failures + 1))
  fi
}
# The unit's lines as systemd runs them, of the program that was built.
unit() {
  sed -n "s/^$1=-+//p" "$drop_in" | sed "s,[^ ']*/trap-guard --,$bin/trap-guard --config $work/guard.toml --," >"$work/line"
  [ -s "$work/line" ] && sh -eu "$work/line"
}
has_table() { nft list table inet trap_guard_closed; }
no_table() { ! nft list table inet trap_guard_closed; }
connect_from() { # ADDRESS...
  for address in "$@"; do tries_from "$address" 8080 5 || return 1; done
}
refused_from() {
  for address in "$@"; do ! tries_from "$address" 8080 2 || return 1; done
}
start() {
  : >"$work/log" # or the last run's line might be taken for this one's
  "$bin/trap-guard" --config "$work/guard.toml" >"$work/log" 2>&1 &
  guard=$!
  until grep -q ' ready: ' "$work/log" || ! kill -0 "$guard" 2>/dev/null; do sleep 0.1; done
  kill -0 "$guard"
}
first_start() { ! "$bin/trap-guard" --config "$work/guard.toml" && grep -q 'no interface "br0"' "$work/said"; }

"$bin/trapctl" key generate "$work/master.key" >/dev/null
"$bin/trapctl" key derive web-1 --master "$work/master.key" --output "$work/guard.key" >/dev/null
cat >"$work/guard.toml" <<END
interfaces = ["br0"]
xdp_mode = "generic"
secret_file = "$work/guard.key"
trap_servers = ["203.0.113.11"]
mode = "enforce"
trusted = ["203.0.113.1", "2001:db8:113::1"]
[[service]]
name = "web"
port = 8080
END
mkdir -p /run/netns
make_stranger
python3 -B -m http.server 8080 --bind :: --directory "$here" >/dev/null 2>&1 &
service=$!
until curl --silent --output /dev/null http://127.0.0.1:8080/; do sleep 0.1; done

# Without the drop-in.
check "without: the first start comes before the bridge" first_start
make_bridge
check "without: the uninvited host gets through" connect_from $uninvited_addresses
check "without: the guard starts" start
check "without: it gets through no longer" refused_from $uninvited_addresses
stop
ip link del br0

# With it.
check "the line before the start" unit ExecStartPre
check "it closes the port" has_table
check "the first start comes before the bridge" first_start
make_bridge
check "the uninvited host does not get through" refused_from $uninvited_addresses
check "a trusted host does" connect_from $trusted_addresses
check "this host does" curl --silent --max-time 5 --output /dev/null http://203.0.113.10:8080/
check "the line before the second start" unit ExecStartPre
check "it keeps the port closed" has_table
check "the guard starts" start
check "both close the port" refused_from $uninvited_addresses
check "the line after the start" unit ExecStartPost
check "the table is gone" no_table
check "the guard closes the port" refused_from $uninvited_addresses
check "a trusted host still gets through" connect_from $trusted_addresses
check "the line before a restart" unit ExecStartPre
check "a restart closes nothing" no_table
sed -i 's/^mode = .*/mode = "monitor"/' "$work/guard.toml"
stop
check "the line before a start in monitor mode" unit ExecStartPre
check "it closes nothing" no_table
[ "$failures" = 0 ]
