#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# trap-guard's trusted peers and its reload: what a reload lets in and shuts out, an invalid one that changes nothing, and fifty of them
# while a trusted peer connects. Usage: guard_reload.sh BIN_DIR (as root). Prints "ok NAME" or "not ok NAME".
set -u

bin=${1:?usage: guard_reload.sh BIN_DIR}
bin=$(cd "$bin" && pwd) || exit 2
if [ "$(id -u)" != 0 ]; then
  echo "guard_reload.sh: run it as root: it makes network namespaces" >&2
  exit 2
fi

work=$(mktemp -d /tmp/trap-guard-reload.XXXXXX)
host=trap-greload-$$
peer=trap-greload-peer-$$
failures=0
daemon=
services=()

clean_up() {
  kill -9 $daemon "${services[@]}" 2>/dev/null
  wait 2>/dev/null
  ip netns del "$host" 2>/dev/null
  ip netns del "$peer" 2>/dev/null
  mountpoint -q "$work/bpf" && umount "$work/bpf"
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

mkdir "$work/bpf" && mount -t bpf bpf "$work/bpf" && ip netns add "$host" && ip netns add "$peer" || exit 2
ip -n "$host" link add rel0 type veth peer name rel1 netns "$peer" || exit 2
ip -n "$host" addr add 198.51.100.20/24 dev rel0 && ip -n "$host" addr add 2001:db8::20/64 dev rel0 nodad || exit 2
for last in 1 2; do
  ip -n "$peer" addr add 198.51.100.$last/24 dev rel1 && ip -n "$peer" addr add 2001:db8::$last/64 dev rel1 nodad || exit 2
done
ip -n "$host" link set rel0 up && ip -n "$peer" link set rel1 up || exit 2
for key in first second; do
  "$bin/trapctl" key generate "$work/$key.master" && "$bin/trapctl" key derive web-1 --master "$work/$key.master" --output "$work/$key.key" || exit 2
done

# configure KEY TRUSTED PORT...: writes guard.toml, a service for each port.
configure() {
  local key=$1 trusted=$2 port
  shift 2
  printf 'interfaces = ["rel0"]\npin_dir = "%s"\ncontrol_socket = "%s"\nsecret_file = "%s"\ntrap_servers = ["203.0.113.10"]\n' \
    "$work/bpf/guard" "$work/guard.sock" "$work/$key.key" >"$work/guard.toml"
  [ -z "$trusted" ] || echo "trusted = [$trusted]" >>"$work/guard.toml"
  for port in "$@"; do printf '[[service]]\nname = "port-%s"\nport = %s\n' "$port" "$port" >>"$work/guard.toml"; done
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

# expect_line NAME PATTERN TEXT: the text is one line that has the pattern.
expect_line() {
  if [ "$(wc -l <<<"$3")" = 1 ] && grep -q -- "$2" <<<"$3"; then
    echo "ok $1"
  else
    echo "not ok $1: no \"$2\" in \"$3\""
    failures=$((failures + 1))
  fi
}

# field EXPRESSION: a Python expression over the status `s`.
field() {
  "$bin/trapctl" status guard --socket "$work/guard.sock" --json 2>/dev/null | python3 -c "import json,sys; s = json.load(sys.stdin); print($1)"
}

reload() {
  "$bin/trapctl" reload guard --socket "$work/guard.sock" 2>&1
}

# connects FROM TO PORT: "yes" if a connection comes about before a second SYN would.
connects() {
  nsenter --net="/run/netns/$peer" python3 - "$@" <<'END'
import socket, sys
source, to, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    socket.create_connection((to, port), timeout=0.8, source_address=(source, 0)).close()
    print("yes")
except OSError:
    print("no")
END
}

for port in 80 81; do
  nsenter --net="/run/netns/$host" python3 -c "
import socket
listener = socket.create_server(('::', $port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
while True: listener.accept()[0].close()" &
  services+=($!)
done
configure first '' 80
nsenter --net="/run/netns/$host" "$bin/trap-guard" --config "$work/guard.toml" 2>"$work/guard.log" &
daemon=$!
for _ in $(seq 150); do grep -q ready "$work/guard.log" && break; kill -0 $daemon 2>/dev/null || break; sleep 0.1; done
if ! grep -q ready "$work/guard.log"; then
  sed 's/^/# /' "$work/guard.log"
  echo "not ok trap-guard starts"
  exit 1
fi
for _ in $(seq 50); do [ "$(connects 198.51.100.1 198.51.100.20 81)" = yes ] && break; sleep 0.1; done
expect "nobody is trusted unless configured" "no no []" \
  "$(connects 198.51.100.1 198.51.100.20 80) $(connects 2001:db8::1 2001:db8::20 80) $(field 's["trusted"]')"

configure first '"198.51.100.1", "2001:db8::1/128"' 80
expect_line "a reload says what came" "trusted +198.51.100.1/32 +2001:db8::1/128" "$(reload)"
expect "trusted peers get in" "yes yes" "$(connects 198.51.100.1 198.51.100.20 80) $(connects 2001:db8::1 2001:db8::20 80)"
expect "their neighbours do not" "no no" "$(connects 198.51.100.2 198.51.100.20 80) $(connects 2001:db8::2 2001:db8::20 80)"
expect "they are counted and listed" "True ['198.51.100.1/32', '2001:db8::1/128']" \
  "$(field 's["counters"]["pass-trusted"] >= 2, s["trusted"]' | sed 's/^(//; s/)$//; s/True, /True /')"
expect_line "a reload of the same changes nothing" "nothing has changed" "$(reload)"

configure first '"198.51.100.1"' 80 81
sed -i 's/^port = 81/port = 80/' "$work/guard.toml"
expect_line "an invalid configuration is refused with file and line" "guard.toml:[0-9]*: " "$(reload)"
expect "and nothing has changed" "yes yes 1" \
  "$(connects 2001:db8::1 2001:db8::20 80) $(connects 198.51.100.2 198.51.100.20 81) $(field 'len(s["services"])')"
configure missing '' 80
expect_line "a key file that is missing is refused" "missing.key" "$(reload)"
configure first '' 80
sed -i 's/^pin_dir = .*/pin_dir = "\/sys\/fs\/bpf\/elsewhere"/' "$work/guard.toml"
expect_line "a key that needs --detach is refused" "pin_dir from .*--detach" "$(reload)"
expect "and nobody lost his trust" yes "$(connects 198.51.100.1 198.51.100.20 80)"

configure second '"198.51.100.1"' 81
epochs=$(field 's["keys"]["epochs_held"]')
expect_line "a reload says what went" "trusted -2001:db8::1/128; service +port-81 -port-80; new key" "$(reload)"
expect "the other port is protected now" "yes no yes no" "$(connects 198.51.100.2 198.51.100.20 80) $(connects 198.51.100.2 198.51.100.20 81) \
$(connects 198.51.100.1 198.51.100.20 81) $(connects 2001:db8::1 2001:db8::20 81)"
expect "a new key has the same epochs" "$epochs" "$(field 's["keys"]["epochs_held"]')"

configure first '"198.51.100.1"' 80
kill -HUP $daemon
for _ in $(seq 50); do [ "$(field 's["services"][0]["port"]')" = 80 ] && break; sleep 0.1; done
expect "SIGHUP is a reload" 80 "$(field 's["services"][0]["port"]')"

nsenter --net="/run/netns/$peer" python3 -c "
import os, socket
done = failed = 0
while not os.path.exists('$work/enough'):
    try:
        connection = socket.create_connection(('198.51.100.20', 80), timeout=0.8, source_address=('198.51.100.1', 0))
        connection.recv(1)
        connection.close()
        done += 1
    except OSError as error:
        failed += 1
print(done, failed)" >"$work/loop" &
services+=($!)
loop=$!
for i in $(seq 50); do
  if [ $((i % 2)) = 1 ]; then
    configure second '"10.0.0.0/8", "198.51.100.1", "2001:db8::/64"' 81 80
  else
    configure first '"198.51.100.1"' 80
  fi
  reload >"$work/reload" || { cat "$work/reload"; failures=$((failures + 1)); }
done
touch "$work/enough"
wait $loop
read -r done failed <"$work/loop"
expect "a trusted peer connects all the while" True "$(python3 -c "print($done >= 50)")"
expect "fifty reloads cost it no connection" 0 "$failed"
expect "and the counters went on" True "$(field "s['services'][0]['counters']['pass-trusted'] >= $done")"
expect "nothing is wrong" ok "$(field 's["state"]')"

[ $failures = 0 ]
