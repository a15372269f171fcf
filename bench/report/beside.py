# SPDX-License-Identifier: Apache-2.0
"""beside.py REPORT ANSWERS SILENT: whether a program that answers SYNs has figures beside TRAP for
both families, and one that is silent was skipped with the reason."""
import json
import sys


def main():
    path, answers, silent = sys.argv[1:]
    report = json.load(open(path, encoding="utf-8"))
    faults = []
    for family in ("ipv4", "ipv6"):
        lines = [line for line in report["results"] if line["experiment"] == "closed-loop-syn" and line["family"] == family]
        ours = [line for line in lines if line["responder"] == answers]
        if len(ours) != 1 or ours[0]["value"] <= 0 or ours[0].get("floor") != "xdp-tx":
            faults.append(f"{family}: {answers} has no figure over xdp-tx")
        if any(line["responder"] == silent for line in lines):
            faults.append(f"{family}: {silent} has a figure")
        if not any(silent in one["what"] and family in one["what"] and "answers" in one["why"] for one in report["skipped"]):
            faults.append(f"{family}: nothing says why {silent} was skipped")
    print("\n".join(faults) or f"{answers} has figures, {silent} has none")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
