#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A scrape of a trap-server with 1,000 addresses makes at most 3,000 bpf() calls, as strace counts
# them. In shell, because strace counts them. Usage: scrape.sh BIN_DIR (as root). Prints "ok NAME" or
# "not ok NAME".
set -u
name=scrape
here=$(cd "$(dirname "$0")" && pwd) || exit 2
. "$here/daemon_host.sh"
for tool in strace curl; do
  if ! command -v $tool >/dev/null; then
    echo "scrape.sh: $tool is missing: run scripts/setup.sh" >&2
    exit 2
  fi
done
addresses=1000
most_calls=3000

list=$(for i in $(seq 0 $((addresses - 1))); do
  printf '"198.18.%d.%d:80", ' $((i / 250)) $((i % 250 + 1))
done)
write_config server 9464
sed -i "s|^addresses = .*|addresses = [${list%, }]|" "$work/server.toml"
start server || exit 1

# The calls of the ticks that fall into the scrape count as well.
strace -f -c -e trace=bpf -o "$work/calls" -p "${pids[server]}" 2>"$work/strace.log" &
tracer=$!
for _ in $(seq 100); do
  grep -q attached "$work/strace.log" && break
  sleep 0.1
done
curl -sS --max-time 60 --unix-socket "$work/server.sock" http://trap/metrics >"$work/scrape"
kill -INT $tracer
wait $tracer
calls=$(awk '$NF == "bpf" { print $4 }' "$work/calls")

expect "the scrape has every address" $addresses "$(grep -c '^trap_service_active{' "$work/scrape")"
expect "its counters are read from the maps" yes "$([ "${calls:-0}" -ge $addresses ] && echo yes)"
expect "it makes at most $most_calls bpf() calls" "" \
  "$([ "${calls:-0}" -le $most_calls ] || echo "$calls calls")"
echo "# $calls bpf() calls"
finish
