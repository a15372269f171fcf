# SPDX-License-Identifier: Apache-2.0
"""demo_report.py REPORT: whether a report of the demo is whole, and its last sentence honest. Times
and rates are as the machine had them: this checks none of them."""
import json
import sys

STEPS = 14  # downloads calm and flooded, twice in each family, and a stranger in each
PROVES_NOTHING = "The demo proves nothing"  # where only one side has figures that count
DEFENCES = ["no-defence", "kernel-cookies", "nft-synproxy", "trap-serve", "trap-redirect-new", "trap-redirect-known"]


def faults_of(defence, summary):
    name = defence["name"]
    if defence["doubt"] and defence["doubt"] not in summary:
        yield f"{name}: the sentence does not say that its figures prove nothing: {defence['doubt']}"
    if "share_served" not in defence:
        if name != "nft-synproxy":
            yield f"{name}: it was not tried: {defence['doubt']}"
        return
    if not 0 <= defence["share_served"] <= 1 or not 0 <= defence["victim_busy"] <= 1:
        yield f"{name}: a share is not one"
    if defence["calls"] < 100:
        yield f"{name}: only {defence['calls']} calls"
    for times in ("connect_ms", "first_byte_ms"):
        if not 0 < defence[times]["p50"] <= defence[times]["p99"]:
            yield f"{name}: {times} is out of order"
    if defence["connect_ms"]["p50"] > defence["first_byte_ms"]["p50"]:
        yield f"{name}: the first byte came before the connection"
    if not defence["doubt"] and defence["title"] not in summary and not summary.startswith(PROVES_NOTHING):
        yield f"{name}: the sentence leaves it out"


def main():
    report = json.load(open(sys.argv[1], encoding="utf-8"))
    flood, summary, faults = report["heavy_flood"], report["summary"], []
    if len(report["steps"]) != STEPS or not all(step["ok"] for step in report["steps"]):
        faults.append("steps are missing or not ok")
    names = [defence["name"] for defence in flood["defences"]]
    if flood["cpus"] == 1:
        if names or "one CPU" not in summary:
            faults.append("it concludes with one CPU")
    elif names != DEFENCES:
        faults.append(f"the defences are {names}")
    for defence in flood["defences"]:
        faults.extend(faults_of(defence, summary))
    if not report["downloads"].startswith("Under "):
        faults.append("no sentence about the downloads")
    print("\n".join(faults) or f"{len(report['steps'])} steps, {len(names)} defences: {summary}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
