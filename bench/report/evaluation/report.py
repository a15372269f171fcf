# SPDX-License-Identifier: Apache-2.0
"""A report of trap-bench, and how its figures are written."""
import json
import math
import re


def number(value):
    if value == 0:
        return "0"
    digits = max(0, 3 - int(math.floor(math.log10(abs(value)))))
    return f"{value:,.{min(digits, 3)}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def spread(line):
    return f"{number(line['value'])} ({number(line['min'])} to {number(line['max'])})"


class Report:
    def __init__(self, text):
        self.json = json.loads(text)
        self.results = self.json["results"]
        self.runs = 1

    def with_part(self, part):
        """This report and that of other experiments on the same machine."""
        if part.json["machine"]["cpu"] != self.json["machine"]["cpu"] or part.json["kernel"] != self.json["kernel"]:
            raise ValueError("it is of another machine than the reports before it")
        for key in ("results", "targets", "skipped", "refused"):
            self.json[key] += part.json[key]
        self.runs += part.runs
        return self

    def select(self, pattern, **fields):
        return [line for line in self.results
                if re.fullmatch(pattern, line["experiment"]) and all(line.get(key) == value for key, value in fields.items())]

    def one(self, pattern, **fields):
        found = self.select(pattern, **fields)
        return found[0] if found else None

    def families(self, pattern):
        return sorted({line["family"] for line in self.select(pattern) if "family" in line})
