#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the manual pages and the examples of the configuration say what the declarations say? keys.py --root DIR --build DIR.
Prints file:line: what is wrong. With --entry KEY it prints how the page of a part begins the entry of a key."""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tomllib

PARTS = ("server", "guard", "client")
TABLES = ("table", "array of tables")
APPLIED = {"reload": "Applied by a reload.", "restart": "Applied by a restart.", "detach": "Applied by --detach and a start."}


def declared_keys(build, part):
    run = subprocess.run([build / "bin" / f"trap-{part}", "--list-keys", "--json"], capture_output=True, text=True, check=True)
    return {key["key"]: key for key in json.loads(run.stdout)}


def first_lines(key):
    """The lines with which the entry of a key begins: type, default, what applies a change."""
    kind = key["type"][0].upper() + key["type"][1:]
    default = "Required." if key["required"] else f"Default: {key['default'] or 'none'}."
    return [f"{kind}{': ' if key['accepted'] else ''}{key['accepted']}.", default, APPLIED[key["applied_by"]]]


def entries_of(page):
    """(number of the line, key with its table, lines that follow) of each .It Ic below a .Ss of a page."""
    table, lines = None, page.splitlines()
    for number, line in enumerate(lines, 1):
        if line.startswith(".Sh "):
            table = None
        elif line.startswith(".Ss "):
            table = "" if line == ".Ss Top level" else re.sub(r"[\[\] ]", "", line[4:]) + "."
        elif line.startswith(".It Ic ") and table is not None:
            yield number, table + line.removeprefix(".It Ic "), lines[number:number + 3]


def check_page(root, part, declared):
    name = f"man/trap-{part}.toml.5"
    page = (root / name).read_text()
    wrong, told = [], set()
    for number, key, following in entries_of(page):
        if key not in declared:
            wrong.append(f"{name}:{number}: there is no key {key}")
            continue
        told.add(key)
        for offset, (has, wanted) in enumerate(zip(following, first_lines(declared[key])), 1):
            if has != wanted:
                wrong.append(f"{name}:{number + offset}: {key}: \"{has}\", but its declaration says \"{wanted}\"")
    for key, facts in declared.items():
        if facts["type"] in TABLES:
            header = f".Ss [{key}]" if facts["type"] == "table" else f".Ss [[{key}]]"
            if header not in page.splitlines():
                wrong.append(f"{name}: has no \"{header}\"")
        elif key not in told:
            wrong.append(f"{name}: has no entry of {key}")
    return wrong


def uncommented(text):
    """An example with the keys and tables that it has as comments."""
    return re.sub(r"^( *)# (?=\[\[?[\w.]+\]\]?$|\w+ = )", r"\1", text, flags=re.M)


def values_in(table, of=""):
    """(key with its table, value) of everything in a parsed file."""
    for name, value in table.items():
        yield of + name, value
        inner = [value] if isinstance(value, dict) else value if isinstance(value, list) and value and isinstance(value[0], dict) else []
        for one in inner:
            yield from values_in(one, f"{of}{name}.")


def check_example(root, part, declared):
    name = f"packaging/{part}.toml"
    wrong, told = [], set()
    try:
        example = tomllib.loads(uncommented((root / name).read_text()))
    except tomllib.TOMLDecodeError as error:
        return [f"{name}: with its comments taken as keys it is no TOML: {error}"]
    for key, value in values_in(example):
        told.add(key)
        if key not in declared:
            wrong.append(f"{name}: there is no key {key}")
            continue
        facts = declared[key]
        if facts["required"] or facts["default_is_words"] or not facts["default"] or facts["type"] in TABLES:
            continue
        default = tomllib.loads(f"value = {facts['default']}")["value"]
        if value != default:
            wrong.append(f"{name}: {key} is {value!r}, but its default is {default!r}")
    wrong += [f"{name}: does not show {key}" for key in declared if key not in told]
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path())
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--entry", help="a key, as server:service.offer")
    args = parser.parse_args()
    declared = {part: declared_keys(args.build, part) for part in PARTS}
    if args.entry:
        part, _, key = args.entry.partition(":")
        print("\n".join([f".It Ic {key.rpartition('.')[2]}", *first_lines(declared[part][key])]))
        return
    wrong = []
    for part in PARTS:
        if len(declared[part]) < 10:
            wrong.append(f"trap-{part} --list-keys: has {len(declared[part])} keys only")
        wrong += check_page(args.root, part, declared[part]) + check_example(args.root, part, declared[part])
    if wrong:
        print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
