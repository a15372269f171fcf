# SPDX-License-Identifier: Apache-2.0
"""Sections about what a core and a fleet can do: closed loops, paths, growth, several servers."""
import math

from evaluation.plots import bars_plot, lines_plot
from evaluation.report import number, spread, table

# On paper: frames on the wire with preamble, gap and checksum, as a Linux SYN over IPv4 and as small as Ethernet has them.
WIRE_BYTES = {"Linux SYN, 74 bytes": 74 + 24, "smallest frame, 60 bytes": 60 + 24}
CORES_OF_A_HOST = 16
LINE_OF_A_HOST = 100e9
LOAD_OF_A_CORE = 0.7

LOOPS = (("closed-loop-syn", "SYN at the server", "Beside the kernel's own defences. xdp-tx and tc-tx send the SYN back unread."),
         ("closed-loop-ack-invalid", "ACK with a wrong cookie", ""),
         ("closed-loop-ack-valid", "ACK with a right cookie: budgets, backend, ticket, redirect",
          "No peer: with cookies or SYNPROXY such an ACK makes a connection, which is more than an answer. Announcements to the guard, "
          "which the daemon makes at a limited rate, are off."),
         ("closed-loop-syn-uninvited", "SYN at the guard, without invitation", "For the peers see SYN at the server."),
         ("closed-loop-syn-ticketed", "SYN at the guard, with a ticket",
          "The stack drops the frame right behind the program, because it is addressed to another card: xdp-pass is that alone."))


def capacity(report, plots):
    text = ["Closed loop on one core: generator, responder and sink share it, and its whole time counts. So figures are lower than what a card "
            "would deliver to the responder alone.", ""]
    for experiment, title, note in LOOPS:
        text += [f"### {title}", ""] + ([note, ""] if note else [])
        for family in report.families(experiment):
            found = sorted(report.select(experiment, family=family), key=lambda line: -line["value"])
            rows = [(line["responder"], f"{number(line['value'] / 1e6)} M/s", f"{number(line['min'] / 1e6)} to {number(line['max'] / 1e6)}",
                     f"{number(line.get('ns_per_packet', 1e9 / line['value']))} ns",
                     f"{number(line['ratio_to_floor'])} x {line['floor']}" if "ratio_to_floor" in line else "") for line in found]
            text += [f"{family}:", ""] + table(("", "packets per second", "of all runs, M/s", "per packet", ""), rows)
            bars = [(f'"{line["responder"]}"', line["value"] / 1e6, number(line["value"] / 1e6)) for line in found]
            text += plots.draw(f"{experiment}-{family}", bars_plot("million packets per second and core"), [("", bars)], f"{title}, {family}")
    return text


def paths(report):
    text = ["Nanoseconds a packet of one path, by BPF_PROG_TEST_RUN with everything in the cache: a lower bound.", ""]
    rows = []
    for line in report.select(r"(server|guard|client)-.*", metric="time_per_packet", responder="trap"):
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
            text += [f"{family}:", ""] + plots.draw(f"growth-{family}", lines_plot("members", "ns per packet", "xy"), series, f"Growth, {family}")
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
        time = report.one(r"fleet", responder=line["responder"], family=line.get("family"), metric="connection_time")
        rows.append((line["responder"], line.get("family", ""), line.get("connections", ""), number(line["value"]), f"{spread(time)}" if time else ""))
    return text + table(("", "", "connections", "failed", "ms each"), rows) + on_paper(report)


def on_paper(report):
    text = ["### On paper", "",
            f"From the figures above: a core answers what `trap-reset` and `trap-serve` answer in the closed loop, at {LOAD_OF_A_CORE:.0%} load; cores add up, "
            f"because a SYN touches nothing that cores share but counters of caps; a host has {CORES_OF_A_HOST} cores and a line of {LINE_OF_A_HOST / 1e9:.0f} Gbit/s. "
            "It is arithmetic, not a measurement. SYNs arrive as frames of 74 bytes, or as small as Ethernet allows, with 24 bytes between frames.", ""]
    rows = []
    for responder in ("trap-reset", "trap-serve"):
        line = report.one(r"closed-loop-syn", responder=responder, family="ipv4")
        if not line:
            text += [f"The closed loop's figure for {responder} is missing: nothing to compute from.", ""]
            continue
        loads = [(f"{mpps} Mpps", mpps * 1e6, wire) for mpps in (1, 10, 100) for wire in ["Linux SYN, 74 bytes"]]
        loads += [(f"1 Tbit/s, {wire}", 1e12 / 8 / size, wire) for wire, size in WIRE_BYTES.items()]
        for name, pps, wire in loads:
            cores = math.ceil(pps / (line["value"] * LOAD_OF_A_CORE))
            lines = math.ceil(pps * WIRE_BYTES[wire] * 8 / LINE_OF_A_HOST)
            hosts = max(math.ceil(cores / CORES_OF_A_HOST), lines)
            rows.append((responder, name, f"{pps / 1e6:,.0f}", f"{cores:,}", f"{hosts:,}",
                         "" if hosts == 1 else "lines" if lines == hosts else "cores"))
    return text + table(("", "flood", "Mpps", "cores", "hosts", "bound by"), rows)
