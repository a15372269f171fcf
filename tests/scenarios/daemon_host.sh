# SPDX-License-Identifier: Apache-2.0
# To be sourced: a host as a network namespace in which the three daemons run, with a neighbour that knocks. Sets bin, work, host, peer;
# counts failures; cleans up at exit. The caller has set name (for paths) and $1 is the directory of the programs.

bin=${1:?usage: $0 BIN_DIR}
bin=$(cd "$bin" && pwd) || exit 2
if [ "$(id -u)" != 0 ]; then
  echo "$0: run it as root: it makes network namespaces" >&2
  exit 2
fi
work=$(mktemp -d "/tmp/trap-$name.XXXXXX")
host=trap-$name-$$
peer=trap-$name-peer-$$
failures=0
declare -A pids=()

clean_up() {
  local process
  for process in "${!pids[@]}"; do kill -9 "${pids[$process]}" 2>/dev/null; done
  wait 2>/dev/null
  ip netns del "$host" 2>/dev/null
  ip netns del "$peer" 2>/dev/null
  mountpoint -q "$work/bpf" && umount "$work/bpf"
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

mkdir "$work/bpf" && mount -t bpf bpf "$work/bpf" && ip netns add "$host" && ip netns add "$peer" &&
  ip -n "$host" link add trap0 type veth peer name trap1 netns "$peer" && ip -n "$host" addr add 203.0.113.10/24 dev trap0 &&
  ip -n "$peer" addr add 203.0.113.2/24 dev trap1 && ip -n "$host" link set trap0 up && ip -n "$peer" link set trap1 up &&
  ip -n "$host" link set lo up &&
  ip -n "$host" link add guard0 type veth peer name guard1 netns "$peer" && ip -n "$host" link set guard0 up &&
  ip -n "$peer" link set guard1 up || exit 2 # an interface takes one XDP program
"$bin/trapctl" key generate "$work/master.key" && "$bin/trapctl" key derive web-1 --master "$work/master.key" --output "$work/guard.key" || exit 2

# write_config PART PORT: a configuration with its metrics at 127.0.0.1:PORT.
write_config() {
  local interface=trap0
  [ "$1" = guard ] && interface=guard0
  printf 'interfaces = ["%s"]\npin_dir = "%s"\ncontrol_socket = "%s"\nmetrics_listen = "127.0.0.1:%s"\n' \
    "$interface" "$work/bpf/$1" "$work/$1.sock" "$2" >"$work/$1.toml"
  case $1 in
  server)
    cat >>"$work/server.toml" <<END
master_key_file = "$work/master.key"
[[service]]
name = "web"
addresses = ["203.0.113.10:80"]
health = "off"
  [[service.backend]]
  address = "198.51.100.20:80"
  guard = "web-1"
  [[service.backend]]
  address = "198.51.100.21:80"
  guard = "web-1"
END
    ;;
  guard)
    cat >>"$work/guard.toml" <<END
secret_file = "$work/guard.key"
trap_servers = ["203.0.113.10"]
[[service]]
name = "web"
port = 80
END
    ;;
  esac
}

in_host() { nsenter --net="/run/netns/$host" "$@"; }

# start PART: runs the daemon and waits until it is ready.
start() {
  nsenter --net="/run/netns/$host" "$bin/trap-$1" --config "$work/$1.toml" 2>"$work/$1.log" & # not in_host: $! must be the daemon
  pids[$1]=$!
  for _ in $(seq 150); do
    grep -q ready "$work/$1.log" 2>/dev/null && return 0
    kill -0 "${pids[$1]}" 2>/dev/null || break
    sleep 0.1
  done
  sed 's/^/# /' "$work/$1.log"
  return 1
}

# control PART ARGUMENT...: trapctl at this part's socket; the part's name comes last.
control() {
  local part=$1
  shift
  "$bin/trapctl" "$@" "$part" --socket "$work/$part.sock"
}

# field PART EXPRESSION: a Python expression over the part's status `s`.
field() {
  control "$1" status --json 2>/dev/null | python3 -c "import json,sys; s = json.load(sys.stdin); print($2)"
}

# A few SYNs to the protected port, whatever comes of them.
knock() {
  timeout 1 nsenter --net="/run/netns/$peer" bash -c 'echo >/dev/tcp/203.0.113.10/80' 2>/dev/null
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

# becomes NAME WANTED COMMAND...: within 15 seconds.
becomes() {
  local what=$1 wanted=$2 got=
  shift 2
  for _ in $(seq 75); do
    got=$("$@" 2>/dev/null)
    [ "$got" = "$wanted" ] && break
    sleep 0.2
  done
  expect "$what" "$wanted" "$got"
}

finish() {
  [ "$failures" = 0 ] || echo "# $failures failed"
  exit $((failures > 0))
}
