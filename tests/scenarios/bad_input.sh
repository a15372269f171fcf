#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bad input: each case gives exactly one line on stderr that names file and line or the thing itself, the documented exit code,
# and leaves nothing attached, pinned or listening. In shell, because a case is a command line and an edit of a file. Usage:
# bad_input.sh BIN_DIR (as root). Prints "ok NAME" or "not ok NAME".
set -u

bin=${1:?usage: bad_input.sh BIN_DIR}
bin=$(cd "$bin" && pwd) || exit 2
if [ "$(id -u)" != 0 ]; then
  echo "bad_input.sh: run it as root: it makes a network namespace" >&2
  exit 2
fi

work=$(mktemp -d /tmp/trap-bad-input.XXXXXX)
host=trap-bad-$$
failures=0

clean_up() {
  ip netns del "$host" 2>/dev/null
  mountpoint -q "$work/bpf" && umount "$work/bpf"
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

mkdir "$work/bpf" && mount -t bpf bpf "$work/bpf" || exit 2
ip netns add "$host" || exit 2
ip -n "$host" link add bad0 type veth peer name bad1 || exit 2
ip -n "$host" link set bad0 up
ip netns exec "$host" ip tuntap add bad2 mode tun || exit 2
ip -n "$host" link set bad1 up
ip -n "$host" link set lo up

# run PROGRAM ARGUMENT...: one of ours, or any by its path, in the namespace, for ten seconds at most.
run() {
  local program=$1
  shift
  [[ $program = /* ]] || program=$bin/$program
  timeout -k 1 10 nsenter --net="/run/netns/$host" "$program" "$@"
}

# check NAME CODE PATTERN COMMAND...: one line on stderr that matches PATTERN (extended), exit code CODE, nothing left behind.
check() {
  local name=$1 code=$2 pattern=$3 got part reason=""
  shift 3
  "$@" >"$work/out" 2>"$work/err"
  got=$?
  [ "$got" = "$code" ] || reason="exit code $got, not $code"
  [ "$(wc -l <"$work/err")" = 1 ] || reason="$reason; $(wc -l <"$work/err") lines on stderr"
  grep -qE "$pattern" "$work/err" || reason="$reason; no line like /$pattern/"
  [ -z "$(ls -A "$work/bpf" | grep -vE '^(maps|progs)\.debug$|^other$')" ] || reason="$reason; pins left: $(ls "$work/bpf")"
  [ -z "$(ls "$work"/*.sock 2>/dev/null)" ] || reason="$reason; control socket left"
  ip -n "$host" link show dev lo | grep -q xdp && reason="$reason; XDP left on lo"
  if [ -z "$reason" ]; then
    echo "ok $name"
  else
    echo "not ok $name: $reason"
    sed 's/^/# /' "$work/err"
    failures=$((failures + 1))
    for part in server guard client; do # what one case left must not fail the next
      run "trap-$part" --config "$work/$part.toml" --detach 2>/dev/null
    done
  fi
}

# inside NAME CODE PATTERN SHELL PART [SETPRIV_OPTION...]: the part's good configuration is bad.toml, in a mount namespace that SHELL has changed.
inside() {
  cp "$work/$5.toml" "$work/bad.toml"
  check "$1" "$2" "$3" run /usr/bin/unshare --mount /bin/sh -euc "$4
    exec setpriv --no-new-privs \"\$@\"" sh "${@:6}" "$bin/trap-$5" --config "$work/bad.toml"
}

# Good files, from which every case takes one thing away.
"$bin/trapctl" key generate "$work/master.key" || exit 2
"$bin/trapctl" key derive web-1 --master "$work/master.key" --output "$work/guard.key" || exit 2
cat >"$work/server.toml" <<END
interfaces = ["bad0"]
xdp_mode = "native"
master_key_file = "$work/master.key"
option_kind = "reserved"
pin_dir = "$work/bpf/server"
control_socket = "$work/server.sock"
announce_rate = 10000
[[service]]
name = "web"
addresses = ["203.0.113.10:80", "[2001:db8:113::10]:80"]
unaware = "reset"
offer = true
  [[service.backend]]
  address = "198.51.100.20:80"
  guard = "web-1"
  weight = 1
  ticket_lifetime_s = 600
  [[service.backend]]
  address = "[2001:db8:51::20]:80"
  guard = "web-1"
END
cat >"$work/guard.toml" <<END
interfaces = ["bad0"]
secret_file = "$work/guard.key"
uncovered = "accept"
trap_servers = ["203.0.113.10", "2001:db8:113::10"]
pin_dir = "$work/bpf/guard"
control_socket = "$work/guard.sock"
[[service]]
name = "web"
port = 80
END
cat >"$work/client.toml" <<END
interfaces = ["bad0"]
allow_private_targets = false
pin_dir = "$work/bpf/client"
control_socket = "$work/client.sock"
END

# vary PART SED: the part's good configuration, changed by SED, as bad.toml.
vary() {
  sed -E "$2" "$work/$1.toml" >"$work/bad.toml"
}

# bad_config NAME PART LINE PATTERN SED: the changed configuration is refused, naming LINE (0: no line).
bad_config() {
  local place="bad\\.toml:$3: "
  [ "$3" = 0 ] && place="bad\\.toml: "
  vary "$2" "$5"
  check "$1" 2 "^trap-$2: $work/${place}.*$4" run "trap-$2" --config "$work/bad.toml"
}

# lost NAME COMMAND...: the command's output goes to a full disk, and it says so instead of ending well or in an exception.
lost() {
  local name=$1
  shift
  check "$name: output that cannot be written" 1 "^$(basename "$1"): cannot write to standard output(: No space left on device)?$" \
    run /bin/sh -c 'exec "$0" "$@" >/dev/full' "$bin/$1" "${@:2}"
}

lost "trapctl, version" trapctl --version
lost "trapctl, help" trapctl --help
lost "trapctl, doctor" trapctl doctor --part guard --config "$work/guard.toml" --json
lost "guard, rules" trap-guard --config "$work/guard.toml" --closing-rules
for part in server guard client; do
  for option in --help --version --list-keys; do lost "$part, $option" "trap-$part" $option; done
  lost "$part, keys as JSON" "trap-$part" --list-keys --json
  lost "$part, --check-config" "trap-$part" --config "$work/$part.toml" --check-config
  run /bin/sh -c 'exec "$0" --config /nonexistent 2>/dev/full' "$bin/trap-$part"
  code=$?
  if [ $code = 2 ]; then
    echo "ok $part: an error that cannot be written"
  else
    echo "not ok $part: an error that cannot be written: exit code $code, not 2"
    failures=$((failures + 1))
  fi
done

for part in server guard client; do
  check "$part: good configuration passes --check-config" 0 "" bash -c "$bin/trap-$part --config $work/$part.toml --check-config; code=\$?; echo >&2; exit \$code"
  check "$part: missing configuration" 2 "^trap-$part: $work/none.toml: cannot open: No such file.*--config" run "trap-$part" --config "$work/none.toml"
  check "$part: configuration is a directory" 2 "^trap-$part: $work: is a directory: name a file" run "trap-$part" --config "$work"
  bad_config "$part: not TOML" $part 2 "not TOML" '1s/.*/interfaces = ["bad0"/'
  bad_config "$part: unknown key" $part 2 'unknown key "interfaecs": did you mean "interfaces"' '1s/.*/&\ninterfaecs = 1/'
  bad_config "$part: wrong type" $part 1 '"interfaces" must be an array of strings, not an integer' '1s/.*/interfaces = 1/'
  bad_config "$part: no interfaces" $part 0 'key "interfaces" is missing' '1d'
  bad_config "$part: interface named twice" $part 1 'interfaces: "bad0" is listed twice' '1s/.*/interfaces = ["bad0", "bad0"]/'
  bad_config "$part: relative pin_dir" $part '[0-9]+' 'pin_dir: "bpf" is not an absolute path' 's/^pin_dir = .*/pin_dir = "bpf"/'
  bad_config "$part: a control_group that is none" $part '[0-9]+' 'control_group: "a b" cannot be a group' 's/^control_socket.*/&\ncontrol_group = "a b"/'
  vary $part 's/^control_socket.*/&\ncontrol_group = "nosuchgroup"/'
  check "$part: --check-config, a control_group that this host has not" 2 "^trap-$part: $work/bad.toml: control_group: this host has no group \"nosuchgroup\": make it" \
    run "trap-$part" --config "$work/bad.toml" --check-config
  if [ $part != client ]; then # which waits for it
    vary $part '1s/.*/interfaces = ["nosuch0"]/'
    check "$part: no such interface" 1 "^trap-$part: $work/bad.toml: no interface \"nosuch0\" here" run "trap-$part" --config "$work/bad.toml"
  fi
  if [ $part = server ]; then
    vary $part '1s/.*/interfaces = ["bad0", "bad2"]/'
    check "$part: an interface without frames" 1 '^trap-server: interface bad2: its packets have no Ethernet header \(kind tun\)' run "trap-$part" --config "$work/bad.toml"
  fi
  check "$part: no privilege" 1 "^trap-$part: no privilege: this needs CAP_BPF CAP_PERFMON CAP_NET_ADMIN.*root" \
    run /usr/bin/setpriv --bounding-set=-all --inh-caps=-all "$bin/trap-$part" --config "$work/$part.toml"
  check "$part: kernel too old" 1 "^trap-$part: kernel 2\\.6\\..* is too old: TRAP needs 6\\.1" \
    setarch "$(uname -m)" --uname-2.6 "$bin/trap-$part" --config "$work/$part.toml"
  vary $part "s,^pin_dir = .*,pin_dir = \"$work/plain\","
  check "$part: pin_dir is not on a bpffs" 1 "^trap-$part: pin_dir $work/plain is not on a bpffs" run "trap-$part" --config "$work/bad.toml"
  [ -e "$work/plain" ] && echo "not ok $part: a directory was left behind" && failures=$((failures + 1))
  # Whoever can change pin_dir, or exchange it, decides what is taken over.
  mkdir "$work/bpf/other"
  vary $part "s,^pin_dir = .*,pin_dir = \"$work/bpf/other/$part\","
  chown 65534 "$work/bpf/other"
  check "$part: pin_dir in a directory of another user" 2 "^trap-$part: pin_dir $work/bpf/other/$part: $work/bpf/other belongs to user 65534, who could put .*: chown root $work/bpf/other$" \
    run "trap-$part" --config "$work/bad.toml"
  chown root "$work/bpf/other"
  chmod 770 "$work/bpf/other"
  check "$part: pin_dir in a directory that others can change" 2 "^trap-$part: pin_dir .*: $work/bpf/other can be changed by others, .*: chmod go-w $work/bpf/other$" \
    run "trap-$part" --config "$work/bad.toml"
  chmod 1777 "$work/bpf/other"
  sed -i "s,^pin_dir = .*,pin_dir = \"$work/bpf/other/\"," "$work/bad.toml"
  check "$part: pin_dir that others can change, sticky or not" 2 "^trap-$part: pin_dir .*: $work/bpf/other can be changed by others" \
    run "trap-$part" --config "$work/bad.toml"
  rmdir "$work/bpf/other"
  # What the host lacks, each in a mount namespace of the program's own.
  inside "$part: a bpffs that is read-only" 1 "^trap-$part: cannot make directory $work/bpf/$part: Read-only file system$" \
    "mount -o remount,bind,ro $work/bpf" $part
  inside "$part: no bpffs, and no right to mount one" 1 "^trap-$part: cannot mount a bpffs at /sys/fs/bpf: Operation not permitted: run mount -t bpf" \
    "umount -l /sys/fs/bpf || true; sed -i '/^pin_dir/d' $work/bad.toml" $part --bounding-set=-sys_admin --inh-caps=-sys_admin
  [ $part != guard ] || inside "$part: no BTF" 1 "^trap-$part: the kernel does not load trap-$part's BPF program: .*: the kernel does not describe its types in /sys/kernel/btf/vmlinux: run one" \
    "mount -t tmpfs tmpfs /sys/kernel/btf" $part
  check "$part: a user namespace" 1 "^trap-$part: the kernel does not load trap-$part's BPF program: Operation not permitted: something denies bpf" \
    run /usr/bin/unshare --user --map-root-user "$bin/trap-$part" --config "$work/$part.toml"
  mkdir -p "$work/sockets"
  inside "$part: a control socket where nothing can be written" 1 "^trap-$part: cannot listen at control socket $work/sockets/s: Read-only file system$" \
    "mount -t tmpfs -o ro tmpfs $work/sockets; sed -i 's,^control_socket = .*,control_socket = \"$work/sockets/s\",' $work/bad.toml" $part
  inside "$part: a control socket of an earlier run there" 1 "^trap-$part: cannot remove the control socket $work/sockets/s of an earlier run: Read-only file system$" \
    "mount -t tmpfs tmpfs $work/sockets; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"$work/sockets/s\")'; mount -o remount,bind,ro $work/sockets
     sed -i 's,^control_socket = .*,control_socket = \"$work/sockets/s\",' $work/bad.toml" $part
  check "$part: unknown option" 2 "^trap-$part: .*--nonsense.*--help" run "trap-$part" --nonsense
done

# The examples that are installed are good, but for the keys.
examples=$(cd "$(dirname "$0")/../../packaging" && pwd)
for part in server guard client; do
  sed -E "s,^(master_key_file|secret_file) = .*,\\1 = \"$work/$([ $part = server ] && echo master.key || echo guard.key)\"," "$examples/$part.toml" >"$work/example.toml"
  check "$part: example configuration passes --check-config" 0 "" bash -c "$bin/trap-$part --config $work/example.toml --check-config; code=\$?; echo >&2; exit \$code"
done

bad_config "client: interface on both sides" client 2 '"bad0" is both in "interfaces" and "lan": name it in one' '1s/$/\nlan = ["bad0"]/'
bad_config "client: name of an interface in lan" client 2 '"a/b" cannot be an interface.s name' '1s/$/\nlan = ["a\/b"]/'
bad_config "client: trust without targets" client 5 'key "targets" is missing: add it' '$s/$/\n[[trust]]\nservices = ["203.0.113.10:443"]/'
bad_config "client: trust in a service without port" client 6 'services: "203\.0\.113\.10:" has no port' '$s/$/\n[[trust]]\nservices = ["203.0.113.10:"]\ntargets = ["10.0.0.0\/8"]/'
bad_config "client: trust in loopback" client 7 'targets: no client follows a redirect to 127\.0\.0\.1' '$s/$/\n[[trust]]\nservices = ["203.0.113.10"]\ntargets = ["127.0.0.1"]/'
bad_config "client: trust in nobody" client 2 '"only_trusted" without a \[\[trust\]\]' '1s/$/\nonly_trusted = true/'

bad_config "server: wrong type of a number" server 16 'service "web": "weight" must be an integer, not a string' 's/weight = 1/weight = "1"/'
bad_config "server: wrong type of a boolean" server 12 '"offer" must be a boolean' 's/offer = true/offer = 1/'
bad_config "server: number out of range" server 16 '"weight" is 0: write a number from 1 to 1000' 's/weight = 1/weight = 0/'
bad_config "server: lifetime out of range" server 17 '"ticket_lifetime_s" is 4097: write a number from 8 to 4096' 's/= 600/= 4097/'
bad_config "server: unknown key of a backend" server 16 'service "web": unknown key "wieght"' 's/weight = 1/wieght = 1/'
bad_config "server: address does not parse" server 10 'service "web": addresses: "203\.0\.113\.300" is not an IP address' 's/113\.10:80/113.300:80/'
bad_config "server: address without port" server 10 '"203\.0\.113\.10" has no port' 's/113\.10:80/113.10/'
bad_config "server: IPv6 without brackets" server 10 'is ambiguous' 's/\[(2001:db8:113::10)\]/\1/'
bad_config "server: port out of range" server 10 'has no port of 1 to 65535' 's/113\.10:80/113.10:65536/'
bad_config "server: backend that no client accepts" server 14 'clients accept no redirect' 's/198\.51\.100\.20/127.0.0.1/'
bad_config "server: family without backend" server 10 'has no backend of its family: add an IPv6 backend' 's/\[2001:db8:51::20\]:80/198.51.100.21:80/'
bad_config "server: a backend twice" server 18 'backend 198\.51\.100\.20:80 is listed twice' 's/\[2001:db8:51::20\]:80/198.51.100.20:80/'
bad_config "server: one address twice" server 10 'addresses: "203\.0\.113\.10:80" is listed twice' 's/"\[2001:db8:113::10\]:80"/"203.0.113.10:80"/'
bad_config "server: wrong unaware" server 11 'write one of "reset", "serve"' 's/"reset"/"drop"/'
bad_config "server: peace without a listener" server 11 'activate = "attack" needs unaware = "serve"' 's/unaware = "reset"/activate = "attack"/'
bad_config "server: wrong option_kind" server 4 'write one of "reserved", "experimental"' 's/"reserved"/"private"/'
bad_config "server: control_socket too long" server 6 'control_socket: the path is longer than the 107 bytes' "s,/server.sock,/$(printf '%0100d' 0),"
bad_config "server: wrong xdp_mode" server 2 'write one of "native", "generic"' 's/"native"/"fast"/'
bad_config "server: guard name" server 15 'guard: "Web 1" is no guard.s name' '15s/web-1/Web 1/'
bad_config "server: no service" server 0 'no \[\[service\]\]: add at least one' '8,$d'
bad_config "guard: port missing" guard 7 'service "web": key "port" is missing' '/^port/d'
bad_config "guard: port out of range" guard 9 '"port" is 0: write a number from 1 to 65535' 's/port = 80/port = 0/'
bad_config "guard: TRAP server with a port" guard 4 'write addresses without ports' 's/113\.10"/113.10:80"/'
bad_config "guard: TRAP server twice" guard 4 'is listed twice' 's/2001:db8:113::10/203.0.113.10/'
bad_config "server: scope out of range" server 17 '.*"scope_v4" is 33: write a number from 8 to 32' 's/weight = 1/weight = 1\nscope_v4 = 33/'
bad_config "server: tag out of range" server 17 '.*"tag" is 256: write a number from 0 to 255' 's/weight = 1/weight = 1\ntag = 256/'

bad_config "guard: key of the whole file in a table" guard 10 'service "web": unknown key "mode".*stands before its first' 's/port = 80/port = 80\nmode = "monitor"/'
bad_config "guard: management port as a string" guard 1 '"management_ports" must be an array of integers, not a string' '1s/.*/management_ports = ["22"]\n&/'
vary guard '1s/.*/trusted = ["203.0.113.10"]\n&/'
check "guard: a public address is trusted" 0 "^trap-guard: .*: warning: TRAP server 203\\.0\\.113\\.10 is trusted, and anybody can" run trap-guard --config "$work/bad.toml" --check-config
bad_config "guard: wrong mode" guard 1 '"mode" is "watch": write one of "enforce", "monitor"' '1s/.*/mode = "watch"\n&/'
bad_config "guard: wrong uncovered" guard 3 '"uncovered" is "yes": write one of "degraded", "accept"' '3s/.*/uncovered = "yes"/'
bad_config "guard: both named and excepted" guard 1 '"bad0" is both in "interfaces" and "except": name it in one' '1s/.*/except = ["bad0"]\n&/'
bad_config "server: both named and excepted" server 1 '"bad0" is both in "interfaces" and "except": name it in one' '1s/.*/except = ["bad0"]\n&/'
bad_config "guard: clock skew out of range" guard 1 '"clock_skew_s" is 3601: write a number from 0 to 3600' '1s/.*/clock_skew_s = 3601\n&/'
bad_config "guard: service on a management port" guard 7 'port 22 is a management port, which is never filtered: take it out of "management_ports"' 's/port = 80/port = 22/'
bad_config "guard: scope out of range" guard 10 'service "web": "scope_v4" is 33: write a number from 8 to 32' 's/port = 80/port = 80\nscope_v4 = 33/'
bad_config "guard: class without tags" guard 7 'class "gold": no client has this class: give it "tags"' 's/^\[\[service\]\]/[[class]]\nname = "gold"\n&/'
bad_config "guard: a tag of two classes" guard 12 'class "b": tag 1 belongs to class "a" already' 's/^\[\[service\]\]/[[class]]\nname = "a"\ntags = [1]\n[[class]]\nname = "b"\ntags = [1]\n&/'
pool='[[pool]]\nname = "a"\naddresses = ["198.51.100.0/24"]\ntags = [1]\n[[pool]]\nname ='
bad_config "guard: pool without tags" guard 7 'pool "a": key "tags" is missing: add it' 's/^\[\[service\]\]/[[pool]]\nname = "a"\naddresses = ["198.51.100.20"]\n&/'
bad_config "guard: a tag of two pools" guard 14 'pool "b": tag 1 belongs to pool "a" already' 's|^\[\[service\]\]|'"$pool"' "b"\naddresses = ["198.51.101.1"]\ntags = [1]\n&|'
bad_config "guard: pools that overlap" guard 13 'pool "b": 198.51.100.7/32 overlaps with 198.51.100.0/24 of pool "a"' 's|^\[\[service\]\]|'"$pool"' "b"\naddresses = ["198.51.100.7"]\ntags = [2]\n&|'
bad_config "guard: pools of one name" guard 11 'pool "a": another pool has this name already' 's|^\[\[service\]\]|'"$pool"' "a"\naddresses = ["198.51.101.1"]\ntags = [2]\n&|'

{ cat "$work/server.toml"; printf '[[service]]\nname = "two"\naddresses = ["203.0.113.10:80"]\n[[service.backend]]\naddress = "198.51.100.21:80"\nguard = "web-1"\n'; } >"$work/bad.toml"
check "server: two services on one address" 2 "^trap-server: $work/bad.toml:23: service \"two\": address 203\\.0\\.113\\.10:80 belongs to service \"web\"" \
  run trap-server --config "$work/bad.toml"
{ cat "$work/server.toml"; printf '[[service]]\nname = "two"\naddresses = ["203.0.113.10:81"]\n[[service.backend]]\naddress = "203.0.113.10:80"\nguard = "web-1"\n'; } >"$work/bad.toml"
check "server: a backend that is a public address of another service" 2 "^trap-server: $work/bad.toml:21: service \"two\": 203\\.0\\.113\\.10:80 is a public address and a backend" \
  run trap-server --config "$work/bad.toml"
{ cat "$work/guard.toml"; printf '[[service]]\nname = "two"\nport = 80\n'; } >"$work/bad.toml"
check "guard: two services on one port" 2 "^trap-guard: $work/bad.toml:10: service \"two\": port 80 belongs to service \"web\"" \
  run trap-guard --config "$work/bad.toml"

# bad_key NAME PART PATTERN COMMAND: the key file as COMMAND makes it is refused.
bad_key() {
  rm -f "$work/bad.key"
  eval "$4"
  vary "$2" "s,^(master_key_file|secret_file) = .*,\\1 = \"$work/bad.key\","
  check "$1" 2 "^trap-$2: $work/bad.key: .*$3" run "trap-$2" --config "$work/bad.toml"
}

for part in server guard; do
  good=$work/$([ $part = server ] && echo master.key || echo guard.key)
  bad_key "$part: key file missing" $part "cannot open key file: No such file.*trapctl key makes keys" true
  bad_key "$part: key file short" $part "not 32 bytes" "head -c -8 $good | install -m 600 /dev/stdin $work/bad.key"
  bad_key "$part: key file empty" $part "is empty" "install -m 600 /dev/null $work/bad.key"
  bad_key "$part: key file readable by others" $part "mode 0644.*chmod 600" "install -m 644 $good $work/bad.key"
  bad_key "$part: not a key file" $part "not a key file" "echo hello | install -m 600 /dev/stdin $work/bad.key"
done
bad_key "guard: master key instead of the guard's" guard "this is a master key" "cp -p $work/master.key $work/bad.key"
bad_key "server: guard's key instead of the master key" server "this is a guard's key" "cp -p $work/guard.key $work/bad.key"

for part in server guard; do
  vary $part '1s/.*/interfaces = ["lo"]/'
  check "$part: interface that refuses native XDP" 1 "^trap-$part: interface lo: .*no native XDP: write xdp_mode = \"generic\"" \
    run "trap-$part" --config "$work/bad.toml"
  vary $part '1s/.*/interfaces = ["bad0", "lo"]/'
  check "$part: the second interface refuses native XDP" 1 "^trap-$part: interface lo: .*no native XDP" run "trap-$part" --config "$work/bad.toml"
  ip -n "$host" link show dev bad0 | grep -q xdp && echo "not ok $part: XDP left on the first interface" && failures=$((failures + 1))
done

# The driver's own words: veth wants a receive queue for each of its peer's transmit queues.
ip -n "$host" link add narrow0 numrxqueues 1 numtxqueues 1 type veth peer name narrow1 numrxqueues 2 numtxqueues 2
ip -n "$host" link set narrow0 up
ip -n "$host" link set narrow1 up
for part in server guard; do
  vary $part '1s/.*/interfaces = ["narrow0"]/'
  check "$part: the driver's own reason" 1 "^trap-$part: interface narrow0: .*the kernel says \"veth: XDP expects number of rx queues" run "trap-$part" --config "$work/bad.toml"
done
ip -n "$host" link del narrow0

# Another XDP program on the interface: a guard's, with pins of its own. A server shares the interface with it if their pins are side by side.
sed -E "s,^pin_dir = .*,pin_dir = \"$work/bpf/other\",; s,^control_socket = .*,control_socket = \"$work/other\"," "$work/guard.toml" >"$work/other.toml"
nsenter --net="/run/netns/$host" "$bin/trap-guard" --config "$work/other.toml" 2>"$work/other.log" & # for as long as it takes
other=$!
for _ in $(seq 1200); do
  grep -q ready "$work/other.log" && break
  sleep 0.1
done
vary server "s,^pin_dir = .*,pin_dir = \"$work/bpf/apart/server\","
check "server: another XDP program attached" 1 "^trap-server: interface bad0: .*another XDP program \\(id [0-9]+, \"trap_guard\", by link [0-9]+\\) is attached in native mode: .*trap-guard --detach.* pin_dir in the same directory" \
  run trap-server --config "$work/bad.toml"
vary server 's/^xdp_mode = .*/xdp_mode = "generic"/'
check "server: a guard shares the interface in another mode" 1 "^trap-server: interface bad0: cannot attach XDP: the part with pin_dir $work/bpf/other is attached there in native mode: write the same xdp_mode" \
  run trap-server --config "$work/bad.toml"
check "guard: another guard is at the interface" 1 "^trap-guard: interface bad0: cannot attach XDP: the part with pin_dir $work/bpf/other is attached there: .* not two of a kind" \
  run trap-guard --config "$work/guard.toml"
check "guard: another daemon has the pin_dir" 1 "^trap-guard: .*another trap-guard runs with pin_dir" \
  bash -c "sed 's,$work/other\",$work/guard.sock\",' $work/other.toml >$work/bad.toml; exec timeout -k 1 10 nsenter --net=/run/netns/$host $bin/trap-guard --config $work/bad.toml"
check "guard: --detach under a running daemon" 1 "^trap-guard: another trap-guard runs with pin_dir" run trap-guard --config "$work/other.toml" --detach
# --detach takes links whose pins are gone, and none that another pin_dir has; the daemon stands still, or it would pin again.
has_xdp() { ip -n "$host" link show dev bad0 | grep -q xdp; }
run trap-guard --config "$work/guard.toml" --detach 2>/dev/null
has_xdp || { echo "not ok guard: --detach took the link of another pin_dir"; failures=$((failures + 1)); }
stalled=$(pgrep -f "^$bin/trap-guard --config $work/other.toml")
kill -STOP "$stalled"
rm -rf "$work/bpf/other"
run trap-guard --config "$work/other.toml" --detach 2>/dev/null
has_xdp && echo "not ok guard: --detach left a link whose pin is gone" && failures=$((failures + 1))
kill -CONT "$stalled"
kill "$other" 2>/dev/null
wait "$other" 2>/dev/null
run trap-guard --config "$work/other.toml" --detach 2>/dev/null
[ -e "$work/bpf/other" ] && echo "not ok guard: --detach left pins" && failures=$((failures + 1))

check "trapctl: no part runs" 3 "^trapctl: no part of TRAP runs here" "$bin/trapctl" status --socket "$work/none.sock"
check "trapctl: no subcommand" 2 "^trapctl: no command: write one of status, .*--help" "$bin/trapctl"
check "trapctl: half a command" 2 "^trapctl: trapctl guard: write one of mode, enforce, confirm, monitor, suspects: see trapctl guard --help" "$bin/trapctl" guard
check "setup.sh: unknown option" 2 "^setup: \"--hlep\" is not understood" "$(dirname "$0")/../../scripts/setup.sh" --hlep
check "trapctl: key file exists" 1 "^trapctl: $work/master.key: exists already" "$bin/trapctl" key generate "$work/master.key"
check "trapctl: guard name" 2 "^trapctl: guard \"A/B\"" "$bin/trapctl" key derive A/B --master "$work/master.key"
check "trapctl: guard's key as master" 2 "^trapctl: $work/guard.key: this is a guard's key" "$bin/trapctl" key derive web-1 --master "$work/guard.key"
check "trapctl: output not writable" 1 "^trapctl: $work/no/such: cannot make the file" "$bin/trapctl" key generate "$work/no/such"

# Every kind of file in the place of every file that is read: an error that names it, at once, and not a word of what is in it.
{ cat "$work/server.toml"; printf '  [[service.policy]]\n  file = "%s/odd"\n  action = "deny"\n' "$work"; } >"$work/lists.toml"
secret=$(cut -d' ' -f2 "$work/master.key")
make_odd() { # KIND
  rm -rf "$work/odd"
  case $1 in
  fifo) mkfifo "$work/odd" ;;
  socket) python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$work/odd" ;;
  device) mknod "$work/odd" c 1 5 ;; # as /dev/zero, which has no end
  directory) mkdir "$work/odd" ;;
  link) ln -s master.key "$work/odd" ;;
  loop) ln -s odd "$work/odd" ;;
  sparse) install -m 600 /dev/null "$work/odd" && truncate -s 1G "$work/odd" ;;
  foreign) install -m 600 -o 65534 "$work/master.key" "$work/odd" ;;
  writable) install -m 622 "$work/master.key" "$work/odd" ;;
  master) install -m 600 "$work/master.key" "$work/odd" ;;
  esac
}
refuses() { # NAME PATTERN COMMAND...: as check, and the key of the file is in no line
  check "$1" 2 "$work/odd:.*($2)" "${@:3}"
  grep -qF "$secret" "$work/err" && echo "not ok $1: prints the key" && failures=$((failures + 1))
}
while read -r kind says; do
  make_odd "$kind"
  for part in server guard client; do
    [ "$kind" = link ] && break # a configuration may be one
    refuses "$part: configuration: $kind" "$says" run "trap-$part" --config "$work/odd" --check-config
  done
  for part in server guard; do
    vary $part "s,^(master_key_file|secret_file) = .*,\\1 = \"$work/odd\","
    [ "$kind" = master ] || refuses "$part: key: $kind" "$says|others can use it" run "trap-$part" --config "$work/bad.toml" --check-config
  done
  refuses "server: list of prefixes: $kind" "$says" run trap-server --config "$work/lists.toml" --check-config
done <<'END'
fifo not a regular file
socket not a regular file
device not a regular file
directory is a directory
link is a symbolic link
loop symbolic link|Too many levels
sparse longer than
foreign belongs to user 65534
writable others can change it
master 1: (not TOML|no address)
END
make_odd link
refuses "server: configuration that is a link to a key" "1: not TOML" run trap-server --config "$work/odd" --check-config

# Depths that would use up the stack of a parser.
deep=$(python3 -c 'print(".".join(["a"] * 50000))')
for line in "$deep = 1" "[$deep]" "a = {$deep = 1}" "a = $(python3 -c 'print("[" * 50000)')"; do
  printf '%s\n' "$line" >"$work/bad.toml"
  check "client: TOML too deep, ${line:0:6}" 2 "^trap-client: $work/bad.toml:1: not TOML that this program reads: .{0,60}$" run trap-client --config "$work/bad.toml"
done

# Control characters of a file stay out of terminal and log.
printf 'interfaces = ["bad0\\u001b[31m\\nready"]\npin_dir = "\\u0007"\n' >"$work/bad.toml"
check "client: control characters" 2 '"bad0\\x1b\[31m\\nready"' run trap-client --config "$work/bad.toml"

# A daemon that hangs: it takes no connection from its queue, and then the queue is full. Both wait at the same time.
python3 -c 'import socket, sys, time
held = []
for path in sys.argv[1:]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    held.append(listener)
held.append(socket.socket(socket.AF_UNIX))
held[-1].connect(sys.argv[2])
print(flush=True)
time.sleep(30)' "$work/mute" "$work/full" >"$work/listens" &
silent=$!
until [ -s "$work/listens" ]; do sleep 0.1; done
# silence CASE TRAPCTL_ARGUMENT...
silence() {
  timeout 20 "$bin/trapctl" "${@:2}" >"$work/$1.out" 2>"$work/$1.err"
  echo $? >"$work/$1.code"
}
silence mute status client --socket "$work/mute" &
asked=($!)
silence full status client --socket "$work/full" &
asked+=($!)
silence reload reload client --socket "$work/full" &
asked+=($!)
wait "${asked[@]}"
kill $silent
for case in mute full reload; do
  check "trapctl: a daemon that does not answer, $case" 1 "^trapctl: (trap-client: not reloaded: )?control socket $work/.*: the daemon did not answer within 5 s: " \
    bash -c "cat $work/$case.err >&2; exit \$(cat $work/$case.code)"
done

[ "$failures" = 0 ]
