# SPDX-License-Identifier: Apache-2.0
"""Sections about what clients see: downloads, and connections with and without a flood."""
import collections
import re

from evaluation.plots import lines_plot
from evaluation.report import number, spread, table


def notes(report, pattern):
    """Notes on some defences' figures."""
    found = {line["responder"]: line["note"] for line in report.select(pattern) if "note" in line}
    return [f"- `{responder}`: {note}." for responder, note in found.items()] + [""] if found else []


def downloads(report):
    text = ["The paper's Table 1: a download of random data without and with TRAP. `first`: the client has to be redirected. `later`: it holds a "
            "redirect. The paper's machines and its virtual network were others; its figures are there for the order of magnitude.", ""]
    sizes = sorted({int(re.search(r"\d+", line["experiment"])[0]) for line in report.select(r"download-\d+mb")})
    for family in report.families(r"download-\d+mb"):
        rows = []
        for size in sizes:
            got = {responder: report.one(f"download-{size}mb", responder=responder, family=family, metric="download_time")
                   for responder in ("plain", "trap-first", "trap-later")}
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
    text = ["5 MB during a SYN flood with invented sources: the paper's (`hping3 -S -P -p 80 --rand-source -i u10`), and as hard as it goes. "
            "A download that does not end in time counts as its deadline. SYNs/s is what the victim's interface saw.", ""]
    rows = []
    for line in report.select(r"attack-(paper|flood)", metric="download_time"):
        success = report.one(line["experiment"], responder=line["responder"], family=line.get("family"), metric="success")
        rows.append((line["experiment"], line.get("family", ""), line["responder"], spread(line) + " ms",
                     number(success["value"] * 100) + "%" if success else "", number(line["rate"]) if "rate" in line else "", f"{number(line['paper'])} ms" if "paper" in line else ""))
    return text + table(("flood", "", "defence", "time", "complete", "SYNs/s", "paper"), rows) + notes(report, r"attack-(paper|flood)")


def rising(report, plots):
    text = ["Connections per second of flood, as the flood rises. The rate is what the victim's interface saw. A defence without a point at a rate was "
            "not active, or the generator was slower than asked; see below what was refused. A connection that is not answered in time counts as "
            "its deadline in the percentiles.", ""]
    for metric, unit, say, logarithmic in (("success", "share of connections", "Share of connections that succeed", "x"),
                                           ("connect_p50", "ms", "Median time of connect", "xy"),
                                           ("connect_p99", "ms", "99th percentile of the time of connect", "xy")):
        for family in report.families(r"attack-rise"):
            found = report.select(r"attack-rise", metric=metric, family=family)
            series = collections.defaultdict(list)
            for line in found:
                if line.get("rate", 0) > 0 and (line["value"] > 0 or metric == "success"):
                    series[line["responder"]].append((line["rate"], line["value"]))
            if series:
                text += [f"{say}, {family}:", ""]
                text += plots.draw(f"attack-rise-{metric}-{family}", lines_plot("SYNs per second", unit, logarithmic),
                                   [(name, sorted(rows)) for name, rows in series.items()], say)
    rows = []
    for line in sorted(report.select(r"attack-rise", metric="success"), key=lambda l: (l.get("family", ""), l["responder"], l.get("rate", 0))):
        at = {metric: next((other["value"] for other in report.select(r"attack-rise", metric=metric, responder=line["responder"],
                                                                       family=line.get("family")) if other.get("rate") == line.get("rate")), None)
              for metric in ("connect_p50", "connect_p99")}
        rows.append((line.get("family", ""), line["responder"], number(line.get("rate", 0)), number(line["value"] * 100) + "%",
                     *(number(value) if value is not None else "" for value in at.values())))
    return text + table(("", "defence", "SYNs/s", "succeed", "p50, ms", "p99, ms"), rows) + notes(report, r"attack-rise")


def connections(report):
    text = ["The paper's experiment: three rounds of 20 connections, from the request to the first byte of the answer, µs. "
            "The paper: 7683.6, 7820.3 and 7978.3 µs.", ""]
    for pattern, metrics in ((r"connection-time-paper", ("round_1", "round_2", "round_3")), (r"connection-time", ("p50", "p90", "p99"))):
        if pattern == r"connection-time":
            text += ["Many connections, µs:", ""]
        rows = []
        for family in report.families(pattern):
            for responder in dict.fromkeys(line["responder"] for line in report.select(pattern, family=family)):
                values = [report.one(pattern, responder=responder, family=family, metric=metric) for metric in metrics]
                rows.append((family, responder, *(number(one["value"]) if one else "" for one in values)))
        text += table(("", "defence", *(metric.replace("_", " ") for metric in metrics)), rows)
    return text + notes(report, r"connection-time")
