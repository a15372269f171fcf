#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real Prometheus scrapes the three daemons, with the alert rules of packaging/: targets up, figures as in status, an alert that fires and
# ends, a target that goes. In shell, because it joins other programs (prometheus, promtool, curl) and files of the source tree, which
# trap-lab does not know. Usage: metrics.sh BIN_DIR (as root). Prints "ok NAME" or "not ok NAME".
set -u
name=metrics
here=$(cd "$(dirname "$0")" && pwd) || exit 2
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
uncovered = "accept"
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

root=$here/../..
for tool in prometheus promtool curl; do
  if ! command -v $tool >/dev/null; then
    echo "metrics.sh: $tool is missing: run scripts/setup.sh" >&2
    exit 2
  fi
done

port=9464
for part in server guard client; do
  write_config $part $port
  port=$((port + 1))
done
for part in server guard client; do start $part || exit 1; done
for _ in 1 2; do knock; done

expect "alert rules are valid" 0 "$(promtool check rules "$root/packaging/prometheus/trap-rules.yml" >"$work/promtool.log" 2>&1; echo $?)"
expect "the example of a scrape configuration is valid" 0 "$(promtool check config "$root/packaging/prometheus/trap-scrape.yml" >"$work/promtool.log" 2>&1; echo $?)"
expect "alerts fire and rest as their tests say" 0 "$(promtool test rules "$here/alerts_test.yml" >"$work/alerts.log" 2>&1; echo $?)"
port=9464
for part in server guard client; do
  in_host curl -sS --max-time 5 "http://127.0.0.1:$port/metrics" >"$work/$part.metrics"
  expect "$part: Prometheus' own checker finds nothing" "" "$(promtool check metrics <"$work/$part.metrics" 2>&1)"
  expect "$part: the control socket tells the same families" "$(grep '^# TYPE' "$work/$part.metrics")" \
    "$(curl -sS --max-time 5 --unix-socket "$work/$part.sock" http://trap/metrics | grep '^# TYPE')"
  expect "$part: OpenMetrics has the same samples, and an end" "$(grep -c '^trap_' "$work/$part.metrics") # EOF" \
    "$(in_host curl -sS --max-time 5 -H 'Accept: application/openmetrics-text; version=1.0.0' "http://127.0.0.1:$port/metrics" |
      awk '/^trap_/ {samples++} END {print samples, $0}')"
  expect "$part: what the process takes is told" 5 "$(grep -c '^process_' "$work/$part.metrics")"
  expect "$part: the listener tells nothing else and takes no commands" "" "$(for request in "GET /status" "POST /reload" "POST /backends"; do
    in_host curl -sS --max-time 5 -o "$work/out" -w '%{http_code}\n' -X "${request% *}" "http://127.0.0.1:$port${request#* }"
  done | grep -v '^40[04]$')"
  port=$((port + 1))
done
# trap_listener_up is only there for a service that is served, trap_announcements_heard for one whose backends are checked.
expect "dashboard and rules ask for metrics that the code makes" "" "$(python3 -B "$here/metric_names.py" --root "$root")"
expect "and all but two are in the scrapes" "grafana: trap_announcements_heard
grafana: trap_listener_up" \
  "$(python3 -B "$here/metric_names.py" --root "$root" "$work"/{server,guard,client}.metrics | sed -n 's/^trap.json: no part has a metric /grafana: /p')"

cat >"$work/prometheus.yml" <<END
global: {scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 500ms}
rule_files: ["$(cd "$root" && pwd)/packaging/prometheus/trap-rules.yml"]
scrape_configs:
  - {job_name: trap, static_configs: [{targets: ["127.0.0.1:9464", "127.0.0.1:9465", "127.0.0.1:9466"]}]}
END
nsenter --net="/run/netns/$host" prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" \
  --web.listen-address=127.0.0.1:9090 >"$work/prometheus.log" 2>&1 &
pids[prometheus]=$!

# query EXPRESSION: the values Prometheus has for it now, sorted, in one line.
query() {
  in_host curl -sS --max-time 5 --data-urlencode "query=$1" http://127.0.0.1:9090/api/v1/query |
    python3 -c 'import json,sys; print(*sorted(r["value"][1] for r in json.load(sys.stdin)["data"]["result"]))'
}

becomes "Prometheus sees the three daemons" "1 1 1" query 'up{job="trap"}'
becomes "each tells its version" "server guard client" bash -c "$(declare -f in_host); host=$host; in_host curl -sS --max-time 5 \
  --data-urlencode 'query=trap_build_info{version=\"$("$bin/trapctl" --version | cut -d' ' -f2)\"}' http://127.0.0.1:9090/api/v1/query |
  python3 -c 'import json,sys; found = {r[\"metric\"][\"part\"] for r in json.load(sys.stdin)[\"data\"][\"result\"]}; print(*[p for p in (\"server\", \"guard\", \"client\") if p in found])'"
rules() {
  in_host curl -sS --max-time 5 http://127.0.0.1:9090/api/v1/rules | python3 -c '
import json, sys
rules = [r for g in json.load(sys.stdin)["data"]["groups"] for r in g["rules"]]
print(len(rules) == int(sys.argv[1]) and all(r["health"] == "ok" for r in rules), *[r["lastError"] for r in rules if r.get("lastError")])' "$(grep -c 'alert:' "$root/packaging/prometheus/trap-rules.yml")"
}
becomes "all rules are evaluated without an error" True rules
becomes "SYN-ACKs are counted as in status" "$(field server 's["services"][0]["counters"]["reply-syn-ack"]')" \
  query 'trap_packets_total{part="server",service="web",address="203.0.113.10:80",verdict="reply-syn-ack",action="reply"}'
becomes "that the other end of the veth runs no XDP program is told" 1 query 'trap_answers_lost{part="server",interface="trap0"}'
becomes "bytes are counted as in status" "$(field server 's["services"][0]["bytes"]["in"]')" \
  query 'trap_bytes_total{part="server",service="web",direction="in"}'

cp "$work/guard.toml" "$work/guard.toml.good"
echo 'nonsense = 1' >>"$work/guard.toml"
kill -HUP "${pids[guard]}"
becomes "a reload of a bad configuration is counted" 1 query 'trap_reloads_total{part="guard",result="failed"}'
becomes "and raises its alert" 1 query 'ALERTS{alertname="TrapReloadFailed",alertstate="firing",part="guard"}'
expect "and is a problem in status" degraded "$(field guard 's["state"]')"
cp "$work/guard.toml.good" "$work/guard.toml"
kill -HUP "${pids[guard]}"
becomes "a good reload ends the alert" "" query 'ALERTS{alertname="TrapReloadFailed",part="guard"}'
expect "and the problem" ok "$(field guard 's["state"]')"

kill "${pids[client]}"
wait "${pids[client]}" 2>/dev/null
becomes "a daemon that is gone is down" "0 1 1" query 'up{job="trap"}'

sed 's|^\(pin_dir.*\)"$|\1-2"|; s|^\(control_socket.*\)"$|\1-2"|' "$work/guard.toml" >"$work/second.toml"
in_host "$bin/trap-guard" --config "$work/second.toml" 2>"$work/second.log"
expect "a metrics_listen in use keeps a daemon from starting" 1 $?
expect "which says so in one line" 1 "$(grep -c 'metrics_listen 127.0.0.1:9465: Address already in use' "$work/second.log")"
expect "and leaves nothing behind" "" "$(ls -d "$work/bpf/guard-2" "$work/guard.sock-2" 2>/dev/null)"
finish
