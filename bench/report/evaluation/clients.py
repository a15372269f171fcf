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


# A defence holds from the first share of served connections on, and has collapsed below the second.
HOLDS, COLLAPSED = 0.95, 0.5


def steps(report, family, responder):
    """The steps of a rising flood at a defence: lines of success, by rate."""
    return sorted(report.select(r"attack-rise", metric="success", family=family, responder=responder), key=lambda line: line.get("asked", line["rate"]))


def collapses(report):
    """A row for each defence: the highest rate at which it held, and the lowest at which it had collapsed."""
    rows = []
    for family in report.families(r"attack-rise"):
        for responder in dict.fromkeys(line["responder"] for line in report.select(r"attack-rise", metric="success", family=family)):
            found = steps(report, family, responder)
            held = [line["rate"] for line in found if line["value"] >= HOLDS]
            fallen = [line["rate"] for line in found if line["value"] < COLLAPSED]
            rows.append((family, responder, number(max(held)) if held else "at none", number(min(fallen)) if fallen else f"not up to {number(found[-1]['rate'])}"))
    return rows


def rising(report, plots):
    text = ["New connections and requests while a flood of SYNs rises. The flood has a CPU of its own. The victim's receive path (threaded NAPI, woken every "
            "25 us at most, as a card with interrupt moderation does), the defence and nginx have another; with two CPUs the clients share it. "
            "Answers to the flood end where a card would send them. SYNs/s is what was sent. A connection is served if the first byte of nginx's "
            "response comes in time; one that is not counts as its deadline in the percentiles. Requests are those of 16 connections that "
            "stay open, and are left out where the victim's CPU was not their limit. A step that lost connections while the victim's CPU had time left proves nothing and is "
            "refused. A flood that two steps in a row left without a served connection does not rise further.", "",
            "`trap-new`: a client whose every connection is redirected first; the TRAP server is flooded. `trap-known`: a client that has a redirect. "
            "`trap-guard-flooded`: the same while the service's own address is flooded. The TRAP server is on the service's CPU.", ""]
    text += ["Where each defence collapses:", ""]
    text += table(("", "defence", "serves 95 % up to, SYNs/s", "serves less than half from, SYNs/s"), collapses(report))
    for metric, unit, say, logarithmic in (("success", "share of connections", "Share of connections that are served", "x"),
                                           ("connect_p50", "ms", "Median time of connect", "xy"),
                                           ("requests", "1/s", "Requests per second that nginx answers", "x")):
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
    for family in report.families(r"attack-rise"):
        for responder in dict.fromkeys(line["responder"] for line in report.select(r"attack-rise", metric="success", family=family)):
            for line in steps(report, family, responder):
                at = {other["metric"]: other for other in report.select(r"attack-rise", responder=responder, family=family) if other["rate"] == line["rate"]}
                shown = [spread(at[metric]) if metric in at else "" for metric in ("connect_p50", "connect_p99", "first_byte_p50", "first_byte_p99", "requests")]
                rows.append((family, responder, number(line["rate"]), percent(line), *shown, percent(at["victim_busy"]) if "victim_busy" in at else ""))
    return text + table(("", "defence", "SYNs/s", "served", "connect p50, ms", "connect p99, ms", "first byte p50, ms", "first byte p99, ms", "requests/s", "victim's CPU busy"),
                        rows) + peers() + notes(report, r"attack-rise")


# Other projects' XDP programs are not shipped, so `make bench` cannot repeat this.
PEERS_WHEN = "November 2026"
PEERS = (("0.1", "100%, 76k", "100%, 61k", "100%, 76k"), ("0.3", "100%, 51k", "100%, 81k", "100%, 79k"),
         ("0.5", "100%, 52k", "100%, 64k", "100%, 92k"), ("1", "100%, 23k", "100%, 20k", "100%, 57k"),
         ("2", "2%", "81%, 11k", "100%, 33k"), ("3", "0%", "0%", "91%, 29k"), ("4", "0%", "0%", "100% (2.1 arrived)"))


def peers():
    return [f"Beside XDP programs of others, measured by us in {PEERS_WHEN} in a set-up of the same kind: served share of connections, and requests per "
            "second. One run a cell, on a noisy machine, IPv4. [How to put a program beside TRAP](howto/beside.md) tells how to measure one "
            "in the closed loop.", ""] + table(("M SYNs/s", "the kernel's xdp_synproxy", "xdpcookie", "trap-serve"), PEERS)


def percent(line):
    return "{}% ({} to {})".format(*(number(line[key] * 100) for key in ("value", "min", "max")))


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
