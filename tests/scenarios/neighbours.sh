#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tries TRAP beside the XDP programs of others: xdp-filter, xdp-loader and xdpdump of xdp-tools, before and behind each part. In
# shell, because each case is a command line of another product. Usage: neighbours.sh BIN_DIR (as root; needs xdp-tools). Prints
# "ok NAME" or "not ok NAME"; exit code 1 if one is not ok. docs/howto/neighbours.md says what it found.
set -u

bin=${1:?usage: neighbours.sh BIN_DIR}
bin=$(cd "$bin" && pwd) || exit 2
if [ "${2:-}" != apart ]; then
  for tool in xdp-filter xdp-loader xdpdump; do
    command -v "$tool" >/dev/null || { echo "neighbours.sh: $tool is missing; install the package xdp-tools" >&2; exit 2; }
  done
  exec unshare --net --mount --propagation private "$0" "$bin" apart
fi

mount -t sysfs sysfs /sys && mount -t bpf bpf /sys/fs/bpf && mount -t tmpfs tmpfs /run || exit 2
work=$(mktemp -d /tmp/trap-neighbours.XXXXXX)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
failures=0
ip link set lo up
ip link add card0 type veth peer name far0 || exit 2
ip link set card0 up && ip link set far0 up && ip address add 192.0.2.9/24 dev far0 || exit 2
"$bin/trapctl" key generate "$work/master.key" >/dev/null && "$bin/trapctl" key derive here --master "$work/master.key" --output "$work/guard.key" >/dev/null || exit 2
printf 'interfaces = ["card0"]\n[[service]]\nname = "web"\naddresses = ["203.0.113.10:80"]\n' >"$work/server.toml"
printf 'interfaces = ["card0"]\nsecret_file = "%s"\ntrap_servers = ["203.0.113.10"]\n[[service]]\nname = "web"\nport = 80\n' "$work/guard.key" >"$work/guard.toml"

# is NAME CONDITION...: the condition holds, or what the last command said is shown.
is() {
  local name=$1
  shift
  if "$@"; then
    echo "ok $name"
  else
    echo "not ok $name"
    sed 's/^/# /' "$work/out" 2>/dev/null
    failures=$((failures + 1))
  fi
}
says() { "$@" >"$work/out" 2>&1; }
refused() { ! says "$@"; }
line_matches() { [ "$(grep -c '^trap-' "$work/out")" = 1 ] && grep -qE "^trap-[a-z]+: interface card0: .*$1" "$work/out"; }
attached() { ip -details link show card0 | grep -oE 'prog/xdp id [0-9]+'; }
same() { [ "$(attached)" = "$before" ]; }
program() { bpftool prog show id "${before##* }" | grep -oE 'name [^ ]+' | cut -d' ' -f2; }

start() {
  "$bin/trap-$1" --config "$work/$1.toml" 2>"$work/$1.log" &
  for _ in $(seq 200); do
    grep -q ready "$work/$1.log" && return
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  cp "$work/$1.log" "$work/out"
  return 1
}
stop_and_detach() {
  kill %% && wait %% 2>/dev/null
  says "$bin/trap-$1" --config "$work/$1.toml" --detach
}

echo "# kernel $(uname -r), xdp-tools $(dpkg-query -W -f='${Version}' xdp-tools 2>/dev/null)"
for part in server guard; do
  for other in filter loader; do
    case $other in
    filter) load="xdp-filter load card0" unload="xdp-filter unload card0" ;;
    loader) load="xdp-loader load -m native card0 $work/pass.o" unload="xdp-loader unload card0 --all" ;;
    esac
    if [ $other = loader ]; then
      printf '%s\n' '#include <linux/bpf.h>' '#include <bpf/bpf_helpers.h>' 'SEC("xdp") int passes(struct xdp_md* ctx) { return XDP_PASS; }' \
        'char LICENSE[] SEC("license") = "GPL";' >"$work/pass.bpf.c"
      clang -O2 -g -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c "$work/pass.bpf.c" -o "$work/pass.o" || exit 2
    fi
    is "xdp-$other comes first" says $load
    before=$(attached)
    name=$(program)
    is "trap-$part behind xdp-$other: is refused" refused timeout 20 "$bin/trap-$part" --config "$work/$part.toml"
    is "trap-$part behind xdp-$other: in a line that names the program" \
      line_matches "another XDP program \\(id ${before##* }, \"$name\".*\\) is attached in native mode: stop the service that attached it, or name another interface"
    if [ "$name" = xdp_dispatcher ]; then
      is "trap-$part behind xdp-$other: and those behind the dispatcher" line_matches 'xdp_dispatcher" with "[a-z_]+" behind it'
    fi
    is "trap-$part behind xdp-$other: which works on" same
    is "xdp-$other goes" says $unload

    is "trap-$part comes first" start $part
    before=$(attached)
    is "xdp-$other behind trap-$part: is refused" refused $load
    is "xdp-$other behind trap-$part: and cannot take ours away" refused xdp-loader unload card0 --all
    is "trap-$part: its program works on" same
    says "$bin/trapctl" status "$part"
    is "trap-$part: and has no problem with it" grep -qE "card0 .*XDP native, program ${before##* }( |,|\$)" "$work/out"
    is "trap-$part: --detach succeeds" stop_and_detach $part
    is "xdp-$other comes after all" says $load
    is "xdp-$other goes again" says $unload
  done

  # Looks at packets by tracing, and attaches nothing at the interface.
  is "trap-$part comes" start $part
  before=$(attached)
  says timeout -s INT 10 xdpdump -i card0 -p "trap_$part" --rx-capture entry,exit -w "$work/dump.pcap" &
  dump=$!
  for _ in 1 2 3 4 5 6 7 8 9; do # the question for the address arrives at card0
    echo >/dev/udp/192.0.2.1/9
    sleep 1
  done 2>/dev/null
  wait $dump 2>/dev/null
  if grep -qE "Operation not permitted" "$work/out"; then
    echo "# xdpdump at trap-$part: refused here, to root as well: $(head -1 "$work/out")"
  else
    is "xdpdump at trap-$part: sees packets" grep -qE '^[1-9][0-9]* packets captured' "$work/out"
  fi
  is "trap-$part: its program works on" same
  is "trap-$part: --detach succeeds" stop_and_detach $part
done
exit $((failures > 0))
