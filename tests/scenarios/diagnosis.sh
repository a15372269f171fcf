#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# trapctl explain and doctor against running daemons: a whole handshake explained, from SYN to ticket, without a packet sent; captures; what
# doctor finds before and after something breaks; and what each says when it cannot. Usage: diagnosis.sh BIN_DIR (as root).
set -u
name=diagnosis
here=$(cd "$(dirname "$0")" && pwd) || exit 2
. "$here/daemon_host.sh"

port=9474
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
  expect "$what: one line that says why" "1 1" "$(grep -cE "$pattern" "$work/err") $(wc -l <"$work/err")"
}

explain() { "$bin/trapctl" explain --socket "$work/$1.sock" "${@:2}"; }
# told PART KEY PACKET [OPTION...]: a field of the explanation.
told() {
  local part=$1 key=$2 packet=$3
  shift 3
  explain "$part" --packet "$packet" --json "$@" | python3 -c 'import json,sys; print(json.load(sys.stdin).get(sys.argv[1]))' "$key"
}
# Without what hosts say by themselves.
counters() { for part in server guard client; do field $part '{k: n for k, n in s["counters"].items() if k != "pass-other"}'; done; }

ends='tcp 203.0.113.2:4242 > 203.0.113.10:80'
before=$(counters)
answer=$(told server answer "$ends SYN seq=7 mss=1460")
expect "SYN: the verdict" reply-syn-ack "$(told server verdict "$ends SYN seq=7 mss=1460")"
expect "SYN: the service" "web at 203.0.113.10:80" "$(told server service "$ends SYN seq=7")"
expect "SYN: the answer" 1 "$(grep -cE '^tcp 203.0.113.10:80 > 203.0.113.2:4242 SYN ACK seq=[0-9]+ ack=8 window=0 offer$' <<<"$answer")"
cookie=$(sed -n 's/.* seq=\([0-9]*\) .*/\1/p' <<<"$answer")
completing="$ends ACK seq=8 ack=$(((cookie + 1) % 4294967296)) accept"
answer=$(told server answer "$completing")
expect "completing ACK: the verdict" reply-redirect "$(told server verdict "$completing")"
expect "completing ACK: who is named" 1 "$(told server because "$completing" | grep -cE 'backend 198.51.100.2[01]:80 for 10 min')"
expect "completing ACK with another cookie" drop-bad-cookie "$(told server verdict "$ends ACK seq=8 ack=$cookie")"
redirect=$(sed -n 's/.* redirect=\([0-9a-f]*\).*/\1/p' <<<"$answer")
ticket=${redirect:10:24}
to_service='tcp 203.0.113.2:4242 > 198.51.100.20:80'
expect "the ticket of the answer lets in at the guard" pass-ticket "$(told guard verdict "$to_service SYN ticket=$ticket")"
expect "and the guard tells how long" 1 "$(told guard because "$to_service SYN ticket=$ticket" | grep -cE 'ticket of epoch [0-9]+, tag 0, good for (9|10) min')"
expect "with another source it does not" drop-ticket-mac "$(told guard verdict "tcp 203.0.113.3:4242 > 198.51.100.20:80 SYN ticket=$ticket")"
expect "no ticket" drop-uninvited "$(told guard verdict "$to_service SYN")"
expect "no flow: the stack was asked" "no socket" "$(told guard socket "$to_service ACK")"
expect "a fragment in two VLANs" drop-fragment "$(told server verdict "$ends SYN fragment vlan=7 vlan=8")"
expect "a damaged checksum" drop-bad-ip-checksum "$(told server verdict "$ends SYN bad-checksum")"
expect "another port" pass-other "$(told server verdict "${ends%80}81 SYN")"
expect "client, outward" pass-syn-remembered "$(told client verdict "$ends SYN" --direction out)"
expect "client, inward" pass-other "$(told client verdict 'tcp 203.0.113.10:80 > 203.0.113.2:4242 SYN ACK seq=1 ack=8 offer')"
expect "in words" "1 1 1" "$(explain guard --packet "$to_service SYN" >"$work/out"; echo "$(grep -c '^trap-guard: drop-uninvited: ' "$work/out") $(grep -c '^  because' "$work/out") $(grep -c '^  packet ' "$work/out")")"
expect "nothing was counted" "$before" "$(counters)"
expect "and nothing remembered" "0 []" "$(field guard 's["flows"]') $(field client 's["redirects"]')"

# A classic capture of Ethernet with that SYN twice, the second cut off by the snap length.
python3 - "$work/two.pcap" "$work/raw.pcap" <<'END'
import struct, sys
frame = bytes.fromhex("020000000002020000000001080045000028000040004006" "3c5dcb007102cb00710a10920050000000070000000050020400a1b20000")
def capture(path, link, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link))
        for bytes_, length in frames:
            file.write(struct.pack("<IIII", 0, 0, len(bytes_), length) + bytes_)
def summed(f):
    head = f[14:24] + b"\0\0" + f[26:34]
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xffff) + (total >> 16)
    return f[:24] + struct.pack(">H", ~(total + (total >> 16)) & 0xffff) + f[26:]
longer = frame[:16] + struct.pack(">H", 140) + frame[18:]
capture(sys.argv[1], 1, [(summed(frame), 54), (summed(longer), 154)])
capture(sys.argv[2], 101, [(frame[14:], 40)])
END
expect "capture: each packet" "1 reply-syn-ack 2 reply-syn-ack" \
  "$(explain server --pcap "$work/two.pcap" --json | python3 -c 'import json,sys; print(*[w for l in sys.stdin for j in [json.loads(l)] for w in (j["number"], j["verdict"])])')"
expect "capture from stdin" 2 "$(explain server --pcap - <"$work/two.pcap" | grep -c '^packet [12]: trap-server: reply-syn-ack')"
head -c 90 "$work/two.pcap" >"$work/short.pcap"
says "capture cut off" 2 'short.pcap: damaged' "$bin/trapctl" explain --socket "$work/server.sock" --pcap "$work/short.pcap"
says "capture without Ethernet" 2 'raw.pcap: its link layer is RAW, not Ethernet' "$bin/trapctl" explain --socket "$work/server.sock" --pcap "$work/raw.pcap"
says "no capture" 2 'master.key: cannot read it: unknown file format' "$bin/trapctl" explain --socket "$work/server.sock" --pcap "$work/master.key"
says "capture that is not there" 2 'none.pcap: cannot read it: .*No such file' "$bin/trapctl" explain --socket "$work/server.sock" --pcap "$work/none.pcap"
says "packet: malformed" 2 '"SYNN" is not understood' "$bin/trapctl" explain --socket "$work/server.sock" --packet "$ends SYNN"
says "packet: none" 2 'either --packet or --pcap' "$bin/trapctl" explain --socket "$work/server.sock"
says "packet: and a capture" 2 'either --packet or --pcap' "$bin/trapctl" explain --socket "$work/server.sock" --packet "$ends SYN" --pcap "$work/two.pcap"
says "explain: nobody there" 3 'does not run' "$bin/trapctl" explain --part server --socket "$work/none.sock" --packet "$ends SYN"

examine() { in_host "$bin/trapctl" doctor --part "$1" --config "$work/$1.toml" "${@:2}"; }
# grades PART CHECK: the grades of this check's findings.
grades() {
  examine "$1" --json | python3 -c 'import json,sys; print(*[c["grade"] for c in json.load(sys.stdin)["checks"] if c["check"] == sys.argv[1]])' "$2"
}
expect "doctor: the host" "ok ok ok ok" "$(grades guard kernel) $(grades guard btf) $(grades guard privilege) $(grades guard programs)"
for part in server guard; do
  expect "doctor: $part in order" "ok ok ok ok ok ok" \
    "$(grades $part config) $(grades $part key-file) $(grades $part daemon) $(grades $part keys) $(grades $part xdp) $(grades $part interfaces)"
done
expect "doctor: client in order" "ok ok ok" "$(grades client config) $(grades client daemon) $(grades client interfaces)"
expect "doctor: the server's backends have no route" "fail fail" "$(grades server peers)"
ip -n "$host" route add 198.51.100.0/24 via 203.0.113.2
expect "doctor: now they have" ok "$(grades server peers)"
expect "doctor: nobody listens for the guard's service" warn "$(grades guard ports)"
nsenter --net="/run/netns/$host" python3 -c 'import socket,time; s = socket.create_server(("0.0.0.0", 80)); time.sleep(60)' >/dev/null 2>&1 & # not in_host: $! must be the listener
pids[listener]=$!
becomes "doctor: somebody does" ok grades guard ports
chmod 640 "$work/guard.key"
expect "doctor: others may read the key" fail "$(grades guard key-file)"
expect "doctor: which the configuration check says, too" fail "$(grades guard config)"
chmod 600 "$work/guard.key"
cp "$work/guard.toml" "$work/good"
echo 'colour = "red"' >>"$work/guard.toml"
expect "doctor: an unknown key" 1 "$(examine guard | grep -cE '^fail  guard   config .*guard.toml:[0-9]+: .*colour')"
cp "$work/good" "$work/guard.toml"
in_host sysctl -qw net.ipv4.conf.trap0.rp_filter=1
expect "doctor: strict rp_filter" warn "$(grades client rp_filter)"
ip -n "$host" link set guard0 down
expect "doctor: interface down" warn "$(grades guard interfaces)"
examine guard >/dev/null
expect "doctor: exit code when something is wrong" 4 $?
kill -9 "${pids[guard]}"
wait "${pids[guard]}" 2>/dev/null
expect "doctor: daemon gone" "fail ok" "$(grades guard daemon) $(grades guard xdp)"
expect "doctor: and what goes on without it" "4 1" \
  "$(examine guard >"$work/out"; echo $?) $(grep -cE '^fail  guard +daemon +trap-guard does not run: programs that it left attached go on .*systemctl start trap-guard' "$work/out")"
says "doctor: nothing here" 3 'no part of TRAP is configured' in_host "$bin/trapctl" doctor
says "doctor: whose configuration?" 2 'say which with --part' in_host "$bin/trapctl" doctor --config "$work/guard.toml"
finish
