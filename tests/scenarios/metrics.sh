#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real Prometheus scrapes the three daemons, with the alert rules of packaging/: targets up, figures as in status, an alert that fires and
# ends, a target that goes. Usage: metrics.sh BIN_DIR (as root). Prints "ok NAME" or "not ok NAME".
set -u
name=metrics
here=$(cd "$(dirname "$0")" && pwd) || exit 2
. "$here/daemon_host.sh"
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
  expect "$part: the listener tells nothing else and takes no commands" "" "$(for request in "GET /status" "POST /reload" "POST /backends"; do
    in_host curl -sS --max-time 5 -o "$work/out" -w '%{http_code}\n' -X "${request% *}" "http://127.0.0.1:$port${request#* }"
  done | grep -v '^40[04]$')"
  port=$((port + 1))
done
# trap_listener_up is only there for a service that is served, so the server's scrape alone cannot be asked.
expect "dashboard and rules ask for metrics that the code makes" "" "$(python3 -B "$here/metric_names.py" --root "$root")"
expect "and all but the listener's are in the scrapes" "grafana: trap_listener_up" \
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
