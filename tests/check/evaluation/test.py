#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/report/evaluate.py over a small report: every section is there, and what a report lacks is named."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
EVALUATE = HERE.parents[2] / "bench" / "report" / "evaluate.py"
SECTIONS = ["Machine and method", "Targets", "Downloads", "Under attack", "A rising attack", "Time of a connection", "Capacity of a core",
            "Cost of each path", "Growth", "Fleet", "Clients, memory, reloads", "Where TRAP is worse", "What is not here"]
NAMES = {"downloads of the paper's Table 1": "download-", "a flood that rises": "attack-rise", "growth: clients": "growth-clients", "fleet": "fleet",
         "closed loop, valid ACK": "closed-loop-ack-valid", "closed loop, SYN": "closed-loop-syn"}


def evaluate(report, directory, *more):
    source = pathlib.Path(directory) / "report.json"
    source.write_text(report)
    return subprocess.run([sys.executable, "-B", str(EVALUATE), str(source), *more], capture_output=True, text=True, check=False)


class Evaluation(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.report = json.loads((HERE / "report.json").read_text())

    def document(self, *more):
        done = evaluate(json.dumps(self.report), self.directory.name, *(more or ["--no-plots"]))
        self.assertEqual(done.returncode, 0, done.stderr)
        return (pathlib.Path(self.directory.name) / "evaluation.md").read_text()

    def absences(self):
        return self.document().split("Missing from this report:")[1]

    def test_every_section_has_content(self):
        parts = self.document().split("\n## ")
        self.assertEqual([part.splitlines()[0] for part in parts[1:]], SECTIONS)
        for part in parts[1:]:
            self.assertGreater(len(part.splitlines()), 4, part)

    def test_whole_report_lacks_nothing(self):
        self.assertEqual(self.absences().strip(), "- nothing")

    def test_parts_make_the_document_of_the_whole(self):
        whole = self.document()
        part = pathlib.Path(self.directory.name) / "part.json"
        part.write_text(json.dumps({**self.report, "results": self.report["results"][20:], "targets": [], "skipped": [], "refused": []}))
        self.report["results"] = self.report["results"][:20]
        text = self.document(str(part), "--no-plots")
        self.assertIn("from 2 runs of trap-bench, each of some", text)
        self.assertEqual(text.split("\n## ")[1:], whole.split("\n## ")[1:])

    def test_part_of_another_machine_is_refused(self):
        part = pathlib.Path(self.directory.name) / "part.json"
        part.write_text(json.dumps({**self.report, "kernel": "5.10"}))
        done = evaluate(json.dumps(self.report), self.directory.name, str(part), "--no-plots")
        self.assertEqual(done.returncode, 1)
        self.assertIn("part.json is no report of trap-bench: it is of another machine", done.stderr)

    def test_missing_experiment_is_named(self):
        for what, name in NAMES.items():
            whole = self.report["results"]
            self.report["results"] = [line for line in whole if not line["experiment"].startswith(name)]
            self.assertIn(f"- {what}\n", self.absences())
            self.report["results"] = whole

    def test_empty_report_is_a_document(self):
        self.report["results"] = []
        self.assertGreater(self.absences().count("\n- "), 20)

    def test_skipped_and_refused_say_why(self):
        text = self.document()
        self.assertIn("- nft-synproxy: it is not there", text)
        self.assertIn("- memory: too few answers", text)

    def test_worse_is_told(self):
        text = self.document().split("## Where TRAP is worse")[1].split("\n## ")[0]
        self.assertIn("trap-first: 180", text)
        self.assertNotIn("xdp-tx:", text)
        self.assertNotIn("no-defence", text)

    def test_a_rising_flood_tells_where_each_defence_collapses(self):
        text = self.document().split("## A rising attack")[1].split("\n## ")[0]
        self.assertIn("| ipv4 | trap-serve | 500,000 | not up to 3,000,000 |", text)
        self.assertIn("| ipv6 | kernel-cookies | 100,000 | 500,000 |", text)
        self.assertIn("| ipv4 | no-defence | at none | 100,000 |", text)

    def test_missed_targets_come_first(self):
        text = self.document()
        self.assertIn("1 of 2 targets are met", text)
        self.assertLess(text.index("a missed target"), text.index("a met target"))

    def test_paper_computation(self):
        # 7e6 a core at 70%: 100 Mpps need 20.4 cores.
        self.assertIn("| trap-reset | 100 Mpps | 100 | 21 | 2 | cores |", self.document())

    def test_plots_are_drawn_or_named_as_missing(self):
        self.assertIn("none were asked for", self.document())
        text = self.document("--output", self.directory.name)
        drawn = sorted(path.name for path in pathlib.Path(self.directory.name).glob("*.svg"))
        if not drawn:
            self.assertIn("gnuplot is not installed", text)
        for name in ("attack-rise-success-ipv4.svg", "growth-ipv4.svg", "closed-loop-syn-ipv4.svg") if drawn else ():
            self.assertIn(name, drawn)
            self.assertIn(f"({name})", text)

    def test_no_report(self):
        done = evaluate("{}", self.directory.name)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1)
        self.assertIn("make bench", done.stderr)


if __name__ == "__main__":
    unittest.main()
