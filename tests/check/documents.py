#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the documents name what is there? documents.py NAME --root DIR. Prints file:line: what is wrong."""

import argparse
import pathlib
import re
import sys

from check import sources

PARTS = ("server", "guard", "client")


def text_of(root, name):
    return (root / name).read_text()


def lines_of(root, name):
    return enumerate(text_of(root, name).splitlines(), 1)


def code_of(root):
    return "\n".join(path.read_text() for path in sources(root, ".h", ".c", ".cpp"))


def check_maps(root):
    """ARCHITECTURE.md's table of maps has the maps that the programs have."""
    wrong, part, told = [], "", {}
    for _, line in lines_of(root, "ARCHITECTURE.md"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 5 or not cells[1].startswith("`"):
            continue
        part = cells[0] or part
        told.setdefault(part, set()).update(re.findall(r"`(\w+)`", cells[1]))
    for owner in PARTS:
        text = "\n".join(path.read_text() for path in sources(root, ".bpf.h", ".bpf.c") if path.is_relative_to(root / owner))
        made = set(re.findall(r"^\} (\w+) SEC\(\"\.maps\"\)", text, re.M)) - told.get("all", set())
        wrong += [f"ARCHITECTURE.md: {owner} has no map {name}" for name in sorted(told.get(owner, set()) - made)]
        wrong += [f"ARCHITECTURE.md: does not say what {owner}'s map {name} holds" for name in sorted(made - told.get(owner, set()))]
    return wrong if len(told) == 4 else [*wrong, "ARCHITECTURE.md: the table of maps is not where this check looks for it"]


def check_walk(root):
    """Functions, fields and files that the packet walk names exist."""
    code, wrong, named = code_of(root), [], 0
    words = set(re.findall(r"\w+", code))
    files = {str(path.relative_to(root)) for path in sources(root, ".h", ".c", ".cpp")}
    for number, line in lines_of(root, "docs/packet-walk.md"):
        for name in re.findall(r"`(?:struct |\w+::)?([a-z]+_\w+)`", line):
            named += 1
            if name not in words:
                wrong.append(f"docs/packet-walk.md:{number}: the code has no {name}")
        for name in re.findall(r"`([\w/]+(?:\.bpf)?\.(?:h|c|cpp))`", line):
            if not any(file == name or file.endswith("/" + name) for file in files):
                wrong.append(f"docs/packet-walk.md:{number}: there is no file {name}")
    return wrong if named > 80 else [*wrong, "docs/packet-walk.md: names hardly a function: this check does not see them"]


def check_decisions(root):
    """docs/adr/README.md has every decision with its own title, and accounts for numbers without one."""
    index = text_of(root, "docs/adr/README.md")
    listed = dict(re.findall(r"^\| \[(\d{4})\]\(\d{4}-[\w-]+\.md\) \| (.+?) \|$", index, re.M))
    unused = set(re.findall(r"^\| (\d{4}) \| never used", index, re.M))
    wrong, last = [], 0
    for path in sorted((root / "docs/adr").glob("[0-9]*.md")):
        number, title = re.match(r"# (\d{4}): (.+)", path.read_text()).groups()
        last = max(last, int(number))
        if not path.name.startswith(number):
            wrong.append(f"{path.relative_to(root)}:1: the title's number is {number}")
        if listed.pop(number, None) != title:
            wrong.append(f"docs/adr/README.md: has not \"{title}\" for {number}")
        unused.discard(number)
    present = {path.name[:4] for path in (root / "docs/adr").glob("[0-9]*.md")} | unused
    wrong += [f"docs/adr/README.md: does not account for {n:04}" for n in range(1, last + 1) if f"{n:04}" not in present]
    return wrong + [f"docs/adr/README.md: there is no decision {number}" for number in listed]


def check_links(root):
    """Relative links lead to files, and their fragments to headings."""
    wrong = []
    for path in sources(root, ".md"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for target in re.findall(r"\]\(([^)\s]+)\)", line):
                file, _, fragment = target.partition("#")
                if "://" in target:
                    continue
                there = (path.parent / file).resolve() if file else path
                if not there.exists():
                    wrong.append(f"{path.relative_to(root)}:{number}: there is no {target}")
                elif fragment and there.suffix == ".md":
                    headings = re.findall(r"^#+ (.+)$", there.read_text(), re.M)
                    anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
                    if fragment not in anchors:
                        wrong.append(f"{path.relative_to(root)}:{number}: {target}: no such heading")
    return wrong


def strings_of(code):
    """String literals of the code, adjacent ones joined."""
    joined = re.sub(r'"\s*\n?\s*"', "", code)
    return joined.replace('\\"', '"')


def check_troubleshooting(root):
    """Messages and doctor's checks that the page names are those of the code, and no verdict is invented."""
    page, code = "docs/troubleshooting.md", strings_of(code_of(root))
    verdicts = set(re.findall(r'"((?:pass|drop|reply|announce|redirect)-[a-z-]+)"', text_of(root, "dataplane/verdict.h")))
    wrong, column, messages = [], "", 0
    for number, line in lines_of(root, page):
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else [""]
        if cells[0] in ("symptom", "verdict", "message", "problem", "check"):
            column = cells[0]
        elif column in ("message", "problem"):
            for message in re.findall(r"`([^`]+)`", cells[0]):
                messages += 1
                if message not in code:
                    wrong.append(f"{page}:{number}: the code does not say \"{message}\"")
        for verdict in re.findall(r"`((?:drop|pass|reply)-[a-z-]+)`", line):
            if verdict not in verdicts:
                wrong.append(f"{page}:{number}: there is no verdict {verdict}")
    text = "\n".join(path.read_text() for path in sources(root, ".cpp") if path.is_relative_to(root / "ctl/doctor"))
    checks = set(re.findall(r'^\s*\{"([a-z_-]+)", "', text, re.M))
    told = set(re.findall(r"^\| `([a-z_-]+)` \|", text_of(root, page).partition("## Checks of")[2], re.M))
    wrong += [f"{page}: does not tell of doctor's check {name}" for name in sorted(checks - told)]
    wrong += [f"{page}: doctor has no check {name}" for name in sorted(told - checks)]
    return wrong if messages > 20 and len(checks) > 10 else [*wrong, f"{page}: the tables are not as this check expects them"]


def check_socket(root):
    """docs/reference/control-socket.md has the routes, commands and fields of the status of the daemons."""
    page = "docs/reference/control-socket.md"
    told = set(re.findall(r"^\| `((?:GET|POST) /[a-z]+)", text_of(root, page), re.M))
    code = "\n".join(path.read_text() for path in sources(root, ".cpp") if not path.is_relative_to(root / "tests"))
    made = set()
    for method, body in re.findall(r"^HttpAnswer answer_(get|post)\(.*?\{\n(.*?)^\}", text_of(root, "runtime/control/control_server.cpp"), re.M | re.S):
        made |= {f"{method.upper()} /{name}" for name in re.findall(r'request\.path == "/(\w+)"', body)}
    for part in PARTS:
        text = "\n".join(path.read_text() for path in sources(root, ".cpp") if path.is_relative_to(root / part / "daemon"))
        made |= {f"POST /{name}" for name in re.findall(r'words\[0\] [!=]= "(\w+)"', text)}
    fields = "".join(re.findall(r"^\| (`.+?`) \|", text_of(root, page).partition("## Fields")[2], re.M))
    named = set(re.findall(r"`(\w+)`", fields))
    told |= named
    made |= set(re.findall(r'status\["(\w+)"\]', code)) | {name for name in named if f'"{name}"' in code}
    return [f"{page}: does not tell of {route}" for route in sorted(made - told)] + \
           [f"{page}: no daemon answers {route}" for route in sorted(told - made)]


def check_pages(root):
    """Every page with a shell block that runs is played by a test."""
    played = set(re.findall(r"[\w/-]+\.md", text_of(root, "tests/documents/CMakeLists.txt")))
    wrong = []
    for path in sources(root, ".md"):
        name = str(path.relative_to(root))
        if re.search(r"^```sh (?!skip:)", path.read_text(), re.M) and name not in played:
            wrong.append(f"{name}: has shell blocks, and no test in tests/documents/CMakeLists.txt plays them")
    return wrong if len(played) > 5 else [*wrong, "tests/documents/CMakeLists.txt: names hardly a page"]


FREE_RELATIVE = re.compile(r"(?:What|Who|Whoever|Whose|Whom|How|Where|Which|When|Whether) ")


def check_openings(root):
    """A file's first comment opens with a noun or a verb: "What the maps hold" is half a sentence."""
    wrong = []
    for path in sources(root, ".h", ".c", ".cpp", ".py", ".sh", ".txt", ".cmake", ".toml", ".conf", ".yml"):
        lines = [line for line in path.read_text().splitlines()[:4] if line and "SPDX" not in line and not line.startswith("#!")]
        first = re.sub(r'^(?://|/\*|#|""")\s*', "", lines[0]) if lines else ""
        if FREE_RELATIVE.match(first) and not first.endswith("?"):
            wrong.append(f"{path.relative_to(root)}: opens with \"{first.split()[0]}\"")
    return wrong


def check_alerts(root):
    """Each alert has a line in the page that says what to do, and a test."""
    rules = set(re.findall(r"- alert: (\w+)", text_of(root, "packaging/prometheus/trap-rules.yml")))
    page = set(re.findall(r"^\| `(\w+)` \|", text_of(root, "docs/howto/alerts.md"), re.M))
    tested = set(re.findall(r'alertname(?:="|: )(\w+)', text_of(root, "tests/scenarios/alerts_test.yml")))
    wrong = [f"docs/howto/alerts.md: says nothing of {name}" for name in sorted(rules - page)]
    wrong += [f"docs/howto/alerts.md: {name} is no alert of trap-rules.yml" for name in sorted(page - rules)]
    return wrong + [f"tests/scenarios/alerts_test.yml: {name} is not tested" for name in sorted(rules - tested)]


CHECKS = {"alerts": check_alerts, "openings": check_openings, "maps": check_maps, "walk": check_walk, "decisions": check_decisions, "links": check_links,
          "troubleshooting": check_troubleshooting, "socket": check_socket, "pages": check_pages}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    args = parser.parse_args()
    wrong = CHECKS[args.check](args.root.absolute())
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
