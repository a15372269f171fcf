#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# trap-guard's modes: what monitoring lets through and names, enforcing with a trial that runs out, also without the daemon, one that is
# confirmed, restarts and reloads in between, and who is warned. Usage: guard_modes.sh BIN_DIR (as root). Prints "ok NAME" or "not ok NAME".
set -u
name=modes
. "$(cd "$(dirname "$0")" && pwd)/daemon_host.sh"
unset SSH_CONNECTION

# The guard at the interface that the neighbour knocks at.
configure() {
  write_config guard 9465
  sed -i "s/guard0/trap0/; s/^metrics_listen.*/$1/" "$work/guard.toml"
}

guard() {
  "$bin/trapctl" guard "$@" --socket "$work/guard.sock"
}

stop() {
  kill "-$1" "${pids[guard]}"
  wait "${pids[guard]}" 2>/dev/null
  unset 'pids[guard]'
}

# "yes" if the neighbour's connection comes about before a second SYN would.
connects() {
  timeout 0.8 nsenter --net="/run/netns/$peer" bash -c 'echo >/dev/tcp/203.0.113.10/80' 2>/dev/null && echo yes || echo no
}

# The mode as the program has it, and as the configuration has it.
modes() {
  field guard 's["mode"], s["configured_mode"], "confirm_within_s" in s'
}

# Both, for who waits until a connection comes about on a busy machine.
lets_in_by() {
  echo "$(connects) $(modes)"
}

# said PATTERN: lines of the daemon's log.
said() {
  grep -c -- "$1" "$work/guard.log"
}

nsenter --net="/run/netns/$host" python3 -c "
import socket
listener = socket.create_server(('', 80), backlog=512)
while True: listener.accept()[0].close()" &
pids[listener]=$!
for _ in $(seq 50); do [ "$(connects)" = yes ] && break; sleep 0.1; done

configure 'mode = "monitor"'
start guard || exit 1
expect "a guard that monitors says so when it starts" 1 "$(said 'mode: monitor')"
becomes "monitoring lets in" yes connects
expect "and counts whom it would have dropped" True "$(field guard 's["monitored"]["drop-uninvited"] > 0 and "drop-uninvited" not in s["counters"]')"
expect "and is no problem where it is configured" "ok monitor monitor False" "$(field guard 's["state"]') $(modes)"
becomes "and names them" "203.0.113.2 web drop-uninvited" bash -c "$bin/trapctl guard suspects --json --socket $work/guard.sock |
  python3 -c 'import json,sys; s = json.load(sys.stdin)[\"suspects\"][0]; print(s[\"source\"], s[\"service\"], s[\"verdict\"])'"
expect "for people too" 1 "$(guard suspects | grep -c '^203\.0\.113\.2 .*drop-uninvited')"
expect "metrics tell the same" "1 1" "$(in_host curl -sS --unix-socket "$work/guard.sock" http://trap/metrics >"$work/metrics"
  echo "$(grep -c '^trap_enforcing{part="guard"} 0' "$work/metrics") $(grep -c '^trap_monitored_packets_total{.*service="web".*verdict="drop-uninvited"} [1-9]' "$work/metrics")")"
expect "there is nothing to confirm" "1 1" "$(guard confirm 2>&1 | grep -c 'nothing to confirm') $(guard confirm >/dev/null 2>&1; echo $?)"

guard enforce --confirm 2s >"$work/out"
expect "enforcing on trial" "0 1" "$? $(grep -c 'mode: enforce, for [12] more seconds' "$work/out")"
becomes "goes back by itself" "monitor monitor False" modes
becomes "and lets in again" yes connects
becomes "and says so" 1 said 'was not confirmed in time'

guard enforce --confirm 1h >/dev/null
expect "on trial it drops" "no enforce monitor True" "$(connects) $(modes)"
stop KILL
start guard || exit 1
expect "a trial goes on when the daemon was killed" "no enforce monitor True" "$(connects) $(modes)"
expect "a reload leaves it alone" "0 enforce monitor True" "$(control guard reload >/dev/null; echo $?) $(modes)"
expect "confirmed, it stays" "0 enforce monitor False" "$(guard confirm >/dev/null; echo $?) $(modes)"
expect "the log has it" "1" "$(said 'mode: enforce, confirmed')"
stop TERM
expect "a stop says until when the keys last" 1 "$(said 'stopping: .*with keys until .* UTC; then only established connections go on')"
start guard || exit 1
becomes "a restart goes by the configuration" "yes monitor monitor False" lets_in_by

guard enforce --confirm 2s >/dev/null
expect "a trial under way" "enforce monitor True" "$(modes)"
stop KILL
becomes "runs out without the daemon" yes connects
start guard || exit 1
expect "and stays run out" "monitor monitor False" "$(modes)"

configure 'mode = "enforce"'
expect "a reload takes a mode that was changed" "1 enforce enforce False no" \
  "$(control guard reload | grep -c 'mode from "monitor" to "enforce"') $(modes) $(connects)"
guard monitor >/dev/null
becomes "monitoring against the configuration lets in" yes connects
expect "and is a problem" "degraded 4" "$(field guard 's["state"]') $(control guard status >/dev/null; echo $?)"
expect "one that a reload does not end" "0 monitor enforce False" "$(control guard reload >/dev/null; echo $?) $(modes)"
expect "but a command" "0 enforce enforce False ok" "$(guard enforce >/dev/null; echo $?) $(modes) $(field guard 's["state"]')"
expect "mode tells it in a word" 'mode: enforce' "$(guard mode)"
expect "and as JSON" "enforce" "$(guard mode --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["mode"])')"

guard monitor >/dev/null
export SSH_CONNECTION="203.0.113.2 50000 203.0.113.10 80"
expect "who would cut himself off is told, and nothing is changed" "1 2 monitor enforce False" \
  "$(guard enforce >"$work/out" 2>&1; echo $?) $(wc -l <"$work/out") $(modes)"
expect "with what to do" 1 "$(grep -c 'add "203.0.113.2" to "trusted"' "$work/out")"
expect "as --check-config tells him" "1 0" "$("$bin/trap-guard" --config "$work/guard.toml" --check-config 2>&1 >/dev/null | grep -c 'warning: your SSH connection from 203.0.113.2') \
$("$bin/trap-guard" --config "$work/guard.toml" --check-config >/dev/null 2>&1; echo $?)"
expect "a trial needs no more" "0 enforce enforce True" "$(guard enforce --confirm 1h >/dev/null 2>&1; echo $?) $(modes)"
guard monitor >/dev/null
expect "nor insisting" "0 enforce enforce False" "$(guard enforce --force >/dev/null 2>&1; echo $?) $(modes)"
guard monitor >/dev/null
export SSH_CONNECTION="203.0.113.2 50000 203.0.113.10 22"
expect "another port is no matter" "0" "$(guard enforce >/dev/null 2>&1; echo $?)"

expect "a time that is none" "2 1" "$(guard enforce --confirm soon >"$work/out" 2>&1; echo $?) $(grep -c 'write 60s, 5m or 1h' "$work/out")"
stop TERM
expect "nobody to ask" "3" "$(guard mode >/dev/null 2>&1; echo $?)"
finish
