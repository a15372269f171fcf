#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the Grafana dashboard as an SVG, from series of a lab: dashboard.py --build DIR --output FILE, as root, in two minutes.

Brings TRAP up in namespaces, scrapes its three daemons while clients come and a SYN flood passes, has Prometheus answer the queries of every
panel, and draws the answers. Grafana itself is in no Debian: its layout and titles are the dashboard's, the strokes are this script's."""

import argparse
import html
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAB = pathlib.Path("/run/trap-lab")
PARTS = {"server": "trap", "guard": "service", "client": "client"}  # the host of each
RECORD_S, STEP_S, FLOOD_FROM_S, FLOOD_S = 90, 2, 30, 25
FLOOD_GAP_US = 200
PORT = 19490
CELL_W, CELL_H, MARGIN = 50, 26, 4
COLOURS = ("#3274d9", "#e0752d", "#2f9e6e", "#a352cc", "#e02f44", "#b7950b", "#157f8f", "#8a5a44")
SAMPLE = re.compile(r"^([a-z_]+)(\{.*?\})? (\S+)$")


def inside(host, *words):
    return ["ip", "netns", "exec", f"trap-lab-{host}", *words]


def scrape(part):
    answer = subprocess.run(["curl", "--silent", "--unix-socket", LAB / PARTS[part] / f"{part}.sock", "http://localhost/metrics"],
                            capture_output=True, text=True, check=True)
    now = time.time()
    for line in answer.stdout.splitlines():
        if found := SAMPLE.match(line):
            labels = f'job="trap",instance="{PARTS[part]}"' + ("," + found[2][1:-1] if found[2] else "")
            yield f"{found[1]}{{{labels}}}", now, found[3]


def visit(host, url):
    return subprocess.Popen(inside(host, "curl", "--silent", "--max-time", "1", "--output", "/dev/null", url))


def record(build):
    """{series: [(time, value)]} of a lab at work."""
    lab = subprocess.Popen([build / "bin/trap-lab", "--no-color", "up"], stdout=subprocess.PIPE, text=True)
    while "The lab is up" not in (line := lab.stdout.readline()):
        if not line:
            sys.exit("dashboard.py: the lab did not come up")
    series, children, flood = {}, [], None
    begun = time.monotonic()
    try:
        for tick in range(RECORD_S // STEP_S):
            if tick * STEP_S == FLOOD_FROM_S:
                flood = subprocess.Popen(inside("attacker", "timeout", str(FLOOD_S), "hping3", "--quiet", "--syn", "--destport", "80", "--rand-source",
                                                "--interval", f"u{FLOOD_GAP_US}", "203.0.113.10"),
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for part in PARTS:
                for name, now, value in scrape(part):
                    series.setdefault(name, []).append((now, value))
            children += [visit("client", "http://203.0.113.10/small.txt") for _ in range(3)]
            children += [visit("stranger", "http://198.51.100.20/small.txt")]
            time.sleep(max(0, begun + (tick + 1) * STEP_S - time.monotonic()))
    finally:
        for child in children + ([flood] if flood else []):
            child.wait()
        lab.send_signal(signal.SIGINT)
        lab.wait()
    return series


def write_blocks(series, folder):
    families = {}
    for name, samples in series.items():
        families.setdefault(name.split("{")[0], []).append((name, samples))
    text = folder / "series.om"
    with text.open("w") as out:
        for family, members in sorted(families.items()):
            kind = "counter" if family.endswith("_total") else "gauge"
            out.write(f"# TYPE {family.removesuffix('_total')} {kind}\n")
            for name, samples in members:
                out.writelines(f"{name} {value} {now:.3f}\n" for now, value in samples)
        out.write("# EOF\n")
    subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", text, folder / "tsdb"], check=True, stdout=subprocess.DEVNULL)


class Prometheus:
    """One that answers from blocks and scrapes nothing."""

    def __init__(self, folder):
        (folder / "prometheus.yml").write_text("scrape_configs: []\n")
        self.process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
                                         f"--web.listen-address=127.0.0.1:{PORT}", "--storage.tsdb.retention.time=100y"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/-/ready", timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        sys.exit("dashboard.py: Prometheus does not start")

    def ask(self, expression, start, end):
        query = urllib.parse.urlencode({"query": expression, "start": start, "end": end, "step": STEP_S})
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v1/query_range?{query}", timeout=30) as answer:
            return json.load(answer)["data"]["result"]

    def end(self):
        self.process.terminate()
        self.process.wait()


def filled(target):
    expression = target["expr"].replace("$__rate_interval", f"{4 * STEP_S}s")
    return re.sub(r"\$(job|instance|service)\b", ".*", expression)


def legend_of(target, labels):
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda name: labels.get(name[1], ""), target.get("legendFormat", "")).strip()


def short(value, unit):
    if unit == "percentunit":
        return f"{100 * value:.0f} %"
    for limit, sign in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return f"{value / limit:.1f}{sign}"
    return f"{value:.3g}"


def text(x, y, words, size=10, colour="#333", anchor="start", weight="normal"):
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{html.escape(words)}</text>'


def stat(panel, lines, x, y, w, h):
    mappings = {key: option["text"] for mapping in panel["fieldConfig"]["defaults"].get("mappings", []) for key, option in mapping["options"].items()}
    for index, (legend, values) in enumerate(lines[:3]):
        value = values[-1][1]
        words = mappings.get(f"{value:g}", short(value, panel["fieldConfig"]["defaults"].get("unit")))
        yield text(x + 8, y + 44 + 24 * index, words, 16, COLOURS[0], weight="bold")
        yield text(x + w - 8, y + 44 + 24 * index, legend, 9, anchor="end")
    if not lines:
        yield text(x + w / 2, y + h / 2 + 8, "none", 10, "#888", "middle")


def graph(panel, lines, span, x, y, w, h):
    unit = panel["fieldConfig"]["defaults"].get("unit")
    shown = sorted(lines, key=lambda line: -max(value for _, value in line[1]))[:len(COLOURS)]
    rows = (min(len(shown), 4) + 1) // 2
    left, top, right, bottom = x + 44, y + 26, x + w - 8, y + h - 10 - 12 * max(rows, 1)
    values = [value for _, points in shown for _, value in points] or [0, 1]
    low, high = min(0, *values), max(values)
    high = high if high > low else low + 1
    for share in (0, 0.5, 1):
        at = bottom - share * (bottom - top)
        yield f'<path d="M{left:.0f} {at:.1f}H{right:.0f}" stroke="#ddd"/>'
        yield text(left - 4, at + 3, short(low + share * (high - low), unit), 8, "#777", "end")
    for index, (legend, points) in enumerate(shown):
        path = " ".join(f"{left + (now - span[0]) / (span[1] - span[0]) * (right - left):.1f},"
                        f"{bottom - (value - low) / (high - low) * (bottom - top):.1f}" for now, value in points)
        yield f'<polyline points="{path}" fill="none" stroke="{COLOURS[index]}" stroke-width="1.3"/>'
        if index < 4:
            yield text(x + 8 + (index % 2) * w / 2, bottom + 14 + 12 * (index // 2), "■ " + legend[:34], 8, COLOURS[index])
    if not shown:
        yield text(x + w / 2, y + h / 2 + 8, "no data", 10, "#888", "middle")


def drawn(dashboard, prometheus, span):
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"]) * CELL_H
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * CELL_W} {height}" font-family="sans-serif">'
           f'<rect width="100%" height="100%" fill="#f4f5f5"/>')
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        x, y, w, h = place["x"] * CELL_W, place["y"] * CELL_H, place["w"] * CELL_W - MARGIN, place["h"] * CELL_H - MARGIN
        if panel["type"] == "row":
            yield text(x + 6, y + 18, panel["title"], 14, weight="bold")
            continue
        lines = []
        for target in panel["targets"]:
            for found in prometheus.ask(filled(target), *span):
                points = [(now, float(value)) for now, value in found["values"] if value not in ("NaN", "+Inf", "-Inf")]
                if points:
                    lines.append((legend_of(target, found["metric"]), points))
        yield f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="#fff" stroke="#ddd"/>'
        yield text(x + 8, y + 16, panel["title"], 11, weight="bold")
        yield from stat(panel, lines, x, y, w, h) if panel["type"] == "stat" else graph(panel, lines, span, x, y, w, h)
    yield "</svg>"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        series = record(options.build)
        write_blocks(series, folder)
        moments = [now for samples in series.values() for now, _ in samples]
        prometheus = Prometheus(folder)
        try:
            dashboard = json.loads((ROOT / "packaging/grafana/trap.json").read_text())
            options.output.write_text("\n".join(drawn(dashboard, prometheus, (min(moments), max(moments)))) + "\n")
        finally:
            prometheus.end()


if __name__ == "__main__":
    main()
