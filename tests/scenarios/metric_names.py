#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""metric_names.py --root DIR [SCRAPE...]: does every metric and verdict that dashboard and alert rules ask for exist? A metric exists if a
scrape has it or, without one, if the code makes it. Prints what does not, and from where it is asked for."""

import argparse
import json
import pathlib
import re
import sys

MADE = re.compile(r'(?:gauge|counter)\(\s*"(trap_[a-z0-9_]+)"')
SCRAPED = re.compile(r"^# TYPE (trap_[a-z0-9_]+) (?:gauge|counter)$", re.M)
ASKED = re.compile(r"(?<!labels\.)\btrap_[a-z0-9_]+\b")  # not a label in an annotation
VERDICTS = re.compile(r'\bverdict=~?"([^"]+)"')
NAMED_IN_TABLE = re.compile(r'X\(\w+, [A-Z]+, \w+, \w+,\s*\\?\s*"([a-z-]+)"')


def made_by_code(root):
    files = [f for folder in ("runtime", "server/daemon", "guard/daemon", "client/daemon") for f in (root / folder).rglob("*.cpp")]
    return {name for f in files for name in MADE.findall(f.read_text())}


def expressions_of_dashboard(node):
    """Every query of a dashboard, wherever it stands: of panels, variables and annotations."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query", "definition") and isinstance(value, str):
                yield value
            else:
                yield from expressions_of_dashboard(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions_of_dashboard(value)


def asked_for(root):
    dashboard = root / "packaging/grafana/trap.json"
    rules = root / "packaging/prometheus/trap-rules.yml"
    for expression in expressions_of_dashboard(json.loads(dashboard.read_text())):
        yield dashboard.name, expression
    for line in rules.read_text().splitlines():
        if not line.lstrip().startswith("#"):
            yield rules.name, line


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("scrapes", type=pathlib.Path, nargs="*")
    args = parser.parse_args()
    known = {name for s in args.scrapes for name in SCRAPED.findall(s.read_text())} if args.scrapes else made_by_code(args.root)
    verdicts = set(NAMED_IN_TABLE.findall((args.root / "dataplane/verdict.h").read_text()))
    wrong = set()
    asked = 0
    for where, expression in asked_for(args.root):
        for name in ASKED.findall(expression):
            asked += 1
            if name not in known:
                wrong.add(f"{where}: no part has a metric {name}")
        for alternatives in VERDICTS.findall(expression):
            wrong.update(f"{where}: there is no verdict {v}" for v in alternatives.split("|") if v not in verdicts)
    if asked < 20:
        wrong.add(f"only {asked} metrics are asked for: dashboard or rules are not what this check expects")
    print("\n".join(sorted(wrong)), end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
