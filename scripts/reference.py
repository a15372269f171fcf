#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""reference.py [--check] --build DIR: writes docs/reference/ from the code and the programs, or compares it with them."""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLUMNS = 100
DESCRIPTION = 30  # the column of descriptions in the help
PARTS = ("server", "guard", "client")
WALK = "docs/packet-walk.md"
BEGIN, END = "<!-- verdicts, by `make reference` -->\n", "<!-- end of verdicts -->\n"
NOTE = "<!-- Written by scripts/reference.py: `make reference`. Do not edit. -->\n"
STRING = r'"((?:[^"\\]|\\.)*)"'


def table(head, rows):
    def line(cells):
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)]) + "\n"


def joined(text):
    """Adjacent C strings as one, unescaped."""
    return "".join(re.findall(STRING, text)).replace('\\"', '"')


def words_of_parts(parts):
    names = {"ANY": PARTS, "SERVER": ("server",), "GUARD": ("guard",), "CLIENT": ("client",)}
    chosen = names["ANY"] if parts == "ANY" else [n for word in parts.split("_") for n in names[word]]
    return ", ".join(part for part in PARTS if part in chosen)


def verdicts(_):
    header = (ROOT / "dataplane/verdict.h").read_text().replace("\\\n", "\n")
    entry = re.compile(rf"X\((\w+), (PASS|DROP|REPLY|CONSUME), (\w+), \w+, {STRING},\s*((?:{STRING}\s*)+)\)")
    rows = [(f"`{name}`", action.lower(), words_of_parts(parts), joined(text))
            for _, action, parts, name, text, *_ in entry.findall(header)]
    page = (ROOT / WALK).read_text()
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        sys.exit(f"{WALK}: the lines around the table of verdicts are not there: {BEGIN.strip()}, {END.strip()}")
    return before + BEGIN + "\n" + table(("verdict", "action", "given by", "meaning"), sorted(rows)) + "\n" + END + after


def wrapped(text):
    """Help at 100 columns; what follows an option's name hangs where the descriptions stand."""
    return "\n".join("\n".join(textwrap.wrap(line, COLUMNS, subsequent_indent=" " * DESCRIPTION if line.startswith("  ") else "",
                                            break_on_hyphens=False)) if len(line) > COLUMNS else line for line in text.split("\n"))


# CLI11 writes the default behind an option's type: "TEXT=-" until 2.3 (Debian 12), "TEXT [-] " since.
NEWER_DEFAULT = re.compile(r"^(  -[^\[\n]*?(?: in \[[^\]\n]*\])?)(?<! in) \[([^\]\n]*)\] ?(\n| *)", re.M)


def as_of_older(found):
    option, default, gap = found.groups()
    written = f"{option}={default}"
    return written + (gap if gap == "\n" else " " * (DESCRIPTION - len(written)))


def commands_below(program, words=()):
    run = subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True)
    yield words, wrapped(re.sub(r"\n+Exit codes: .*", "", NEWER_DEFAULT.sub(as_of_older, run.stdout)).rstrip())
    listed = run.stdout.partition("Subcommands:\n")[2].partition("\n\n")[0]
    for name in re.findall(r"^  ([\w-]+) ", listed, re.M):
        yield from commands_below(program, (*words, name))


def commands(build):
    page = f"""# Commands

{NOTE}
The help of every program and subcommand. The manual pages say more: trapctl(1), trap-server(8),
trap-guard(8), trap-client(8). The README has the [exit codes](../../README.md#exit-codes).
"""
    for name in ("trapctl", *(f"trap-{part}" for part in PARTS)):
        for words, text in commands_below(build / "bin" / name):
            page += f"\n{'###' if words else '##'} {' '.join((name, *words))}\n\n```text\n{text}\n```\n"
    return page


def keys(build):
    page = f"""# Configuration keys

{NOTE}
Each part reads one TOML file, `/etc/trap/PART.toml`. An unknown key or a wrong type is an error
with file and line. The last column says how a change takes effect: by `reload` or by `restart`,
neither of which loses a packet, or by `detach` (`trap-PART --detach`, then a start). The programs
print these lists: `trap-server --list-keys`. The manual pages say more: trap-server.toml(5),
trap-guard.toml(5), trap-client.toml(5).
"""
    for part in PARTS:
        run = subprocess.run([build / "bin" / f"trap-{part}", "--list-keys", "--json"], capture_output=True, text=True, check=True)
        rows = []
        for key in json.loads(run.stdout):
            default = "required" if key["required"] else (key["default"] or "none")
            if not key["required"] and key["default"] and not key["default_is_words"]:
                default = f"`{default}`"
            rows.append((f"`{key['key']}`", key["type"], key["accepted"], default, key["meaning"], key["applied_by"]))
        page += f"\n## {part}.toml\n\n" + table(("key", "type", "accepted", "default", "meaning", "applied by"), rows)
    return page


STRINGS = rf"((?:{STRING}\s*)+)"
CONSTANT = re.compile(rf"constexpr (?:char|const char\*|std::string_view) (\w+)(?:\[\])?\s*=\s*{STRINGS};")
METRIC = re.compile(rf'(gauge|counter)\(\s*"((?:trap|process)_\w+)",\s*(?:{STRINGS}|(\w+))')
FUNCTION = re.compile(r"^(?:\w[\w:<>&* ]*) (?:\w+::)?(\w+)\(", re.M)


def functions_of(text):
    """Name and body of each function at the outermost level."""
    starts = list(FUNCTION.finditer(text))
    for here, following in zip(starts, [*starts[1:], None]):
        yield here.group(1), text[here.start():following.start() if following else len(text)]


def metrics_by_part():
    """name -> (kind, help, parts). A metric is a part's if a function that makes it is called, maybe through others, by that part."""
    made, found = {}, {}
    for folder in ("runtime", *(f"{part}/daemon" for part in PARTS)):
        for path in sorted((ROOT / folder).rglob("*.cpp")):
            text = path.read_text()
            constants = {name: joined(says) for name, says, *_ in CONSTANT.findall(text)}
            for function, body in functions_of(text):
                for kind, name, says, _, constant in METRIC.findall(body):
                    found.setdefault(name, [kind, joined(says) or constants.get(constant, ""), set()])
                    made.setdefault((folder.split("/")[0], function), (set(), set()))[0].add(name)
                made.setdefault((folder.split("/")[0], function), (set(), set()))[1].update(re.findall(r"\b(\w+)\(", body))

    def gather(owner, function, seen):
        for place in (owner, "runtime"):
            if (place, function) in made and (place, function) not in seen:
                seen.add((place, function))
                names, calls = made[place, function]
                for name in names:
                    found[name][2].add(owner)
                for call in calls:
                    gather(owner, call, seen)

    for part in PARTS:
        seen = set()
        for owner, function in list(made):
            if owner == part or function == "measure_daemon":
                gather(part, function, seen)
        gather(part, "metrics", seen)
    return found


def metrics(_):
    rows = [(f"`{name}`", kind, ", ".join(p for p in PARTS if p in parts), says) for name, (kind, says, parts) in sorted(metrics_by_part().items())]
    return f"""# Metrics

{NOTE}
`GET /metrics` on the control socket, or at `metrics_listen`, answers in Prometheus' text format, or
in OpenMetrics 1.0 if the request accepts that. The label `part` is on every metric. Metrics of a
service have `service` and `address`, those of a backend `backend`, and those of an interface
`interface`. `trap_packets_total` has `verdict` and `action`
([Verdicts](../packet-walk.md#6-all-verdicts)). Counters of events have `result`.

`/usr/local/share/trap` has alert rules and a Grafana dashboard for them.

""" + table(("metric", "kind", "given by", "meaning"), rows)


CELLS_BEGIN, CELLS_END = "<!-- the matrix, by `make reference` -->\n", "<!-- end of the matrix -->\n"
COMPATIBILITY = "docs/compatibility.md"


def compatibility(build):
    """The cells of the equality matrix, which its scenarios try: a cell that has another outcome fails there."""
    run = subprocess.run([build / "bin/trap-lab", "cells"], capture_output=True, text=True, check=True)
    rows = []
    for cell in json.loads(run.stdout):
        colon = ": " if cell["outcome"] != "equal" else ", but "
        result = cell["outcome"] + (colon + cell["remark"] if cell["remark"] else "")
        rows.append((f"{cell['axis']}: {cell['name']}", result, "`lab.equality`" if cell["quick"] else "`lab.equality-all`"))
    page = (ROOT / COMPATIBILITY).read_text()
    before, found, rest = page.partition(CELLS_BEGIN)
    _, ended, after = rest.partition(CELLS_END)
    if not found or not ended:
        sys.exit(f"{COMPATIBILITY}: the lines around the matrix are not there: {CELLS_BEGIN.strip()}, {CELLS_END.strip()}")
    return before + CELLS_BEGIN + "\n" + table(("set-up", "result", "shown by"), rows) + "\n" + CELLS_END + after


# Page -> what writes it, and how many entries it has at least.
PAGES = {
    "docs/reference/keys.md": (keys, 60),
    "docs/reference/commands.md": (commands, 20),
    "docs/reference/metrics.md": (metrics, 25),
    WALK: (verdicts, 70),
    COMPATIBILITY: (compatibility, 2),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; say which pages differ")
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the build directory, for the programs")
    args = parser.parse_args()
    wrong = []
    for name, (write, least) in PAGES.items():
        page, path = write(args.build), ROOT / name
        found = len(re.findall(r"^(?:\| `|###? )", page, re.M))
        if found < least:
            wrong.append(f"{name}: only {found} entries: the code is not as scripts/reference.py expects it")
        elif args.check and (not path.exists() or path.read_text() != page):
            wrong.append(f"{name}: is not what the code says; run: make reference")
        elif not args.check:
            path.write_text(page)
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
