#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes evaluation.md and its plots (SVG, by gnuplot) from trap-bench's report.json.

usage: evaluate.py REPORT [--output DIRECTORY] [--no-plots]    default: where the report is
"""
import argparse
import collections
import json
import math
import pathlib
import re
import shutil
import subprocess
import sys

# Every experiment that a whole run has: what it is, and a pattern of its names in the report.
EXPECTED = [
    ("downloads of the paper's Table 1", r"download-\d+mb"),
    ("a download during the paper's flood", r"attack-paper"),
    ("a download during the hardest flood", r"attack-flood"),
    ("a flood that rises", r"attack-rise"),
    ("the paper's three rounds of connections", r"connection-time-paper"),
    ("times of a connection", r"connection-time"),
    ("closed loop, SYN", r"closed-loop-syn"),
    ("closed loop, invalid ACK", r"closed-loop-ack-invalid"),
    ("closed loop, valid ACK", r"closed-loop-ack-valid"),
    ("closed loop, uninvited SYN at the guard", r"closed-loop-syn-uninvited"),
    ("closed loop, ticketed SYN at the guard", r"closed-loop-syn-ticketed"),
    ("paths of trap-server", r"server-.*"),
    ("paths of trap-guard", r"guard-.*"),
    ("paths of trap-client", r"client-(egress|ingress).*"),
    ("connect times with trap-client", r"client-connect"),
    ("throughput with trap-client", r"client-throughput-.*"),
    ("growth: services", r"growth-services"),
    ("growth: backends", r"growth-backends"),
    ("growth: prefixes", r"growth-prefixes"),
    ("growth: flows", r"growth-flows"),
    ("growth: clients", r"growth-clients"),
    ("growth: redirects", r"growth-redirects"),
    ("fleet", r"fleet"),
    ("memory during a flood", r"memory-syn-flood"),
    ("a backend leaves", r"backend-leaves"),
    ("a backend joins", r"backend-joins"),
    ("prefixes loaded", r"prefixes-\d+"),
]

TRAP_NAMES = ("trap", "trap-first", "trap-later", "trap-reset", "trap-serve", "trap-guard")
LESS_IS_BETTER = {"ns", "us", "ms", "s", "KiB"}
MORE_IS_BETTER = {"1/s", "Mbit/s", "share"}

# On paper: frames on the wire with preamble, gap and checksum, as a Linux SYN over IPv4 and as small as Ethernet has them.
WIRE_BYTES = {"Linux SYN, 74 bytes": 74 + 24, "smallest frame, 60 bytes": 60 + 24}
CORES_OF_A_HOST = 16
LINE_OF_A_HOST = 100e9
LOAD_OF_A_CORE = 0.7


def number(value):
    if value == 0:
        return "0"
    digits = max(0, 3 - int(math.floor(math.log10(abs(value)))))
    return f"{value:,.{min(digits, 3)}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


class Report:
    def __init__(self, text):
        self.json = json.loads(text)
        self.results = self.json["results"]

    def select(self, pattern, **fields):
        return [line for line in self.results
                if re.fullmatch(pattern, line["experiment"]) and all(line.get(key) == value for key, value in fields.items())]

    def one(self, pattern, **fields):
        found = self.select(pattern, **fields)
        return found[0] if found else None

    def families(self, pattern):
        return sorted({line["family"] for line in self.select(pattern) if "family" in line})


class Plots:
    def __init__(self, directory, wanted):
        self.directory = directory
        self.gnuplot = shutil.which("gnuplot") if wanted else None
        self.why_not = "gnuplot is not installed" if wanted else "none were asked for"

    def draw(self, name, commands, series, say):
        """One SVG; `series` is a list of (title, rows). Returns the lines that show it."""
        if not self.gnuplot:
            return [f"(No plot: {self.why_not}.)", ""]
        blocks = "".join(f"${key} << EOD\n" + "\n".join(" ".join(map(str, row)) for row in rows) + "\nEOD\n"
                         for key, (_, rows) in self.keyed(series))
        script = (f"set terminal svg size 760,420 font 'sans,11' background rgb 'white'\nset output '{self.directory / (name + '.svg')}'\n"
                  f"set grid\n{blocks}{commands(self.keyed(series))}\n")
        done = subprocess.run([self.gnuplot], input=script, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f"evaluate.py: gnuplot cannot draw {name}: {done.stderr.strip()}")
        return [f"![{say}]({name}.svg)", ""]

    @staticmethod
    def keyed(series):
        return [(f"data{i}", one) for i, one in enumerate(series)]


def lines_plot(x, y, logarithmic):
    def commands(keyed):
        plots = ", ".join(f"${key} using 1:2 with linespoints title '{title}'" for key, (title, _) in keyed)
        return (f"set xlabel '{x}'\nset ylabel '{y}'\nset logscale {logarithmic}\nset key outside bottom horizontal\nset format x '10^{{%T}}'\n"
                f"plot {plots}")
    return commands


def bars_plot(y):
    def commands(keyed):
        key = keyed[0][0]
        return (f"set ylabel '{y}'\nset yrange [0:*]\nset style fill solid 0.7\nset boxwidth 0.6\nunset key\nset xtics rotate by -20\n"
                f"plot ${key} using 0:2:xtic(1) with boxes, ${key} using 0:2:3 with labels offset 0,0.7")
    return commands


def spread(line):
    return f"{number(line['value'])} ({number(line['min'])} to {number(line['max'])})"


def about(report):
    machine, versions = report.json["machine"], report.json["versions"]
    rows = [("date", report.json.get("date", "not in the report")), ("processor", f"{machine['cpu']}, {machine['cpus']} cores"),
            ("memory", f"{number(machine['memory_gib'])} GiB" if "memory_gib" in machine else "not in the report"),
            ("kernel", report.json["kernel"])]
    rows += [(name, version) for name, version in versions.items()]
    text = ["Everything runs on one machine: hosts are network namespaces, links are veth pairs. No network card and no wire is measured.", ""]
    text += table(("", ""), rows)
    text += ["To repeat, as root: `make bench`. It takes some 20 minutes, and wants a machine that does nothing else. "
             "`make evaluation` brings the outcome to docs/. Figures are medians, with the least and the greatest of all runs in brackets.", ""]
    return text


def targets(report):
    missed = [one for one in report.json["targets"] if not one["met"]]
    text = [f"{len(report.json['targets']) - len(missed)} of {len(report.json['targets'])} targets are met.", ""]
    rows = []
    for one in sorted(report.json["targets"], key=lambda target: target["met"]):
        (bound, limit), = one["target"].items()
        rows.append((one["name"], f"{number(one['value'])} {one['unit']}", f"{bound.replace('_', ' ')} {number(limit)} {one['unit']}",
                     "yes" if one["met"] else "**no**"))
    return text + table(("target", "measured", "wanted", "met"), rows)


def downloads(report):
    text = ["The paper's Table 1: a download of random data without and with TRAP. `first`: the client has to be redirected. `later`: it holds a "
            "redirect. The paper's machines and its virtual network were others; its figures are there for the order of magnitude.", ""]
    sizes = sorted({int(re.search(r"\d+", line["experiment"])[0]) for line in report.select(r"download-\d+mb")})
    for family in report.families(r"download-\d+mb"):
        rows = []
        for size in sizes:
            got = {who: report.one(f"download-{size}mb", contender=who, family=family, metric="download_time")
                   for who in ("plain", "trap-first", "trap-later")}
            if not got["plain"] or not got["trap-first"]:
                continue
            rows.append((f"{size} MB",
                         spread(got["plain"]), spread(got["trap-first"]), spread(got["trap-later"]) if got["trap-later"] else "missing",
                         number(got["trap-first"].get("overhead", got["trap-first"]["value"] - got["plain"]["value"])),
                         number(got["plain"].get("paper", 0)), number(got["trap-first"].get("paper", 0)),
                         number(got["trap-first"].get("paper_overhead", 0))))
        text += [f"{family}, ms:", ""] + table(
            ("", "plain", "first", "later", "overhead", "paper: plain", "paper: TRAP", "paper: overhead"), rows)
    for line in report.select(r"download-overhead"):
        text += [f"Mean overhead of a first connection, {line.get('family', '')}: {number(line['value'])} ms; "
                 f"the paper: {number(line.get('paper', 179.49))} ms.", ""]
    return text


def attacked(report):
    text = ["5 MB during a SYN flood with invented sources: the paper's (`hping3 -S -P -p 80 --rand-source -i u10`), and as hard as it goes.", ""]
    rows = []
    for line in report.select(r"attack-(paper|flood)", metric="download_time"):
        success = report.one(line["experiment"], contender=line["contender"], family=line.get("family"), metric="success")
        rows.append((line["experiment"], line.get("family", ""), line["contender"], spread(line) + " ms",
                     number(success["value"] * 100) + "%" if success else "", f"{number(line['paper'])} ms" if "paper" in line else ""))
    return text + table(("flood", "", "defence", "time", "complete", "paper"), rows)


def rising(report, plots):
    text = ["Connections per second of flood, as the flood rises. The rate is what the victim's interface saw. A defence without a point at a rate was "
            "not active, or the generator was slower than asked; see below what was refused.", ""]
    for metric, unit, say, logarithmic in (("success", "share of connections", "Share of connections that succeed", "x"),
                                           ("connect_p50", "ms", "Median time of connect", "xy"),
                                           ("connect_p99", "ms", "99th percentile of the time of connect", "xy")):
        for family in report.families(r"attack-rise"):
            found = report.select(r"attack-rise", metric=metric, family=family)
            series = collections.defaultdict(list)
            for line in found:
                if line.get("rate", 0) > 0 and (line["value"] > 0 or metric == "success"):
                    series[line["contender"]].append((line["rate"], line["value"]))
            if series:
                text += [f"{say}, {family}:", ""]
                text += plots.draw(f"attack-rise-{metric}-{family}", lines_plot("SYNs per second", unit, logarithmic),
                                   [(name, sorted(rows)) for name, rows in series.items()], say)
    rows = []
    for line in sorted(report.select(r"attack-rise", metric="success"), key=lambda l: (l.get("family", ""), l["contender"], l.get("rate", 0))):
        at = {metric: next((other["value"] for other in report.select(r"attack-rise", metric=metric, contender=line["contender"],
                                                                       family=line.get("family")) if other.get("rate") == line.get("rate")), None)
              for metric in ("connect_p50", "connect_p99")}
        rows.append((line.get("family", ""), line["contender"], number(line.get("rate", 0)), number(line["value"] * 100) + "%",
                     *(number(value) if value is not None else "" for value in at.values())))
    return text + table(("", "defence", "SYNs/s", "succeed", "p50, ms", "p99, ms"), rows)


def connections(report):
    text = ["The paper's experiment: three rounds of 20 connections, from the request to the first byte of the answer, µs. "
            "The paper: 7683.6, 7820.3 and 7978.3 µs.", ""]
    for pattern, metrics in ((r"connection-time-paper", ("round_1", "round_2", "round_3")), (r"connection-time", ("p50", "p90", "p99"))):
        if pattern == r"connection-time":
            text += ["Many connections, µs:", ""]
        rows = []
        for family in report.families(pattern):
            for who in dict.fromkeys(line["contender"] for line in report.select(pattern, family=family)):
                values = [report.one(pattern, contender=who, family=family, metric=metric) for metric in metrics]
                rows.append((family, who, *(number(one["value"]) if one else "" for one in values)))
        text += table(("", "defence", *(metric.replace("_", " ") for metric in metrics)), rows)
    return text


LOOPS = (("closed-loop-syn", "SYN at the server", "Beside the kernel's own defences. xdp-tx sends the SYN back unread."),
         ("closed-loop-ack-invalid", "ACK with a wrong cookie", ""),
         ("closed-loop-ack-valid", "ACK with a right cookie: budgets, backend, ticket, redirect",
          "No peer: with cookies or SYNPROXY such an ACK makes a connection, which is more than an answer. Announcements to the guard, "
          "which the daemon makes at a limited rate, are off."),
         ("closed-loop-syn-uninvited", "SYN at the guard, without invitation", "What the peers do with it is under SYN at the server."),
         ("closed-loop-syn-ticketed", "SYN at the guard, with a ticket",
          "The stack drops the frame right behind the program, because it is addressed to another card: xdp-pass is that alone."))


def capacity(report, plots):
    text = ["Closed loop on one core: generator, contender and sink share it, and its whole time counts. So figures are lower than what a card "
            "would deliver to the contender alone.", ""]
    for experiment, title, note in LOOPS:
        text += [f"### {title}", ""] + ([note, ""] if note else [])
        for family in report.families(experiment):
            found = sorted(report.select(experiment, family=family), key=lambda line: -line["value"])
            rows = [(line["contender"], f"{number(line['value'] / 1e6)} M/s", f"{number(line['min'] / 1e6)} to {number(line['max'] / 1e6)}",
                     f"{number(line.get('ns_per_packet', 1e9 / line['value']))} ns",
                     f"{number(line['ratio_to_floor'])} x {line['floor']}" if "ratio_to_floor" in line else "") for line in found]
            text += [f"{family}:", ""] + table(("", "packets per second", "of all runs, M/s", "per packet", ""), rows)
            bars = [(f'"{line["contender"]}"', line["value"] / 1e6, number(line["value"] / 1e6)) for line in found]
            text += plots.draw(f"{experiment}-{family}", bars_plot("million packets per second and core"), [("", bars)], f"{title}, {family}")
    return text


def paths(report):
    text = ["Nanoseconds a packet of one path, by BPF_PROG_TEST_RUN with everything in the cache: a lower bound.", ""]
    rows = []
    for line in report.select(r"(server|guard|client)-.*", metric="time_per_packet", contender="trap"):
        rows.append((line["experiment"], line.get("family", ""), spread(line),
                     f"{number(line['ratio_to_floor'])} x {line['floor']}" if "ratio_to_floor" in line else ""))
    return text + table(("path", "", "ns", ""), rows)


GROWTH = (("growth-services", "services at a server, SYN"), ("growth-backends", "backends at a server, valid ACK"),
          ("growth-prefixes", "client prefixes of a service, SYN"), ("growth-flows", "flows at a guard, segment"),
          ("growth-clients", "announced and admitted clients at a guard, SYN"), ("growth-redirects", "redirects at a client, SYN with ticket"))


def growth(report, plots):
    text = ["Time per packet as tables fill. Each packet is of a member drawn at random, so large tables are read from memory, small ones from the "
            "cache: that alone makes some of the growth. Memory is all that the program's maps take; most are allocated in full at the start. The sizes that "
            "a table has by default, and how to change them, are in the manual pages (`max_clients`, `max_flows`, `max_redirects`).", ""]
    for family in report.families(r"growth-.*"):
        series = []
        for experiment, title in GROWTH:
            points = sorted((line["size"], line["value"]) for line in report.select(experiment, family=family, metric="time_per_packet"))
            if points:
                series.append((title, points))
        if series:
            text += [f"{family}:", ""] + plots.draw(f"growth-{family}", lines_plot("members", "ns per packet", "x"), series, f"Growth, {family}")
        rows = []
        for experiment, title in GROWTH:
            for line in sorted(report.select(experiment, family=family, metric="time_per_packet"), key=lambda one: one["size"]):
                memory = next((other for other in report.select(experiment, family=family, metric="memory") if other["size"] == line["size"]), None)
                rows.append((title, f"{line['size']:,}", spread(line), f"{number(memory['value'] / 1024)} MiB" if memory else ""))
        text += table(("", "members", "ns", "maps"), rows)
    return text


def fleet(report):
    text = ["Three servers with the same addresses and master key, and nothing else in common. `spray`: the router sends the SYN of a connection to one "
            "and its ACK to another. `ecmp`: equal-cost routes. `spray-server-lost`: one server loses power during the load; the router learns of it "
            "0.3 s later. A connection whose packet went to the dead server waits for TCP's repetition, a second. Connections of clients without "
            "trap-client that a server serves itself (`unaware = \"serve\"`) live at one server: they need a router that keeps a connection's packets "
            "together, and end with their server.", ""]
    rows = []
    for line in report.select(r"fleet", metric="failed_connections"):
        time = report.one(r"fleet", contender=line["contender"], family=line.get("family"), metric="connection_time")
        rows.append((line["contender"], line.get("family", ""), line.get("connections", ""), number(line["value"]), f"{spread(time)}" if time else ""))
    return text + table(("", "", "connections", "failed", "ms each"), rows) + on_paper(report)


def on_paper(report):
    text = ["### On paper", "",
            f"From the figures above: a core answers what `trap-reset` and `trap-serve` answer in the closed loop, at {LOAD_OF_A_CORE:.0%} load; cores add up, "
            f"because a SYN touches nothing that cores share but counters of caps; a host has {CORES_OF_A_HOST} cores and a line of {LINE_OF_A_HOST / 1e9:.0f} Gbit/s. "
            "It is arithmetic: nobody has measured it. SYNs arrive as frames of 74 bytes, or as small as Ethernet allows, with 24 bytes between frames.", ""]
    rows = []
    for who in ("trap-reset", "trap-serve"):
        line = report.one(r"closed-loop-syn", contender=who, family="ipv4")
        if not line:
            text += [f"The closed loop's figure for {who} is missing: nothing to compute from.", ""]
            continue
        loads = [(f"{mpps} Mpps", mpps * 1e6, wire) for mpps in (1, 10, 100) for wire in ["Linux SYN, 74 bytes"]]
        loads += [(f"1 Tbit/s, {wire}", 1e12 / 8 / size, wire) for wire, size in WIRE_BYTES.items()]
        for name, pps, wire in loads:
            cores = math.ceil(pps / (line["value"] * LOAD_OF_A_CORE))
            lines = math.ceil(pps * WIRE_BYTES[wire] * 8 / LINE_OF_A_HOST)
            hosts = max(math.ceil(cores / CORES_OF_A_HOST), lines)
            rows.append((who, name, f"{pps / 1e6:,.0f}", f"{cores:,}", f"{hosts:,}", "lines" if lines * CORES_OF_A_HOST >= cores else "cores"))
    return text + table(("", "flood", "Mpps", "cores", "hosts", "bound by"), rows)


def other(report):
    text = []
    rows = [(line["experiment"], line.get("family", ""), line["contender"], line["metric"].replace("_", " "), f"{spread(line)} {line['unit']}")
            for line in report.select(r"client-(connect|throughput-.*)|memory-.*|backend-.*|prefixes-.*")]
    return text + table(("experiment", "", "", "metric", ""), rows)


def comparisons(report):
    """Pairs of a line of TRAP's and one of somebody else's in the same experiment, family, metric and rate, where TRAP's is worse."""
    groups = collections.defaultdict(list)
    for line in report.results:
        if "size" not in line and line["unit"] in LESS_IS_BETTER | MORE_IS_BETTER and not re.match(r"(server|guard)-|client-(e|in)gress", line["experiment"]):
            groups[(line["experiment"], line.get("family", ""), line["metric"])].append(line)
    for (experiment, family, metric), lines in groups.items():
        for ours in lines:
            if ours["contender"] not in TRAP_NAMES and not ours["contender"].startswith(("first", "later", "translated")):
                continue
            for theirs in lines:
                if theirs["contender"] in TRAP_NAMES or theirs["contender"].startswith(("xdp-", "round-trip", "first", "later", "translated")):
                    continue
                if abs(theirs.get("rate", 0) - ours.get("rate", 0)) > 0.2 * max(ours.get("rate", 0), 1):
                    continue
                worse = ours["value"] > theirs["value"] if ours["unit"] in LESS_IS_BETTER else ours["value"] < theirs["value"]
                if worse:
                    yield experiment, family, metric, ours, theirs


def worse(report):
    text = ["By design:", "",
            "- A first connection takes a round trip more than without TRAP.",
            "- A client without trap-client is reset (`unaware = \"reset\"`), or goes through a relay (`unaware = \"serve\"`).",
            "- The service's host needs trap-guard; the clients' hosts, or their router, need trap-client.",
            "- The maps are allocated when a daemon starts, whether they are used or not: see Growth.",
            "- Past what a guard's tables hold, the oldest entries go: such a client needs a ticket again, such a flow its socket.", "",
            "Measured: wherever a figure of TRAP's is worse than that of another in the same experiment. Floors (xdp-drop, xdp-tx, xdp-pass, a bare round trip) are left out, "
            "which are always better. A difference within the spread means nothing.", ""]
    rows = [(experiment, family, metric.replace("_", " ") + (f" at {number(ours['rate'])}/s" if "rate" in ours else ""),
             f"{ours['contender']}: {spread(ours)} {ours['unit']}", f"{theirs['contender']}: {spread(theirs)} {theirs['unit']}")
            for experiment, family, metric, ours, theirs in comparisons(report)]
    return text + (table(("experiment", "", "metric", "TRAP", "other"), rows) if rows else ["Nowhere.", ""])


def absent(report):
    text = []
    for title, key in (("Skipped", "skipped"), ("Refused, because a check of the measurement itself failed", "refused")):
        listed = report.json[key]
        text += [f"{title}:", ""] + ([f"- {one['what']}: {one['why']}" for one in listed] or ["- nothing"]) + [""]
    missing = [what for what, pattern in EXPECTED if not report.select(pattern)]
    text += ["Missing from this report:", ""] + ([f"- {what}" for what in missing] or ["- nothing"]) + [""]
    return text


SECTIONS = (("Machine and method", lambda report, plots: about(report)), ("Targets", lambda report, plots: targets(report)),
            ("Downloads", lambda report, plots: downloads(report)), ("Under attack", lambda report, plots: attacked(report)),
            ("A rising attack", rising), ("Time of a connection", lambda report, plots: connections(report)), ("Capacity of a core", capacity),
            ("Cost of each path", lambda report, plots: paths(report)), ("Growth", growth), ("Fleet", lambda report, plots: fleet(report)),
            ("Clients, memory, reloads", lambda report, plots: other(report)), ("Where TRAP is worse", lambda report, plots: worse(report)),
            ("What is not here", lambda report, plots: absent(report)))


def document(report, plots):
    text = ["# Evaluation", "", "Written by bench/evaluate.py from one run of trap-bench.", ""]
    if report.json.get("quick"):
        text += ["**A quick run: it shows that everything works, and its figures mean little.**", ""]
    for title, write in SECTIONS:
        text += [f"## {title}", ""] + write(report, plots)
    return "\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, help="directory; default: that of the report")
    parser.add_argument("--no-plots", action="store_true", help="the document alone")
    arguments = parser.parse_args()
    output = arguments.output or arguments.report.parent
    try:
        report = Report(arguments.report.read_text())
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"evaluate.py: {arguments.report} is no report of trap-bench: {error}; make one with: make bench")
    output.mkdir(parents=True, exist_ok=True)
    plots = Plots(output, not arguments.no_plots)
    if not plots.gnuplot and not arguments.no_plots:
        print("evaluate.py: no plots: gnuplot is not installed (package gnuplot-nox)", file=sys.stderr)
    target = output / "evaluation.md"
    target.write_text(document(report, plots))
    print(f"evaluation: {target}")


if __name__ == "__main__":
    main()
