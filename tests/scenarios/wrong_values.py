#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every key of every daemon's configuration with every kind of wrong value: wrong_values.py BIN_DIR (as root, for the key files).

The keys come from --list-keys, so a key that is added is tested as well. --check-config must refuse each file in one line that names
file, line and key, and must take what differs in form alone: CRLF, a byte order mark, tabs, blanks. Prints "ok" or "not ok" a group."""

import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile

PARTS = ("server", "guard", "client")
LINE_MOST_BYTES = 600

# The good files, one key a line: (header or key, value as TOML).
GOOD = {
    "server": """interfaces = ["lo"]
master_key_file = "WORK/master.key"
[budget]
syn_acks_per_s = 1000
[[service]]
name = "web"
addresses = ["203.0.113.10:80"]
unaware = "serve"
[[service.backend]]
address = "198.51.100.20:80"
guard = "web-1"
pool = "gold"
[[service.policy]]
action = "pool"
pool = "gold"
prefixes = ["192.0.2.0/24"]
[[service.backend]]
address = "198.51.100.21:80"
guard = "web-2"
""",
    "guard": """interfaces = ["lo"]
secret_file = "WORK/guard.key"
uncovered = "accept"
trap_servers = ["203.0.113.10"]
[[pool]]
name = "partners"
addresses = ["198.51.100.0/24"]
tags = [7]
[[class]]
name = "gold"
tags = [9]
[[service]]
name = "web"
port = 80
""",
    "client": """interfaces = ["lo"]
[[trust]]
services = ["203.0.113.0/24"]
targets = ["198.51.100.0/24"]
""",
}

HUGE = "x" * 5000
OTHER_TYPES = {  # kind of value: TOML that no key of another type takes
    "integer": "7",
    "floating-point": "1.5",
    "infinity": "inf",
    "boolean": "true",
    "date": "2026-01-02",
    "time": "07:32:00",
    "string": '"word"',
    "array": "[]",
    "nested array": "[[1]]",
    "array of tables": "[{}]",
    "table": "{ a = 1 }",
    "array of booleans": "[true]",
    "array of mixed types": '["a", 1]',
}
TAKES = {"string": {"string"}, "integer": {"integer"}, "boolean": {"boolean"}, "array of strings": set(), "array of integers": set(),
         "table": {"table"}, "array of tables": {"array of tables"}}
NOT_TOML = ("10k", "5m", "1.2.3.4", "eth0", "1_", '"open', "[1", "yes", "$HOME", "08", "+", "")
# No address, and no name of anything.
NOT_ADDRESSES = ("localhost.localdomain.example.org", "fe80::1%lo", "[fe80::1%lo]:80", "203.0.113.300", "203.0.113.300:80", "010.0.0.1:80", "1.2.3", "::ffff:1.2.3.4",
                 "[::1", "203.0.113.10:0", "203.0.113.10:-1", "203.0.113.10:65536", "203.0.113.10:99999999999", "203.0.113.10:80x",
                 "203.0.113.10/33", "2001:db8::/129", "203.0.113.10/", "203.0.113.1/-1", "203.0.113.10/24", "http://203.0.113.10:80", " 203.0.113.10 ",
                 "203.0.113.10,203.0.113.11", "")


def quoted(text):
    return json.dumps(text)


def strings_wrong_for(key):
    """Strings that a key must refuse, as text."""
    # What a C string cannot hold, or a terminal should not see, belongs in no value.
    wrong = ["a\0b", "a\nb", "a\tb", "a\x1b[31mb", "\x7f"]
    accepted = key["accepted"]
    if accepted.startswith('"') and '", "' in accepted:
        first = accepted.split('"')[1]
        wrong += ["nonsense", first.upper(), first + " ", " " + first, first[:-1], HUGE]
    elif "address" in accepted or "prefix" in accepted:
        # C ends a text at a NUL: what is behind one must not be lost.
        wrong += [*NOT_ADDRESSES, HUGE, "203.0.113.10\0x", "203.0.113.10:80\0", "203.0.113.10\0:80", "203.0.113.0/24\0", "[2001:db8::1\0]:80"]
    elif "absolute path" in accepted:
        wrong += ["relative/path", "", "/" + HUGE]
    elif "names of interfaces" in accepted:
        wrong += ["a/b", "a b", "a:b", "sixteen-letters-x", "", ".", "..", HUGE]
    elif "of letters" in accepted or "of a-z" in accepted:
        wrong += ["a b", "a/b", "ä", "a" * 64, HUGE]
    elif accepted == "a path":
        wrong += ["", "/nonexistent/file", "/", "/dev/zero"]
    elif "group" in accepted:
        wrong += ["a b", "a:b", "nosuchgroup", HUGE]
    # What goes with an array that may have the value, or where the empty string is the default, is fine.
    default_is_empty = key["type"] == "string" and key["default"] is None and not key["required"]
    return [text for text in wrong if text or not default_is_empty]


def wrong_values(key):
    """(kind, TOML) of values that the key must refuse."""
    kind = key["type"]
    for name, value in OTHER_TYPES.items():
        none_at_all = name == "array" and kind == "array of integers" and not key["required"]
        if name not in TAKES[kind] and not none_at_all:
            yield name, value
    for value in NOT_TOML:
        yield f"no TOML: {value}", value
    if kind == "integer" or kind == "array of integers":
        least, most = map(int, key["accepted"].split(" to "))
        numbers = [least - 1, most + 1, -2**63, 2**63 - 1, -2**31, 2**32 + least]
        for number in [n for n in numbers if not least <= n <= most]:
            yield f"number {number}", f"[{number}]" if kind != "integer" else str(number)
        for text in ("5", "10k", "5m", "1e3", "", "-1"):
            yield f"string {text}", f"[{quoted(text)}]" if kind != "integer" else quoted(text)
        yield "more than 64 bits", "9223372036854775808"
        yield "exponent", "1e3"
    elif kind == "string":
        for text in strings_wrong_for(key):
            yield f"string {text!r:.30}", quoted(text)
    elif kind == "array of strings":
        yield "string, not an array", '"lo"'
        for text in strings_wrong_for(key):
            yield f"item {text!r:.30}", f"[{quoted(text)}]"


def misspellings(name):
    yield name + "s"
    if "_" in name:
        yield name.replace("_", "-")
        yield name.replace("_", "")
    yield name.upper()
    if len(name) > 3:
        yield name[1:]
        yield name[0] + name[2] + name[1] + name[3:]


def placed(good, path, line_of_key):
    """The good file without the key `path`, and with `line_of_key` in the same table, the first of its kind. Returns text and line."""
    *tables, name = path.split(".")
    table = ".".join(tables)
    lines, now, out, at = good.splitlines(), "", [], None
    header = re.compile(r"\[+([a-z_.]+)\]+$")
    def here():
        return now == table and at is None
    if here():
        out.append(line_of_key)
        at = len(out)
    done = False  # with the table where it was placed
    for line in lines:
        match = header.match(line)
        if match:
            done = done or (at is not None and now == table)
            now = match[1]
        # A table in the place of a table: all of it goes.
        if (now + ".").startswith(path + "."):
            continue
        if now == table and not done and line.startswith(name + " ="):
            continue
        out.append(line)
        if match and here():
            out.append(line_of_key)
            at = len(out)
    return "\n".join(out) + "\n", at


class Checker:
    def __init__(self, bin_dir, work):
        self.bin_dir, self.work = bin_dir, work

    def run(self, part, name, content):
        """Exit code, stdout and stderr of --check-config for the file."""
        file = self.work / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        run = subprocess.run([self.bin_dir / f"trap-{part}", "--config", file, "--check-config"], capture_output=True, timeout=300, cwd="/")
        file.unlink()
        return file, run.returncode, run.stderr

    def refused(self, part, name, content, line, word):
        """What is wrong with the refusal of the file; empty if nothing."""
        file, code, err = self.run(part, name, content)
        if code != 2:
            return f"exit code {code}, not 2: {err.decode(errors='replace')[:200]}"
        text = err.decode(errors="replace")
        if text.count("\n") != 1 or not text.endswith("\n"):
            return f"not one line: {text[:200]!r}"
        if re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text):
            return f"control characters: {text[:200]!r}"
        if len(err) > LINE_MOST_BYTES:
            return f"a line of {len(err)} bytes: {text[:120]!r}"
        if isinstance(line, str):
            place = rf"trap-{part}: {line}: "
        else:
            place = rf"trap-{part}: {re.escape(str(file))}:{line}: " if line else rf"trap-{part}: {re.escape(str(file))}[: ]"
        if not re.match(place, text):
            return f"does not begin with the place {line}: {text[:240]!r}"
        if word and not re.search(word, text):
            return f"does not say {word}: {text[:300]!r}"
        return ""


def refusals(part, keys, good):
    """(group, case, content, line, pattern) of files that must be refused."""
    for path, key in keys.items():
        name = path.rsplit(".", 1)[-1]
        for kind, value in wrong_values(key):
            text, line = placed(good, path, f"{name} = {value}")
            no_toml = kind.startswith("no TOML") or kind == "more than 64 bits"
            told = "not TOML" if no_toml else rf"\b{name}\b|\[\[?{re.escape(path)}\]\]?"
            # What is wrong with a file, or with a group of this host, is not wrong with the line.
            if key["accepted"] == "a path" and value.startswith('"/'):
                line, told = value.strip('"'), "file|directory|open"
            elif value == '"nosuchgroup"':
                line, told = None, "group"
            # An unfinished string or array ends where the parser finds out.
            yield path, kind, text, None if no_toml and value in ("", "[1", '"open', "1_") else line, told
        for wrong in misspellings(name):
            if any(path_.rsplit(".", 1)[-1] == wrong for path_ in keys):
                continue
            value = {"table": "{}", "array of tables": "[{}]"}.get(key["type"], "1")
            text, line = placed(good, path, f"{wrong} = {value}")
            if not key["required"]:
                yield path, f"misspelt {wrong}", text, line, f'unknown key "{wrong}": did you mean "{name}"\\?'
        twice, line = placed(good, path, f"{name} = 1\n{name} = 2")
        yield path, "twice", twice, line + 1, "not TOML.*(twice|redefine)"


def whole_files(part, good):
    """(case, content, line, pattern) of files that must be refused as a whole."""
    yield "empty", b"", None, "missing|no \\[\\["
    yield "comments alone", b"# nothing\n", None, "missing|no \\[\\["
    yield "UTF-16", b"\xff\xfe" + good.encode("utf-16-le"), 1, "not TOML"
    yield "Latin-1", good.encode() + "# Größe\n".encode("latin-1"), good.count("\n") + 1, "not TOML"
    yield "NUL", b"\0" * 64 + good.encode(), 1, "not TOML"
    yield "binary", bytes(range(256)) * 64, 1, "not TOML"
    yield "JSON", b'{"interfaces": ["lo"]}\n', 1, "not TOML"
    yield "YAML", b"interfaces:\n  - lo\n", 1, "not TOML"
    yield "include", b"include other.toml\n" + good.encode(), 1, "not TOML"
    yield "a mebibyte", b"# " + b"x" * (1 << 20) + b"\n" + good.encode(), None, "longer than"
    yield "curly quotes", good.replace('"lo"', "\u201clo\u201d").encode(), 1, "not TOML"
    yield "a section of an INI file", b"[global]\n" + good.encode(), 1, 'unknown key "global"'


def main():
    bin_dir = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="trap-wrong-values.") as folder:
        work = pathlib.Path(folder)
        subprocess.run([bin_dir / "trapctl", "key", "generate", work / "master.key"], check=True)
        subprocess.run([bin_dir / "trapctl", "key", "derive", "web-1", "--master", work / "master.key", "--output", work / "guard.key"],
                       check=True)
        checker, failed, tried = Checker(bin_dir, work), 0, 0

        def report(name, wrong):
            nonlocal failed
            print(f"not ok {name}: {wrong}" if wrong else f"ok {name}")
            failed += bool(wrong)

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for part in PARTS:
                listed = subprocess.run([bin_dir / f"trap-{part}", "--list-keys", "--json"], capture_output=True, check=True)
                keys = {key["key"]: key for key in json.loads(listed.stdout)}
                good = GOOD[part].replace("WORK", str(work))
                for name, content in {"as it is": good, "CRLF": good.replace("\n", "\r\n"), "byte order mark": "\ufeff" + good,
                                      "no last line end": good.rstrip("\n"), "blanks at the end": good.replace("\n", " \t\n"),
                                      "keys beside the configuration": good.replace(f'"{work}/', '"'),
                                      "tabs and no blanks": good.replace(" = ", "\t=\t"), "indented": "\t" + good.replace("\n", "\n\t")}.items():
                    _, code, err = checker.run(part, "good.toml", content)
                    report(f"{part}: taken: {name}", "" if code == 0 else f"exit code {code}: {err.decode(errors='replace')}")
                if part == "server":  # an interface's name may be one of a host
                    file, code, err = checker.run(part, "good.toml", good.replace("203.0.113.10:80", "example.org:80"))
                    wanted = f'trap-server: {file}: warning: service "web": "example.org:80" stands for no address now'.encode()
                    report("server: a host's name as an address", "" if code == 0 and err.startswith(wanted) else f"exit code {code}: {err!r}")
                cases = [*refusals(part, keys, good), *((f"whole file: {case}", "", *rest) for case, *rest in whole_files(part, good))]
                tried += len(cases)
                found = pool.map(lambda at: checker.refused(part, f"{at[0]}.toml", *at[1][2:]), enumerate(cases))
                by_group = {}
                for (group, kind, *_), wrong in zip(cases, found):
                    by_group.setdefault(group, [])
                    if wrong:
                        by_group[group].append(f"{kind}: {wrong}")
                for group, wrong in by_group.items():
                    report(f"{part}: {group}", "".join(f"\n#   {one}" for one in wrong))
        print(f"# {tried} files")
        report("many files were tried", "" if tried > 3000 else "a group yields nothing")
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
