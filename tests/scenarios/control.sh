#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# trapctl against running daemons: reload, key status, backend list, drain and activate, redirects, knock, top in its three forms; and what each says when it
# cannot. Usage: control.sh BIN_DIR (as root). Prints "ok NAME" or "not ok NAME".
set -u
name=control
here=$(cd "$(dirname "$0")" && pwd) || exit 2
. "$here/daemon_host.sh"

port=9464
for part in server guard client; do
  write_config $part $port
  port=$((port + 1))
  start $part || exit 1
done

# says NAME CODE PATTERN COMMAND...: exit code, and one line on stderr that matches.
says() {
  local what=$1 code=$2 pattern=$3
  shift 3
  "$@" >"$work/out" 2>"$work/err"
  expect "$what: exit code" "$code" $?
  expect "$what: one line that says why" 1 "$(grep -cE "$pattern" "$work/err")"
  expect "$what: no other" 1 "$(wc -l <"$work/err")"
}

json() { python3 -c "import json,sys; s = json.load(sys.stdin); print($1)"; }

for part in server guard client; do
  control $part reload >"$work/out" 2>&1
  expect "$part: reload succeeds" 0 $?
  expect "$part: reload tells in one line" "1 1" "$(wc -l <"$work/out") $(grep -c "^trap-$part: " "$work/out")"
  expect "$part: reload as JSON" "$part True" "$(control $part reload --json | json 's[0]["part"], len(s[0]["reloaded"]) > 0' | tr -d "(',)")"
  cp "$work/$part.toml" "$work/good"
  sed -i 's/^metrics_listen.*/metrics_listen = "127.0.0.1:9999"/' "$work/$part.toml"
  says "$part: a change that needs a restart" 2 'metrics_listen.*restart' control $part reload
  expect "$part: goes on, and says so in status" degraded "$(field $part 's["state"]')"
  cp "$work/good" "$work/$part.toml"
  control $part reload >/dev/null 2>&1
  expect "$part: a good reload mends it" ok "$(field $part 's["state"]')"
done
says "reload: nobody there" 3 'server does not run' "$bin/trapctl" reload server --socket "$work/none.sock"

for part in server guard; do
  expect "$part: key status has the present epoch" "$(field $part 's["keys"]["epoch"]')" \
    "$(control $part key status --json | json '[e["epoch"] for e in s[0]["epochs"] if e["role"] == "present"][0]')"
  expect "$part: whose time is now" True \
    "$(control $part key status --json | json '[e["since_unix_s"] <= __import__("time").time() < e["until_unix_s"] for e in s[0]["epochs"] if e["role"] == "present"][0]')"
  expect "$part: and whose neighbours are held" 3 "$(control $part key status --json | json 'sum(e["held"] for e in s[0]["epochs"] if e["role"] != "ahead")')"
  expect "$part: key status in words" 3 "$(control $part key status | grep -cE '(previous|present|next) .* held$')"
done
says "key status: not a client's" 3 'server.s and the guard.s' "$bin/trapctl" key status --socket "$work/client.sock"

backend() { "$bin/trapctl" backend "$@" --socket "$work/server.sock"; }
state_of() { backend list web --json | json "[b['state'] for b in s if b['address'] == '$1'][0]"; }
share_of() { backend list web --json | json "[b['share_percent'] for b in s if b['address'] == '$1'][0]"; }
expect "backend list: both are active" "active active" "$(state_of 198.51.100.20:80) $(state_of 198.51.100.21:80)"
expect "backend list in words" 2 "$(backend list | grep -cE '^web +203.0.113.10:80 +198.51.100.2[01]:80 +web-1 .*active')"
backend drain web 198.51.100.20:80 >/dev/null
expect "backend drain: succeeds" 0 $?
expect "backend drain: its state" draining "$(state_of 198.51.100.20:80)"
expect "backend drain: its share goes to the other" "0.0 100.0" "$(share_of 198.51.100.20:80) $(share_of 198.51.100.21:80)"
control server reload >/dev/null
expect "backend drain: survives a reload" draining "$(state_of 198.51.100.20:80)"
backend activate web 198.51.100.20:80 >/dev/null
expect "backend activate: its state" active "$(state_of 198.51.100.20:80)"
says "backend: not one of the service" 2 198.51.100.99:80 backend drain web 198.51.100.99:80
says "backend: no such service" 2 nosuch backend drain nosuch 198.51.100.20:80
says "backend: no such service to list" 2 nosuch backend list nosuch
says "backend: no address" 2 'no port' backend drain web 198.51.100.20
says "backend: a name that is none" 2 'service.s name' backend drain ../reload 198.51.100.20:80

redirects() { "$bin/trapctl" redirects "$@" --socket "$work/client.sock"; }
expect "redirects: a client that was nowhere has none" "[]" "$(redirects --json)"
expect "redirects in words" 1 "$(redirects | grep -c '^SERVICE .* FALLBACKS$')"
expect "redirects flush: of nothing, nothing" "0 redirect(s) forgotten" "$(redirects flush)"
says "redirects flush: one that is not held" 2 'no redirect of 203.0.113.10:80' redirects flush 203.0.113.10:80
says "redirects flush: no address" 2 'no port' redirects flush web
says "redirects: not a server's" 2 'a client.s' "$bin/trapctl" redirects --socket "$work/server.sock"
says "redirects: nobody there" 3 'does not run' "$bin/trapctl" redirects --socket "$work/none.sock"
says "knock: no address" 2 'no port' "$bin/trapctl" knock 203.0.113.10
says "knock: a patience that is none" 2 patience "$bin/trapctl" knock 203.0.113.10:80 --patience 0
says "knock: no way there" 1 'no way to 198.18.0.1:80' in_host "$bin/trapctl" knock 198.18.0.1:80
says "knock: not root" 1 'run as root' in_host setpriv --reuid=65534 --regid=65534 --clear-groups "$bin/trapctl" knock 203.0.113.2:80
expect "knock: at a host that does not listen" 'SYN, RST' \
  "$(in_host "$bin/trapctl" knock 203.0.113.2:80 --json | json '", ".join(t["segment"] for t in s["steps"])')"

( for _ in 1 2 3 4; do knock; done ) &
expect "top --once --json: SYNs of the server's service are counted" True \
  "$(control server top --once --json --interval 2 | json 'sum(r["per_s"]["syn"] for r in s["services"] if r["service"] == "web") > 0')"
wait $!
expect "top --once: a table for each part" "1 1" "$(control server top --once --interval 0.1 | grep -c '^trap-server') $(control guard top --once --interval 0.1 | grep -c '^trap-guard')"
timeout 5 "$bin/trapctl" top server --socket "$work/server.sock" --interval 0.1 | head -n 40 >"$work/out"
expect "top into a pipe: one plain table after the other" True "$([ "$(grep -c '^trap-server' "$work/out")" -gt 2 ] && ! grep -q "$(printf '\033')" "$work/out" && echo True)"
for key in q INT; do
  expect "top on a terminal: draws, ends with $key, restores it" "" \
    "$(python3 -B "$here/live_top.py" $key "$bin/trapctl" top server --socket "$work/server.sock" --interval 0.2)"
done
says "top: nobody there" 3 'does not run' "$bin/trapctl" top server --socket "$work/none.sock" --once
says "top: an interval that is none" 2 interval control server top --interval 0
finish
