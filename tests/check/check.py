#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Conventions of this project that a machine can check: check.py NAME --root DIR --build DIR. Prints file:line: what is wrong."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

KERNEL_LICENCE = "GPL-2.0-only OR BSD-2-Clause"
USER_LICENCE = "Apache-2.0"
LONGEST_LINE = 100
FULLEST_FOLDER = 25
FOLDERS_OF_DATA = ("docs/adr", "docs/evaluation", "tests/vectors", "tests/bpf/fixtures")


def sources(root, *endings):
    """Files of the project with these endings: what git knows or would add, or everything where there is no git."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:
        names = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and "build" not in p.relative_to(root).parts]
    return sorted(root / n for n in set(names) if n.endswith(endings) and (root / n).exists())


def name_of(path, root):
    return str(path.relative_to(root))


SHARED_ELSEWHERE = ("lab/bpf/flood.h", "guard/tables.h", "bench/bpf/replay.h", "lab/bpf/middlebox.h", "server/budgets.h", "server/handover.h", "server/served_cookie.h", "client/targets.h")


def is_shared(name):
    """Headers that BPF programs and user space share, which are C."""
    in_shared_folder = name.startswith(("protocol/", "dataplane/")) and not name.startswith("dataplane/bpf/")
    return in_shared_folder or name.endswith("/maps.h") or name in SHARED_ELSEWHERE


def is_bpf_only(name):
    return "/bpf/" in name and not name.startswith("tests/") and not is_shared(name)


class Skipped(Exception):
    """Why a check has nothing to say on this machine."""


def check_format(args):
    """Each version of clang-format has its own idea of some constructs, so that one of them is the judge."""
    judge = re.search(r"clang-format (\d+)", (args.root / ".clang-format").read_text())[1]
    here = subprocess.run(["clang-format", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if not re.search(rf"version {judge}\.", here):
        raise Skipped(f"the files are as clang-format {judge} has them, and this is {here}")
    files = [str(f) for f in sources(args.root, ".c", ".h", ".cpp")]
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], capture_output=True, text=True, check=False)
    wrong = sorted({line.split(":")[0] for line in run.stderr.splitlines() if "error:" in line})
    return [f"{w}: not as clang-format has it; run: make format" for w in wrong]


def check_spdx(args):
    wrong = []
    for path in sources(args.root, ".c", ".h", ".cpp", ".py", ".sh"):
        name = name_of(path, args.root)
        head = "".join(path.read_text().splitlines(keepends=True)[:3])
        found = re.search(r"SPDX-License-Identifier: (.+?)(?: \*/)?$", head, re.M)
        wanted = KERNEL_LICENCE if name.endswith(".bpf.c") or is_shared(name) or is_bpf_only(name) or name == "protocol/assert.h" else USER_LICENCE
        if not found:
            wrong.append(f"{name}:1: no SPDX-License-Identifier in the first three lines")
        elif found.group(1).strip() != wanted:
            wrong.append(f"{name}:1: the licence here is {wanted}, not {found.group(1).strip()}")
    return wrong


def check_words(args):
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    wrong = []
    for path in sources(args.root, ".c", ".h", ".cpp", ".py", ".sh", ".md", ".txt", ".toml", ".service"):
        if path.is_relative_to(args.root / "LICENSES") or path.name == "LICENSE":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if marks.search(line):
                wrong.append(f"{name_of(path, args.root)}:{number}: {marks.search(line).group(0)}: finish it, or open an issue")
    return wrong


def check_structs(args):
    """What BPF and user space share is defined once: a copy that 'must be kept in sync' is a bug that waits."""
    definition = re.compile(r"^\s*(?:struct|union|enum)\s+(trap_\w+)\s*\{", re.M)
    where = {}
    shared = set()
    for path in sources(args.root, ".c", ".h", ".cpp"):
        name = name_of(path, args.root)
        for found in definition.findall(path.read_text()):
            where.setdefault(found, []).append(name)
            if is_shared(name):
                shared.add(found)
    return [f"{', '.join(where[s])}: {s} is defined more than once; include the header that has it" for s in sorted(shared) if len(where[s]) > 1]


def check_verdicts(args):
    """docs/packet-walk.md says when each verdict happens, in a section of a part that can give it (1 is about all parts), and in no other part's."""
    table = (args.root / "dataplane/verdict.h").read_text()
    rows = re.findall(r'X\(\w+, [A-Z]+, ([A-Z_]+), [A-Z]+,\s*\\?\s*"([a-z-]+)"', table)
    if len(rows) < 20 or len(rows) != len(re.findall(r"^ *X\(", table, re.M)):
        return ["dataplane/verdict.h: the verdict table is not where this check looks for it"]
    walk = args.root / "docs/packet-walk.md"
    sections = re.split(r"^## (?=[1-9]\.)", walk.read_text() if walk.exists() else "", flags=re.M)
    said = {s[0]: set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", s)) for s in sections[1:]}
    chapter = {"SERVER": "2", "GUARD": "3", "CLIENT": "4"}
    wrong = []
    for parts, name in rows:
        givers = set(chapter) if parts == "ANY" else set(parts.split("_"))
        if not any(name in said.get(chapter[p], ()) for p in givers) and name not in said.get("1", ()):
            wrong.append(f"docs/packet-walk.md: does not say when {name} happens")
        wrong += [f"docs/packet-walk.md, {chapter[p]}: {name} is no verdict of trap-{p.lower()} by dataplane/verdict.h"
                  for p in sorted(set(chapter) - givers) if name in said.get(chapter[p], ())]
    return wrong


def long_lines_of_prose(text):
    """Numbers and lengths of the lines of Markdown that are too long and could be broken: no tables, plots, and single words such as links."""
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST_LINE and not line.lstrip().startswith(("|", "![")) and " " in line.strip().lstrip("-*> "):
            yield number, len(line)


def check_columns(args):
    """Code fits a screen beside its neighbour. A string that must stay whole may be longer: clang-format does not break one."""
    wrong = [f"{name_of(path, args.root)}:{number}: {columns} columns; at most {LONGEST_LINE}"
             for path in sources(args.root, ".md") for number, columns in long_lines_of_prose(path.read_text())]
    for path in sources(args.root, ".c", ".h", ".cpp"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > LONGEST_LINE and '"' not in line:
                wrong.append(f"{name_of(path, args.root)}:{number}: {len(line)} columns; at most {LONGEST_LINE}")
    return wrong


def check_folders(args):
    """A folder is a room: what does not fit into one look belongs into rooms of its own."""
    count = {}
    for path in sources(args.root, ""):
        folder = str(path.parent.relative_to(args.root))
        if not folder.startswith(FOLDERS_OF_DATA):
            count[folder] = count.get(folder, 0) + 1
    return [f"{folder}: {files} files; at most {FULLEST_FOLDER}: give each job a folder of its own"
            for folder, files in sorted(count.items()) if files > FULLEST_FOLDER]


def may_include(root):
    """The last column of ARCHITECTURE.md's table of folders: folder -> folders that its files may include, None for all."""
    allowed = {}
    for line in (root / "ARCHITECTURE.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("| `") else []
        if len(cells) != 3:
            continue
        named = {name.rstrip("/") for name in re.findall(r"`([\w/]+)`", cells[2])}
        for folder in re.findall(r"`([\w/]+)/`", cells[0]):
            allowed[folder] = None if cells[2] == "everything" else named | {folder}
    return allowed


def room_of(name):
    return name.rpartition("/")[0]


def circle_in(arrows):
    """One circle among rooms, as a list that ends where it begins; [] if there is none."""
    done, path = set(), []

    def walk(room):
        if room in path:
            return [*path[path.index(room):], room]
        if room in done:
            return []
        path.append(room)
        for other in sorted(arrows.get(room, ())):
            found = walk(other)
            if found:
                return found
        path.pop()
        done.add(room)
        return []

    return next((found for found in map(walk, sorted(arrows)) if found), [])


def check_includes(args):
    """Who may include whom is what ARCHITECTURE.md says, and no two rooms need each other."""
    allowed = may_include(args.root)
    if len(allowed) < 8:
        return ["ARCHITECTURE.md: the table of folders is not where this check looks for it"]
    wrong, arrows = [], {}
    for path in sources(args.root, ".c", ".h", ".cpp"):
        name = name_of(path, args.root)
        owner = max((f for f in allowed if name.startswith(f + "/")), key=len, default=None)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'#include "([\w./]+/[\w.]+)"', line)
            if not found:
                continue
            target = found.group(1)
            if owner and allowed[owner] is not None and not target.startswith(tuple(f + "/" for f in allowed[owner])):
                wrong.append(f"{name}:{number}: {owner}/ may not include {target}; see the table in ARCHITECTURE.md")
            if room_of(name) != room_of(target):
                arrows.setdefault(room_of(name), set()).add(room_of(target))
    circle = circle_in(arrows)
    return [*wrong, *([f"rooms that need each other: {' -> '.join(circle)}; move what both need"] if circle else [])]


def pkg_config_flags():
    wanted = ["libbpf", "libsodium", "libsystemd", "libtins"]
    run = subprocess.run(["pkg-config", "--cflags", *wanted], capture_output=True, text=True, check=False)
    return run.stdout.split()


# What many headers include: read once, precompiled, for those that include all of it anyway.
COMMON_INCLUDES = (("string",), ("string", "vector"), ("string", "vector", "functional", "variant", "utility"),
                   ("string", "vector", "functional", "variant", "utility", "map", "nlohmann/json.hpp"))

# The standard headers that have a name; each is told of the others that are sure to.
CONTAINERS = ("array", "deque", "filesystem", "functional", "list", "map", "memory", "optional", "set", "span", "string", "string_view", "tuple",
              "variant", "vector")
HOME_OF = {
    **{name: (name,) for name in ("array", "atomic", "chrono", "deque", "filesystem", "istream", "list", "map", "mutex", "optional", "set",
                                  "source_location", "span", "string", "string_view", "thread", "tuple", "variant", "vector")},
    "function": ("functional",), "jthread": ("thread",), "lock_guard": ("mutex",), "to_string": ("string",), "less": ("functional",),
    **{name: ("memory",) for name in ("unique_ptr", "shared_ptr", "make_unique", "make_shared")},
    **{name: ("cstdint",) for name in ("uint8_t", "uint16_t", "uint32_t", "uint64_t", "int16_t", "int64_t", "uintmax_t")},
    **{name: ("utility", *CONTAINERS) for name in ("move", "pair", "exchange", "forward", "swap", "get", "begin", "end")},
    **{name: ("variant",) for name in ("in_place_index", "get_if")},
    **{name: ("cstring",) for name in ("memcmp", "memcpy", "memset")},
    "size_t": ("cstddef", "cstring", *CONTAINERS), "byte": ("cstddef",), "nullopt": ("optional",), "runtime_error": ("stdexcept",),
    **{name: ("type_traits",) for name in ("type_identity_t", "is_const_v", "remove_const_t")},
    **{name: ("algorithm",) for name in ("min", "max")}, "invoke_result_t": ("type_traits", "functional"), "strong_ordering": ("compare", *CONTAINERS),
    "ranges": ("algorithm", "ranges"), "numeric_limits": ("limits",), "mt19937_64": ("random",), "from_chars": ("charconv",),
    "errc": ("system_error", "charconv"), "back_inserter": ("iterator", *CONTAINERS), "abort": ("cstdlib",),
}


class HeaderCompiler:
    """Compiles headers alone, as C++ and as C for BPF. The standard library's part is checked by names, for a second each is what a compiler takes."""

    def __init__(self, args, work):
        self.args, self.work = args, work
        self.project = {name_of(path, args.root): path.read_text() for path in sources(args.root, ".h")}
        machine = subprocess.run([args.cxx, "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
        self.bpf = [args.clang, "-target", "bpf", "-x", "c", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function",
                    "-Wno-unused-variable", f"-I/usr/include/{machine}", "-DTRAP_COUNTER_SERVICES=1"]
        self.cxx = [args.cxx, "-std=c++20", "-Wall", "-Wextra", "-Werror", '-DTRAP_TEST_VECTORS=""',
                    f"-isystem{args.build}/bpf", *pkg_config_flags()]

    def precompile(self, includes):
        header = self.work / f"{len(includes)}.h"
        header.write_text("".join(f"#include <{name}>\n" for name in includes))
        subprocess.run([*self.cxx, f"-I{self.args.root}", "-x", "c++-header", str(header), "-o", f"{header}.gch"], check=True)

    def system_includes(self, name, seen):
        """What a header includes of the system's, by itself or through headers of the project."""
        if name in seen or name not in self.project:
            return set()
        seen.add(name)
        found = set(re.findall(r"^#include <([^>]+)>", self.project[name], re.M))
        for other in re.findall(r'^#include "([^"]+)"', self.project[name], re.M):
            found |= self.system_includes(other, seen)
        return found

    def command(self, name, as_bpf):
        if as_bpf:
            return self.bpf
        included = self.system_includes(name, set())
        fitting = [common for common in COMMON_INCLUDES if included.issuperset(common)]
        precompiled = ["-include", str(self.work / f"{len(fitting[-1])}.h")] if fitting else []
        return [*self.cxx, "-x", "c++", *precompiled]

    def forgotten(self, name):
        """Names of the standard library that a header uses and has not included."""
        included, wrong = self.system_includes(name, set()), []
        for used in sorted(set(re.findall(r"\bstd::(\w+)", self.project[name]))):
            homes = HOME_OF.get(used)
            if not homes:
                wrong.append(f"{name}: std::{used}: say in HOME_OF of tests/check/check.py which header has it")
            elif not included.intersection(homes):
                wrong.append(f"{name}: std::{used} without <{homes[0]}>")
        return wrong

    def compile(self, job):
        name, as_bpf = job
        text = f'#include <linux/bpf.h>\n#include "{name}"\n' if as_bpf and is_bpf_only(name) else f'#include "{name}"\n'
        run = subprocess.run([*self.command(name, as_bpf), f"-I{self.args.root}", "-fsyntax-only", "-"], input=text,
                             capture_output=True, text=True, check=False)
        if run.returncode == 0:
            return []
        first = next((line for line in run.stderr.splitlines() if "error" in line), run.stderr[:200])
        return [f"{name}: does not compile alone as {'C for BPF' if as_bpf else 'C++'}: {first}"]


def is_first_in_its_source(path):
    """Then clang-tidy, to which every source is alone, finds what the header lacks (make tidy)."""
    source = path.with_suffix(".cpp")
    first = re.search(r'^#include [<"]([^>"]+)[>"]', source.read_text(), re.M) if source.exists() else None
    return first is not None and first[1].endswith(path.name)


def check_headers(args):
    jobs = []
    for path in sources(args.root, ".h"):
        name = name_of(path, args.root)
        if name.startswith("tests/prove/"):
            continue  # for Frama-C, whose library no compiler has
        if not is_bpf_only(name) and not is_first_in_its_source(path):
            jobs.append((name, False))
        if is_shared(name) or is_bpf_only(name):
            jobs.append((name, True))
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        compiler = HeaderCompiler(args, pathlib.Path(work))
        list(pool.map(compiler.precompile, COMMON_INCLUDES))
        results = list(pool.map(compiler.compile, jobs))
        results += [compiler.forgotten(name_of(path, args.root)) for path in sources(args.root, ".h") if not is_bpf_only(name_of(path, args.root))]
    return [line for result in results for line in result]


def check_bpf_headers(args):
    """A header that carries code for BPF alone says so by its name; one that user space includes too is an ordinary header."""
    wrong = []
    code = re.compile(r"^static __(?:always_inline|noinline)|^static inline|SEC\(", re.M)
    for path in sources(args.root, ".h"):
        name = name_of(path, args.root)
        marked = name.endswith(".bpf.h")
        if marked and not is_bpf_only(name):
            wrong.append(f"{name}: .bpf.h is for headers in a bpf folder, which user space does not include")
        if not marked and is_bpf_only(name) and code.search(path.read_text()):
            wrong.append(f"{name}: carries code for BPF; call it {path.stem}.bpf.h")
    return wrong


def check_man(args):
    """mandoc's warnings (its style is for other systems' pages), and references to pages of ours that do not exist."""
    pages = sources(args.root, ".1", ".5", ".8")
    run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *map(str, pages)], capture_output=True, text=True, check=False)
    wrong = [line.removeprefix("mandoc: ").replace(f"{args.root}/", "") for line in run.stdout.splitlines()]
    ours = {(p.stem, p.suffix[1:]) for p in pages}
    for path in pages:
        for reference in re.findall(r"^\.Xr (trap\S*) (\d)", path.read_text(), re.M):
            if reference not in ours:
                wrong.append(f"{name_of(path, args.root)}: refers to {reference[0]}({reference[1]}), which is not there")
    return wrong if pages else ["man: there are no pages where this check looks for them"]


def names_of_tests(root):
    """As docs/threats.md calls them: of CTest, of fixtures and of GoogleTest."""
    names = set()
    for path in (root / "tests/bpf/fixtures").rglob("*.json"):
        names.update(f"{path.parent.name}.{path.stem}.{fixture['name']}" for fixture in json.loads(path.read_text()))
    for path in sources(root, "_test.cpp"):
        names.update(f"{suite}.{test}" for suite, test in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", path.read_text(), re.M))
    for path in sources(root / "lab/scenarios", ".cpp"):
        names.update(f"lab.{name}" for name in re.findall(r"Registration \w+\{\{\s*\.name = \"([a-z0-9-]+)\"", path.read_text()))
    registered = (root / "tests/scenarios/CMakeLists.txt").read_text()
    names.update(f"scenarios.{name}" for name in re.search(r"foreach\(script (.+?)\)", registered).group(1).split())
    names.update(re.findall(r"add_test\(NAME (scenarios\.[\w-]+) ", registered))
    names.update(f"fuzz.walk.{part}" for part in ("server", "guard", "client") if (root / "tests/fuzz/walk/CMakeLists.txt").exists())
    names.update(f"fuzz.{name}.replay" for name in re.findall(r"(\w+)_fuzz\.cpp", "\n".join(map(str, sources(root, "_fuzz.cpp")))))
    return names


def check_proofs(root, page, first_column, least):
    """Every line of the page's tables names tests in its last column, and they exist."""
    known = names_of_tests(root)
    wrong, lines = [], 0
    for number, line in enumerate((root / page).read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("| ") else []
        if len(cells) != 3 or cells[0] == first_column:
            continue
        lines += 1
        named = re.findall(r"`([^`]+)`", cells[2])
        if not named:
            wrong.append(f"{page}:{number}: no test: {cells[0]}")
        wrong += [f"{page}:{number}: there is no test {name}" for name in named if name not in known]
    return wrong if lines >= least else [*wrong, f"{page}: only {lines} lines: the tables are not as this check expects them"]


def check_threats(args):
    """Every threat has a test, and every test that the document names exists."""
    return check_proofs(args.root, "docs/threats.md", "threat", 30)


def check_compatibility(args):
    """The same for every set-up."""
    return check_proofs(args.root, "docs/compatibility.md", "set-up", 15)


def check_version(args):
    """CMakeLists.txt has the version; documents say the same, and pages take it from there."""
    version = re.search(r"^project\(trap VERSION (\S+)", (args.root / "CMakeLists.txt").read_text(), re.M).group(1)
    literal = re.compile(rf"(?<![\d.]){version.split('.')[0]}\.\d+\.\d+(?![\d.])")
    wrong = []  # 0.0.4 is a version of Prometheus' text format
    for path in sources(args.root, ".md"):
        name = name_of(path, args.root)
        if name in ("CHANGELOG.md", "docs/evaluation.md") or name.startswith(("docs/adr/", "LICENSES/", "tests/")):
            continue  # history, and a measured version
        for number, line in enumerate(path.read_text().splitlines(), 1):
            wrong += [f"{name}:{number}: says {found}; the version is {version}" for found in literal.findall(line) if found not in (version, "0.0.4")]
    newest = re.search(r"^## \[(\S+)\]", (args.root / "CHANGELOG.md").read_text(), re.M)
    if not newest or newest.group(1) != version:
        wrong.append(f"CHANGELOG.md: the newest heading is not [{version}]")
    for path in sources(args.root, ".1", ".5", ".8"):
        if not re.search(r"^\.Os TRAP @PROJECT_VERSION@$", path.read_text(), re.M):
            wrong.append(f'{name_of(path, args.root)}: no line ".Os TRAP @PROJECT_VERSION@"')
    return wrong


def check_names(args):
    """One way to write a constant, in product, lab, bench and tests alike: snake_case."""
    wrong = []
    for path in sources(args.root, ".h", ".cpp"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name in re.findall(r"\bk[A-Z]\w{2,}", line.split("//")[0]):
                wrong.append(f"{name_of(path, args.root)}:{number}: {name}: constants are written in snake_case")
    return wrong


def check_linkage(args):
    """Programs that run as root carry no library for what they do not do: TLS, compression for browsers, HTTP."""
    wrong = []
    for program in ("trap-server", "trap-guard", "trap-client", "trapctl"):
        run = subprocess.run(["ldd", args.build / "bin" / program], capture_output=True, text=True, check=False)
        libraries = re.findall(r"^\s*(\S+) => ", run.stdout, re.M)
        if not libraries:
            wrong.append(f"{program}: ldd names no libraries: {run.stderr.strip()}")
        wrong += [f"{program}: links {library}" for library in libraries if re.match(r"lib(ssl|crypto|gnutls|brotli|cpp-httplib|curl)", library)]
    return wrong


def check_units(args):
    """A daemon listens for metrics at an address of either family and asks the kernel by netlink; its unit allows it no other sockets (docs/adr/0047),
    and the lab denies it the same. What comes before the daemon may fail: the daemon says better why it cannot start."""
    needed = {"AF_UNIX", "AF_NETLINK", "AF_INET", "AF_INET6"}
    lab = "lab/hosts/process.cpp"
    allowed = {lab: set(re.findall(r"BPF_JUMP\(BPF_JMP \| BPF_JEQ \| BPF_K, (AF_\w+),", (args.root / lab).read_text()))}
    for name in unit_names():
        families = re.search(r"^RestrictAddressFamilies=(.*)$", (args.root / name).read_text(), re.M)
        allowed[name] = set(families.group(1).split()) if families else set()
    strict = [f"{name}: {line}: may not fail: begin it with \"-\"" for name in unit_names()
              for line in re.findall(r"^ExecStartPre=[^-].*$", (args.root / name).read_text(), re.M)]
    return strict + [line for name, families in allowed.items()
            for line in [f"{name}: {family} is not allowed, and is needed" for family in sorted(needed - families)]
            + [f"{name}: {family} is allowed, and no daemon needs it" for family in sorted(families - needed)]]


def unit_names():
    return [f"packaging/trap-{part}.service.in" for part in ("server", "guard", "client")]


EXPOSURE_MOST = 2.0


def check_exposure(args):
    """What `systemd-analyze security` says of each unit; docs/machines.md has the figures."""
    if not shutil.which("systemd-analyze"):
        raise Skipped("there is no systemd-analyze: install systemd")
    wrong = []
    with tempfile.TemporaryDirectory() as work:
        for name in unit_names():
            unit = pathlib.Path(work) / pathlib.Path(name).stem
            unit.write_text((args.root / name).read_text().replace("@CMAKE_INSTALL_FULL_SBINDIR@", "/usr/sbin"))
            run = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", str(unit)], capture_output=True, text=True, check=False)
            if "unrecognized option" in run.stderr:
                raise Skipped("this systemd-analyze has no --offline: it came with systemd 250")
            exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", run.stdout)
            if not exposure:
                wrong.append(f"{name}: systemd-analyze tells no exposure: {(run.stderr or run.stdout).strip()[-200:]}")
            elif float(exposure.group(1)) > EXPOSURE_MOST:
                allowed = [" ".join(line.split()[1:]) for line in run.stdout.splitlines() if line.startswith("✗")]
                wrong.append(f"{name}: exposure {exposure.group(1)}, at most {EXPOSURE_MOST}: " + "; ".join(allowed))
    return wrong


def check_journal(args):
    """The page of each daemon names the fields that its lines have in the journal, and no others."""
    written = set(re.findall(r'"(TRAP_[A-Z]+)(?:=)?"', (args.root / "runtime/log.cpp").read_text()))
    wrong, named_at_all = [], set()
    for part in ("server", "guard", "client"):
        page = f"man/trap-{part}.8"
        section = re.search(r"^\.Sh JOURNAL\n(.*?)^\.Sh ", (args.root / page).read_text(), re.M | re.S)
        named = set(re.findall(r"^\.It Ev (TRAP_\w+)$", section.group(1), re.M)) if section else set()
        code = "".join(path.read_text() for folder in (f"{part}/daemon", "runtime") for path in sorted((args.root / folder).rglob("*.cpp")))
        subjects = re.findall(r"log::\w+\(\s*\{(.*?)\}", code, re.S)
        used = {f"TRAP_{field.upper()}" for subject in subjects for field in re.findall(r"\.(\w+) =", subject)} | {"TRAP_PART", "TRAP_VERDICT"}
        wrong += [f"{page}: JOURNAL lacks {field}" for field in sorted(used - named)]
        wrong += [f"{page}: no line of the daemon's has {field}" for field in sorted(named - used)]
        named_at_all |= named
    return wrong + [f"man: no page names {field}, which runtime/log.cpp writes" for field in sorted(written ^ named_at_all)]


def check_loops(args):
    """items() refers to its JSON: in the head of a loop, C++20 destroys a temporary before the first round. A call without arguments is an accessor."""
    head = re.compile(r"\bfor \([^;{}]*? : [^;{}]*[^(\s]\s*\)\s*\.items\(\)\)")
    wrong = []
    for path in sources(args.root, ".h", ".cpp"):
        text = path.read_text()
        wrong += [f"{name_of(path, args.root)}:{text.count(chr(10), 0, at.start()) + 1}: items() of a temporary; give the JSON a name before the loop"
                  for at in head.finditer(text)]
    return wrong


def check_tmpfiles(args):
    """A boot makes /etc/trap for its owner alone where it is missing, and leaves it as the administrator has it where it is not."""
    name = "packaging/debian/part.tmpfiles.in"
    if not shutil.which("systemd-tmpfiles"):
        raise Skipped("there is no systemd-tmpfiles: install systemd")
    with tempfile.TemporaryDirectory() as work:
        (pathlib.Path(work) / "trap.conf").write_text((args.root / name).read_text().replace("@part@", "guard"))
        (pathlib.Path(work) / "etc").mkdir()
        folder, wrong = pathlib.Path(work) / "etc/trap", []
        for wanted in (0o700, 0o750, 0o755):
            if wanted != 0o700:
                folder.chmod(wanted)
                os.chown(folder, 0, 1)
            run = subprocess.run(["systemd-tmpfiles", "--create", f"--root={work}", f"{work}/trap.conf"], capture_output=True, text=True, check=False)
            if run.returncode != 0 or run.stderr:
                return [f"{name}: systemd-tmpfiles: {run.stderr.strip()}"]
            info = folder.stat()
            if (info.st_mode & 0o7777, info.st_gid) != (wanted, 0 if wanted == 0o700 else 1):
                wrong.append(f"{name}: /etc/trap has mode {info.st_mode & 0o7777:04o} and group {info.st_gid} after a boot, and had {wanted:04o} before")
    return wrong


def check_json(args):
    """JSON leaves a program by json_text(): dump() throws where a name is not UTF-8, such as that of an interface, and nothing is answered."""
    wrong = []
    for path in sources(args.root, ".h", ".cpp"):
        name = name_of(path, args.root)
        if name == "runtime/json_text.h" or not name.startswith(("runtime/", "server/", "guard/", "client/", "ctl/")):
            continue
        wrong += [f"{name}:{number}: dump() throws at a name that is not UTF-8: use json_text()"
                  for number, line in enumerate(path.read_text().splitlines(), 1) if re.search(r"(\.|->)dump\(", line)]
    return wrong


CHECKS = {"format": check_format, "spdx": check_spdx, "words": check_words, "structs": check_structs, "verdicts": check_verdicts,
          "columns": check_columns, "includes": check_includes, "folders": check_folders, "headers": check_headers, "man": check_man,
          "threats": check_threats, "compatibility": check_compatibility, "version": check_version, "bpf_headers": check_bpf_headers, "names": check_names, "linkage": check_linkage, "units": check_units, "exposure": check_exposure, "journal": check_journal,
          "loops": check_loops, "tmpfiles": check_tmpfiles, "json": check_json}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--clang", default="clang-14")
    parser.add_argument("--cxx", default="g++")
    args = parser.parse_args()
    args.root = args.root.absolute()
    try:
        wrong = CHECKS[args.check](args)
    except Skipped as why:
        print(f"skipped: {why}")
        sys.exit(77)
    if wrong:
        print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
