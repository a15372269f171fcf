#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds another version of TRAP beside this one and times the paths of both in turns: a machine that
is busy for some seconds hits both alike. Fails if a path of this version is slower.

usage: compare.py [--with COMMIT] [--rounds N] [--only NAME] [--allow SHARE]    as root
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACE = ROOT / "build" / "compare"
# Parts of names that take in every path and no experiment with hosts, which take minutes each.
PARTS = ("server-", "guard-syn", "guard-flow", "guard-no-flow", "guard-other-port", "client-egress", "client-ingress")


def run(command, **more):
    done = subprocess.run(command, check=False, text=True, capture_output=True, **more)
    if done.returncode != 0:
        sys.exit(f"compare.py: {' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def built(source, build):
    """trap-bench of a source tree."""
    run(["cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"])
    run(["cmake", "--build", build, "--target", "trap-bench"])
    return build / "bin" / "trap-bench"


def commit_of_0_4_0():
    found = run(["git", "-C", ROOT, "log", "--grep=^version 0.4.0$", "--format=%H", "-1"]).strip()
    return found or sys.exit("compare.py: this clone has no commit of version 0.4.0: name another by --with")


def checked_out(commit):
    tree = PLACE / "source"
    if tree.exists():
        run(["git", "-C", tree, "checkout", "--detach", "--quiet", commit])
    else:
        run(["git", "-C", ROOT, "worktree", "add", "--detach", tree, commit])
    return tree


def times(bench, part, output):
    """Nanoseconds by path and family, with the floor in them. A path that one version refuses has none."""
    report_file = pathlib.Path(output)
    report_file.unlink(missing_ok=True)
    done = subprocess.run([bench, "--only", part, "--output", output], check=False, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if not report_file.exists():  # a target that is missed, by either version, is no failure here
        sys.exit(f"compare.py: {bench} --only {part} wrote no report: {done.stderr.strip()[-2000:]}")
    report = json.loads(report_file.read_text(encoding="utf-8"))
    return {(line["experiment"], line["family"]): line["value"] for line in report["results"]
            if line["metric"] == "time_per_packet" and line.get("responder", line.get("contender")) == "trap" and "size" not in line}


def compare(old, new, rounds, only):
    """For each path that both have: the ratio new/old of every round."""
    ratios = {}
    for number in range(rounds):
        for part in PARTS:
            if only not in part and part not in only:
                continue
            found = {}
            order = [("old", old), ("new", new)]
            for name, bench in order if number % 2 == 0 else reversed(order):
                found[name] = times(bench, only if part in only else part, str(PLACE / f"{name}.json"))
            for path in found["old"].keys() & found["new"].keys():
                ratios.setdefault(path, []).append((found["new"][path] / found["old"][path], found["old"][path], found["new"][path]))
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--with", dest="commit", help="default: version 0.4.0")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="part of a path's name, beginning with server-, guard- or client-")
    parser.add_argument("--allow", type=float, default=0.05, help="share by which a path may be slower; default: 0.05")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("compare.py: it loads BPF programs, which needs root: run it as root")
    if arguments.commit and subprocess.run(["git", "-C", ROOT, "rev-parse", "--verify", "--quiet", f"{arguments.commit}^{{commit}}"],
                                           check=False, stdout=subprocess.DEVNULL).returncode != 0:
        parser.error(f"--with {arguments.commit}: this repository has no such commit: git log --oneline lists them")
    PLACE.mkdir(parents=True, exist_ok=True)
    earlier = checked_out(arguments.commit or commit_of_0_4_0())
    run([earlier / "scripts" / "setup.sh"])  # it may need packages that this version does not
    new = built(ROOT, PLACE / "new")
    old = built(earlier, PLACE / "old")
    slower = []
    print(f"{'path':<34} {'':<5} {'old, ns':>9} {'new, ns':>9} {'new/old':>8}   least to greatest of {arguments.rounds} rounds")
    for path, found in sorted(compare(old, new, arguments.rounds, arguments.only).items()):
        ratios = [one[0] for one in found]
        middle = statistics.median(ratios)
        print(f"{path[0]:<34} {path[1]:<5} {statistics.median(one[1] for one in found):9.1f} {statistics.median(one[2] for one in found):9.1f} "
              f"{middle:8.3f}   {min(ratios):.3f} to {max(ratios):.3f}")
        if middle > 1 + arguments.allow:
            slower.append(f"{path[0]}, {path[1]}: {middle:.3f} x")
    if slower:
        sys.exit("compare.py: slower than before: " + "; ".join(slower))


if __name__ == "__main__":
    main()
