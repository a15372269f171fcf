#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Life of the daemons: start, status, stop, SIGKILL and restart with the same link and counters, a changed configuration, an
# interface that goes and comes back, --detach. Usage: lifecycle.sh BIN_DIR (as root). Prints "ok NAME" or "not ok NAME".
set -u

bin=${1:?usage: lifecycle.sh BIN_DIR}
bin=$(cd "$bin" && pwd) || exit 2
if [ "$(id -u)" != 0 ]; then
  echo "lifecycle.sh: run it as root: it makes network namespaces" >&2
  exit 2
fi

work=$(mktemp -d /tmp/trap-lifecycle.XXXXXX)
host=trap-life-$$
peer=trap-life-peer-$$
failures=0
declare -A pids=()

clean_up() {
  local part
  for part in "${!pids[@]}"; do kill -9 "${pids[$part]}" 2>/dev/null; done
  wait 2>/dev/null
  ip netns del "$host" 2>/dev/null
  ip netns del "$peer" 2>/dev/null
  mountpoint -q "$work/bpf" && umount "$work/bpf"
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

make_interface() {
  ip -n "$host" link add life0 type veth peer name life1 netns "$peer" &&
    ip -n "$host" addr add 203.0.113.10/24 dev life0 && ip -n "$peer" addr add 203.0.113.2/24 dev life1 &&
    ip -n "$host" link set life0 up && ip -n "$peer" link set life1 up
}

mkdir "$work/bpf" && mount -t bpf bpf "$work/bpf" && ip netns add "$host" && ip netns add "$peer" && make_interface || exit 2
ip -n "$host" link set lo up
"$bin/trapctl" key generate "$work/master.key" && "$bin/trapctl" key derive web-1 --master "$work/master.key" --output "$work/guard.key" || exit 2
for part in server guard client; do
  printf 'interfaces = ["life0"]\npin_dir = "%s"\ncontrol_socket = "%s"\n' "$work/bpf/$part" "$work/$part.sock" >"$work/$part.toml"
done
cat >>"$work/server.toml" <<END
master_key_file = "$work/master.key"
[[service]]
name = "web"
addresses = ["203.0.113.10:80"]
  [[service.backend]]
  address = "198.51.100.20:80"
  guard = "web-1"
END
cat >>"$work/guard.toml" <<END
secret_file = "$work/guard.key"
trap_servers = ["203.0.113.10"]
[[service]]
name = "web"
port = 80
END

in_host() { nsenter --net="/run/netns/$host" "$@"; }

# start PART: runs the daemon and waits until it is ready.
start() {
  nsenter --net="/run/netns/$host" "$bin/trap-$1" --config "$work/$1.toml" 2>"$work/$1.log" & # not in_host: $! must be the daemon
  pids[$1]=$!
  for _ in $(seq 150); do
    grep -q ready "$work/$1.log" && return 0
    kill -0 "${pids[$1]}" 2>/dev/null || break
    sleep 0.1
  done
  sed 's/^/# /' "$work/$1.log"
  return 1
}

# stop PART SIGNAL: ends the daemon; its exit code is the result.
stop() {
  kill "-$2" "${pids[$1]}"
  wait "${pids[$1]}" 2>/dev/null
}

# field PART EXPRESSION: a Python expression over the part's status `s`.
field() {
  "$bin/trapctl" status "$1" --socket "$work/$1.sock" --json 2>/dev/null | python3 -c "import json,sys; s = json.load(sys.stdin); print($2)"
}

# expect NAME WANTED GOT
expect() {
  if [ "$2" = "$3" ]; then
    echo "ok $1"
  else
    echo "not ok $1: \"$3\", not \"$2\""
    failures=$((failures + 1))
  fi
}

# What keeps working without the daemon: XDP link id, or the two tc programs.
attached() {
  if [ "$1" = client ]; then
    in_host tc filter show dev life0 ingress | grep -c trap_client_ing
    in_host tc filter show dev life0 egress | grep -c trap_client_egr
  else
    bpftool link show pinned "$work/bpf/$1/link-life0" | cut -d: -f1
  fi
}

# Some traffic that every part counts: a connect to the protected port, whatever comes of it.
knock() {
  timeout 1 nsenter --net="/run/netns/$peer" bash -c 'echo >/dev/tcp/203.0.113.10/80' 2>/dev/null
}

for part in server guard client; do
  start $part
  expect "$part: starts" ok "$(field $part 's["state"]')"
  expect "$part: answers with its name, version and pid" "$part ${pids[$part]} True" "$(field $part 's["part"], s["pid"], len(s["version"]) > 0' | tr -d "(',)")"
  [ $part = client ] || expect "$part: says its XDP mode" native "$(field $part 's["interfaces"][0]["xdp_mode"]')"
  expect "$part: control socket has mode 0600" 600 "$(stat -c %a "$work/$part.sock")"
  knock
  before=$(attached $part)
  counted=$(field $part 's["counters"]')
  expect "$part: counts packets" True "$(field $part 'sum(s["counters"].values()) > 0')"
  stop $part KILL
  expect "$part: stays attached after SIGKILL" "$before" "$(attached $part)"
  orphan=$("$bin/trapctl" status $part --socket "$work/$part.sock" --pin-dir "$work/bpf/$part")
  expect "$part: trapctl says degraded of pins without a daemon" 4 $?
  expect "$part: and what goes on without it" 1 "$(grep -cE "^  problem: trap-$part does not run; its programs? go(es)? on (at life0 )?with .*systemctl start trap-$part" <<<"$orphan")"
  knock
  start $part
  expect "$part: keeps link or filters over a restart" "$before" "$(attached $part)"
  expect "$part: goes on counting from where it was" True \
    "$(field $part "all(s['counters'].get(name, 0) >= packets for name, packets in $counted.items()) and sum(s['counters'].values()) > sum($counted.values())")"
  stop $part TERM
  expect "$part: SIGTERM ends it with exit code 0" 0 $?
  expect "$part: stays attached after SIGTERM" "$before" "$(attached $part)"
  expect "$part: its control socket is gone" "" "$(ls "$work/$part.sock" 2>/dev/null)"

  start $part
  ip -n "$host" link del life0
  sleep 0.2
  expect "$part: an interface that is gone is a problem" degraded "$(field $part 's["state"]')"
  make_interface
  sleep 2.5
  expect "$part: attaches again when the interface comes back" ok "$(field $part 's["state"]')"
  stop $part KILL
  ip -n "$host" link del life0
  [ $part = client ] || expect "$part: trapctl says when nothing goes on" "4 1" \
    "$("$bin/trapctl" status $part --socket "$work/$part.sock" --pin-dir "$work/bpf/$part" >"$work/orphan"; echo $?) $(grep -c 'attached to no interface any more' "$work/orphan")"
  make_interface
  start $part
  expect "$part: starts with pins of an interface that is gone" ok "$(field $part 's["state"]')"
  stop $part TERM

  in_host "$bin/trap-$part" --config "$work/$part.toml" --detach 2>/dev/null
  expect "$part: --detach succeeds" 0 $?
  expect "$part: trapctl says that nothing is left" "3 1" \
    "$("$bin/trapctl" status $part --socket "$work/$part.sock" --pin-dir "$work/bpf/$part" >"$work/orphan" 2>&1; echo $?) $(grep -c "trap-$part does not run here" "$work/orphan")"
  expect "$part: --detach removes its pins" "" "$(ls -d "$work/bpf/$part" 2>/dev/null)"
  expect "$part: --detach removes what was attached" 0 "$({ ip -n "$host" link show life0; in_host tc filter show dev life0 ingress; in_host tc filter show dev life0 egress; } | grep -cE 'prog/xdp|trap_client')"
  in_host "$bin/trap-$part" --config "$work/$part.toml" --detach 2>/dev/null
  expect "$part: --detach again has nothing to do" 0 $?
done

# A changed configuration: the service that stays keeps its counters, the one that goes is forgotten, a new one starts at zero.
start server
knock
kept=$(field server '[x for x in s["services"] if x["address"] == "203.0.113.10:80"][0]["counters"]')
stop server TERM
printf '[[service]]\nname = "two"\naddresses = ["203.0.113.10:81"]\n[[service.backend]]\naddress = "198.51.100.21:80"\nguard = "web-2"\nweight = 3\n' >"$work/two"
cp "$work/server.toml" "$work/one.toml"
cat "$work/two" >>"$work/server.toml"
start server
expect "server: a service keeps its counters when another comes" "$kept {}" "$(field server '*[x["counters"] for x in s["services"]]')"
stop server TERM
grep -v '^#' "$work/one.toml" | sed 's/:80"\]/:82"]/' >"$work/server.toml"
start server
expect "server: services no longer configured are gone" "1 203.0.113.10:82" "$(field server 'len(s["services"]), s["services"][0]["address"]' | tr -d "(',)")"
expect "server: only their address and port are left in the map" 2 "$(bpftool -j map dump pinned "$work/bpf/server/service_table" | python3 -c 'import json,sys; print(sum(e["formatted"]["value"]["state"] == 1 for e in json.load(sys.stdin)))')"
stop server TERM
sed -i '1a xdp_mode = "generic"' "$work/server.toml"
start server
expect "server: the XDP mode changes with the configuration" generic "$(field server 's["interfaces"][0]["xdp_mode"]')"
stop server TERM

[ "$failures" = 0 ]
