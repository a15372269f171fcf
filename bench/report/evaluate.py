#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes evaluation.md and its plots (SVG, by gnuplot) from trap-bench's report.json.

usage: evaluate.py REPORT... [--output DIRECTORY] [--no-plots]    default: where the first report is

Several reports are those of parts, one after the other on one machine (trap-bench --only PART).
"""
import argparse
import collections
import pathlib
import re
import sys
import textwrap

from evaluation.capacity import capacity, fleet, growth, paths
from evaluation.clients import attacked, connections, downloads, rising
from evaluation.plots import Plots
from evaluation.report import Report, number, spread, table

COLUMNS = 100

# Every experiment of a whole run: its title, and a pattern of its names in the report.
EXPECTED = [
    ("downloads of the paper's Table 1", r"download-\d+mb"),
    ("a download during the paper's flood", r"attack-paper"),
    ("a download during the hardest flood", r"attack-flood"),
    ("a flood that rises", r"attack-rise"),
    ("going over to defence", r"defence-start"),
    ("the paper's three rounds of connections", r"connection-time-paper"),
    ("times of a connection", r"connection-time"),
    ("closed loop, SYN", r"closed-loop-syn"),
    ("closed loop, invalid ACK", r"closed-loop-ack-invalid"),
    ("closed loop, valid ACK", r"closed-loop-ack-valid"),
    ("closed loop, uninvited SYN at the guard", r"closed-loop-syn-uninvited"),
    ("closed loop, ticketed SYN at the guard", r"closed-loop-syn-ticketed"),
    ("paths of trap-server", r"server-.*"),
    ("paths of trap-guard", r"guard-(?!throughput-).*"),
    ("paths of trap-client", r"client-(egress|ingress).*"),
    ("connect times with trap-client", r"client-connect"),
    ("throughput with trap-client", r"client-throughput-.*"),
    ("throughput past trap-guard", r"guard-throughput-.*"),
    ("growth: services", r"growth-services"),
    ("growth: backends", r"growth-backends"),
    ("growth: prefixes", r"growth-prefixes"),
    ("growth: flows", r"growth-flows"),
    ("growth: clients", r"growth-clients"),
    ("growth: redirects", r"growth-redirects"),
    ("scaling", r"scaling-.*"),
    ("fleet", r"fleet"),
    ("memory during a flood", r"memory-syn-flood"),
    ("memory of clients", r"memory-clients"),
    ("a backend leaves", r"backend-leaves"),
    ("a backend joins", r"backend-joins"),
    ("prefixes loaded", r"prefixes-\d+"),
]

TRAP_NAMES = ("trap", "trap-first", "trap-later", "trap-reset", "trap-serve", "trap-serve-tc", "trap-guard", "trap-new", "trap-known", "trap-guard-flooded")
LESS_IS_BETTER = {"ns", "us", "ms", "s", "KiB"}
MORE_IS_BETTER = {"1/s", "Mbit/s", "share"}


def about(report):
    machine, versions = report.json["machine"], report.json["versions"]
    rows = [("date", report.json.get("date", "not in the report")), ("processor", f"{machine['cpu']}, {machine['cpus']} cores"),
            ("memory", f"{number(machine['memory_gib'])} GiB" if "memory_gib" in machine else "not in the report"),
            ("kernel", report.json["kernel"])]
    if machine.get("frequency_mhz"):
        rows.append(("frequency", f"{number(machine['frequency_mhz'])} MHz, as the kernel shows it"))
    if "mitigations" in machine:
        states = [f"{name}: {state.removeprefix('Mitigation: ').split(';')[0]}" for name, state in sorted(machine["mitigations"].items())]
        rows.append(("mitigations", "; ".join(states) or "none needed"))
    rows += [(name, version) for name, version in versions.items()]
    text = ["Everything runs on one machine: hosts are network namespaces, links are veth pairs. No network card and no wire is measured.", ""]
    text += table(("", ""), rows)
    text += ["To repeat, as root: `make bench`. It takes some 40 minutes, and wants a machine that does nothing else. "
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


def other(report):
    text = []
    rows = [(line["experiment"], line.get("family", ""), line["responder"], line["metric"].replace("_", " ") + (f", {number(line['size'])} clients" if "size" in line else ""),
             f"{spread(line)} {line['unit']}")
            for line in report.select(r"scaling-.*|defence-start|client-(connect|throughput-.*)|guard-throughput-.*|memory-.*|backend-.*|prefixes-.*")]
    return text + table(("experiment", "", "", "metric", ""), rows)


def comparisons(report):
    """Pairs of a line of TRAP's and another's in the same experiment, family, metric and rate, where TRAP's is worse."""
    groups = collections.defaultdict(list)
    for line in report.results:
        if "size" not in line and line["unit"] in LESS_IS_BETTER | MORE_IS_BETTER and not re.match(r"(server|guard)-|client-(e|in)gress", line["experiment"]):
            groups[(line["experiment"], line.get("family", ""), line["metric"])].append(line)
    for (experiment, family, metric), lines in groups.items():
        for ours in lines:
            if ours["responder"] not in TRAP_NAMES and not ours["responder"].startswith(("first", "later", "translated")):
                continue
            for theirs in lines:
                if theirs["responder"] in TRAP_NAMES or theirs["responder"].startswith(("xdp-", "tc-", "round-trip", "first", "later", "translated")):
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
            "Measured: wherever a figure of TRAP's is worse than that of another in the same experiment. Floors (xdp-drop, xdp-tx, tc-tx, xdp-pass, a bare round trip) are always better "
            "and are left out. A difference within the spread means nothing.", ""]
    rows = [(experiment, family, metric.replace("_", " ") + (f" at {number(ours['rate'])}/s" if "rate" in ours else ""),
             f"{ours['responder']}: {spread(ours)} {ours['unit']}", f"{theirs['responder']}: {spread(theirs)} {theirs['unit']}")
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
    runs = "one run of trap-bench" if report.runs == 1 else f"{report.runs} runs of trap-bench, each of some experiments, one after the other"
    text = ["# Evaluation", "", f"Written by bench/report/evaluate.py from {runs}.", ""]
    if report.json.get("quick"):
        text += ["**A quick run: it shows that everything works, and its figures mean little.**", ""]
    for title, write in SECTIONS:
        text += [f"## {title}", ""] + write(report, plots)
    return "\n".join(text)


def wrapped(text):
    """The text with its prose at 100 columns: not tables, headings and plots."""
    lines = []
    for line in text.split("\n"):
        if len(line) <= COLUMNS or line.startswith(("|", "#", "![")):
            lines.append(line)
            continue
        indent = "  " if line.startswith("- ") else ""
        lines += textwrap.wrap(line, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", type=pathlib.Path, nargs="+", metavar="REPORT")
    parser.add_argument("--output", type=pathlib.Path, help="directory; default: that of the report")
    parser.add_argument("--no-plots", action="store_true", help="the document alone")
    arguments = parser.parse_args()
    output = arguments.output or arguments.reports[0].parent
    report = None
    for path in arguments.reports:
        try:
            part = Report(path.read_text())
            report = report.with_part(part) if report else part
        except (OSError, ValueError, KeyError) as error:
            sys.exit(f"evaluate.py: {path} is no report of trap-bench: {error}; make one with: make bench")
    output.mkdir(parents=True, exist_ok=True)
    plots = Plots(output, not arguments.no_plots)
    if not plots.gnuplot and not arguments.no_plots:
        print("evaluate.py: no plots: gnuplot is not installed (package gnuplot-nox)", file=sys.stderr)
    target = output / "evaluation.md"
    target.write_text(wrapped(document(report, plots)))
    print(f"evaluation: {target}")


if __name__ == "__main__":
    main()
