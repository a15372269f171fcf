#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does the Grafana dashboard keep to the conventions of dashboards? dashboard.py --root DIR. Variables for data source, job and instance; a
title, a description and a unit for each panel; queries by job and instance, rates over the rate interval and of counters alone; legends that
their query's labels can fill; no two panels in one place. Prints what does not, panel by panel."""

import argparse
import json
import pathlib
import re
import sys

VARIABLES = ("datasource", "job", "instance", "service")  # in this order: each narrows the next
SELECTOR = re.compile(r"\b(trap_[a-z0-9_]+)(\{[^}]*\})?(\[[^\]]*\])?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def panels_of(node):
    for panel in node.get("panels", []):
        yield panel
        yield from panels_of(panel)


def variable_faults(dashboard):
    variables = dashboard["templating"]["list"]
    if tuple(variable["name"] for variable in variables) != VARIABLES:
        yield f"variables are {[variable['name'] for variable in variables]}, not {list(VARIABLES)}"
    for variable in variables:
        name = variable["name"]
        if not variable.get("label"):
            yield f"variable {name}: no label"
        if variable["type"] != "query" or name not in VARIABLES:
            continue
        if variable.get("refresh") != 2:
            yield f"variable {name}: it does not follow the time range (refresh 2)"
        if not variable.get("multi") or not variable.get("includeAll"):
            yield f"variable {name}: more than one, or all, cannot be chosen"
        for before in VARIABLES[1:VARIABLES.index(name)]:
            if f'{before}=~"${before}"' not in variable["definition"]:
                yield f"variable {name}: it is not narrowed by {before}"
        if variable["query"]["query"] != variable["definition"]:
            yield f"variable {name}: query and definition differ"


def selector_faults(expression):
    for name, labels, window in SELECTOR.findall(expression):
        for wanted in ('job=~"$job"', 'instance=~"$instance"'):
            if wanted not in labels:
                yield f"{name} is not asked for by {wanted}"
        if name.endswith("_total"):
            if window != "[$__rate_interval]" or not re.search(rf"\brate\({name}", expression):
                yield f"{name} is a counter: ask for its rate over $__rate_interval"
        elif window:
            yield f"{name} is a gauge: it has no rate"


def legend_faults(target):
    grouped = GROUPED.search(target["expr"])
    if not grouped:
        return
    labels = {label.strip() for label in grouped[1].split(",")}
    for used in re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat", "")):
        if used not in labels:
            yield f"the legend uses {used}, which the query sums away"


def panel_faults(panel):
    if panel["type"] == "row":
        return
    if not panel.get("description"):
        yield "no description"
    if panel["fieldConfig"]["defaults"].get("unit") in (None, "", "none"):
        yield "no unit"
    if panel.get("datasource") != SOURCE:
        yield "its data source is not the variable"
    if not panel.get("targets"):
        yield "no query"
    for target in panel.get("targets", []):
        yield from selector_faults(target["expr"])
        yield from legend_faults(target)
        if not target.get("legendFormat"):
            yield "a query without a legend"


def place_faults(panels):
    seen = {}
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield f"{panel['title']}: it is wider than the page"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if (x, y) in seen and seen[x, y] != panel["id"]:
                    yield f"{panel['title']}: another panel is in its place"
                    return
                seen[x, y] = panel["id"]


def faults_of(dashboard):
    yield from variable_faults(dashboard)
    panels = list(panels_of(dashboard))
    if len({panel["id"] for panel in panels}) != len(panels):
        yield "two panels have one id"
    for panel in panels:
        if not panel.get("title"):
            yield f"panel {panel['id']}: no title"
        for fault in panel_faults(panel):
            yield f"{panel['title']}: {fault}"
    yield from place_faults(panels)


def breakages():
    """Ways to break a sound dashboard, each of which must be found."""
    def first(dashboard, title):
        return next(panel for panel in panels_of(dashboard) if panel["title"] == title)

    def rename(dashboard):
        dashboard["templating"]["list"][1]["name"] = "task"

    def describe(dashboard):
        del first(dashboard, "SYNs")["description"]

    def unit(dashboard):
        first(dashboard, "SYNs")["fieldConfig"]["defaults"]["unit"] = "none"

    def select(dashboard):
        target = first(dashboard, "SYNs")["targets"][0]
        target["expr"] = target["expr"].replace('job=~"$job",', "")

    def window(dashboard):
        target = first(dashboard, "SYNs")["targets"][0]
        target["expr"] = target["expr"].replace("$__rate_interval", "5m")

    def legend(dashboard):
        first(dashboard, "SYNs")["targets"][0]["legendFormat"] = "{{verdict}}"

    def place(dashboard):
        first(dashboard, "SYNs")["gridPos"] = dict(first(dashboard, "SYN-ACKs")["gridPos"])

    return (rename, describe, unit, select, window, legend, place)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path, required=True)
    file = parser.parse_args().root / "packaging/grafana/trap.json"
    faults = list(faults_of(json.loads(file.read_text())))
    for breakage in breakages():
        broken = json.loads(file.read_text())
        breakage(broken)
        if len(list(faults_of(broken))) <= len(faults):
            faults.append(f"this check does not find the breakage \"{breakage.__name__}\"")
    for fault in faults:
        print(f"{file}: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
