#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemons as systemd runs them, by the lines of their units: isolated.sh services.py BIN_DIR UNIT_DIR (as root).

A reload that the daemon refuses fails, whatever is wrong and wherever its control socket is; what goes to the journal is there once. An interface may
be another one, have another name or none when a daemon comes back.
Prints "ok" or "not ok" a case."""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from socket import if_nametoindex

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from surroundings import CONFIG, Host  # noqa: E402

WRONG = {  # a change of the file, and the exit codes of a reload
    "no TOML": (lambda text: text + "nonsense = [\n", {2}),
    "an unknown key": (lambda text: "nonsense = 1\n" + text, {2}),
    "no interface": (lambda text: re.sub("interfaces = .*", "interfaces = []", text), {2}),
    "a change for a restart": (lambda text: re.sub("pin_dir = \"(.*)\"", "pin_dir = \"\\1x\"", text), {2}),
    "another control socket": (lambda text: re.sub("control_socket = \"(.*)\"", "control_socket = \"\\1x\"", text), {2}),
    "another part's socket": (lambda text: re.sub("(server|guard|client)\\.sock", lambda at: {"server": "guard", "guard": "client", "client": "server"}[at[1]] + ".sock", text), {2}),
    "an empty file": (lambda text: "", {2}),
}


class Unit:
    def __init__(self, host, unit_dir, part):
        self.host, self.part = host, part
        self.file = host.work / f"{part}.toml"
        self.settings = {}
        for line in (unit_dir / f"trap-{part}.service").read_text().splitlines():
            if found := re.match(r"(\w+)=(.*)$", line):
                self.settings.setdefault(found.group(1), []).append(found.group(2))

    def commands(self, setting):
        """The unit's commands that are ours, with its rights and this test's configuration."""
        for line in self.settings.get(setting, []):
            marks, line = re.match(r"([-+@:!]*)(.*)", line).groups()
            program, *words = shlex.split(line)
            if not pathlib.Path(program).name.startswith("trap"):
                continue
            names = ",".join("+" + name.removeprefix("CAP_").lower() for name in self.settings["CapabilityBoundingSet"][0].split())
            confined = [] if "+" in marks else ["setpriv", f"--bounding-set=-all,{names}", f"--inh-caps=-all,{names}", "--no-new-privs"]
            yield [*confined, self.host.bin_dir / pathlib.Path(program).name, *words, "--config", self.file]

    def run(self, setting, pid=None, journal=None):
        """Exit codes and standard error of the commands of a setting, in turn."""
        environment = {**os.environ, "RUNTIME_DIRECTORY": str(self.host.work), **({"MAINPID": str(pid)} if pid else {})}
        codes, said = [], b""
        for command in self.commands(setting):
            if journal:
                place = os.fstat(journal.fileno())
                done = subprocess.run(command, env={**environment, "JOURNAL_STREAM": f"{place.st_dev}:{place.st_ino}"}, stdout=journal, stderr=journal)
            else:
                done = subprocess.run(command, env=environment, capture_output=True)
                said += done.stderr
            codes.append(done.returncode)
        return codes, said.decode()

    def status(self):
        return self.host.json(f"status --socket WORK/{self.part}.sock --json")


class UnitHost(Host):
    """Its daemons run with the rights of their units."""
    def __init__(self, bin_dir, work, unit_dir):
        super().__init__(bin_dir, work)
        self.units = {part: Unit(self, unit_dir, part) for part in CONFIG}

    def daemon(self, part):
        return next(self.units[part].commands("ExecStart"))


def in_journal(unit, work, setting, pid=None):
    with open(work / "journal", "w+b") as journal:
        codes, _ = unit.run(setting, pid, journal)
        journal.seek(0)
        return codes, journal.read().decode()


def refused(unit, daemon):
    """Reloads of wrong files, and then of the right one."""
    right = unit.file.read_text()
    before = unit.status()["config"]
    for name, (change, expected) in WRONG.items():
        unit.file.write_text(change(right))
        (code,), said = unit.run("ExecReload", daemon.pid)
        if code not in expected or said.count("\n") != 1:
            yield f"{name}: exit code {code}: {said!r}"
        unit.file.write_text(right)
        (code,), said = unit.run("ExecReload", daemon.pid)
        if code != 0 or said:
            yield f"{name}, and then the right one: exit code {code}: {said!r}"
    unit.file.write_text(right + "nonsense = [\n")
    unit.run("ExecReload", daemon.pid)
    status = unit.status()
    if status["config"] != before or not any("the last reload failed" in problem for problem in status["problems"]):
        yield f"status does not say that the reload was refused: {status['problems']}"
    unit.file.write_text(right)
    unit.run("ExecReload", daemon.pid)
    if any("reload" in problem for problem in unit.status()["problems"]):
        yield "the problem stays"


def out_of_reach(unit, daemon):
    """A daemon whose socket is gone reloads all the same, and this is no success; another process than the unit's is not taken for it."""
    socket = unit.host.work / f"{unit.part}.sock"
    socket.rename(f"{socket}.away")
    unit.file.write_text("nonsense = [\n" + unit.file.read_text())
    (code,), said = unit.run("ExecReload", daemon.pid)
    pathlib.Path(f"{socket}.away").rename(socket)
    if code != 1 or "SIGHUP" not in said:
        yield f"its socket is gone: exit code {code}: {said!r}"
    if not any("the last reload failed" in problem for problem in unit.status()["problems"]):
        yield "its socket is gone: it was not asked"
    unit.file.write_text(unit.file.read_text().split("\n", 1)[1])
    other = subprocess.Popen(["sleep", "60"])
    (code,), said = unit.run("ExecReload", other.pid)
    if code != 1 or other.wait(timeout=30) != -signal.SIGHUP:
        yield f"another process: exit code {code}: {said!r}"
    if not any("the last reload failed" in problem for problem in unit.status()["problems"]):
        yield "another process: the one at the socket was asked"
    (code,), said = unit.run("ExecReload", daemon.pid)
    if code != 0:
        yield f"at the end: exit code {code}: {said!r}"


def once(unit, work, daemon):
    """What is wrong is in the journal once: the daemon says it, and no other line of the unit."""
    right = unit.file.read_text()
    unit.file.write_text(right + "nonsense = [\n")
    codes, said = in_journal(unit, work, "ExecReload", daemon.pid)
    if codes != [2] or said:
        yield f"a reload, which the daemon's own log has: {codes}: {said!r}"
    said = "".join(in_journal(unit, work, setting)[1] for setting in ("ExecStartPre", "ExecStart"))
    if said.count("nonsense = [") + said.count("not TOML") != 1 or said.count("\n") != 1:
        yield f"a start: {said!r}"
    unit.file.write_text(right)


def nobody(unit):
    (code,), said = unit.run("ExecReload")
    if code != 3 or said.count("\n") != 1:
        yield f"exit code {code}: {said!r}"


INTERFACE = {"server": "odd0", "guard": "odd0", "client": "odd1"}


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def make_interfaces():
    ip("link", "add", "odd0", "type", "veth", "peer", "name", "odd1")
    for name in ("odd0", "odd1"):
        ip("link", "set", name, "up")


def started(host, part, wrong, problem=None):
    """The part once more: it is at the interface of this name, or has this problem. Stopped again."""
    daemon = subprocess.Popen(host.daemon(part), stderr=subprocess.PIPE)
    status = host.units[part].status() if host.wait_for(part, daemon) else {}
    daemon.terminate()
    _, err = daemon.communicate()
    if not status:
        return wrong(f"it does not start: {err[-300:]!r}")
    if problem:
        return None if any(problem in one for one in status["problems"]) else wrong(f"no problem says {problem}: {status['problems']}")
    at = [one["index"] for one in status["interfaces"] if one["attached"]]
    return None if at == [if_nametoindex(INTERFACE[part])] else wrong(f"it is at {at}: {status['interfaces']}")


def while_stopped(host, part):
    """What may become of the interface meanwhile."""
    found = []
    started(host, part, lambda what: found.append(f"as it was: {what}"))
    ip("link", "del", "odd0")
    make_interfaces()
    started(host, part, lambda what: found.append(f"made anew: {what}"))
    name = INTERFACE[part]
    ip("link", "set", name, "down")
    ip("link", "set", name, "name", "other0")
    ip("link", "set", "other0", "up")
    started(host, part, lambda what: found.append(f"renamed: {what}"), "is not there" if part == "client" else "is called other0 now")
    ip("link", "set", "other0", "name", name)
    started(host, part, lambda what: found.append(f"named as before: {what}"))
    ip("link", "del", "odd0")
    if part == "client":
        started(host, part, lambda what: found.append(f"gone: {what}"), "is not there")
    else:
        run = subprocess.run(host.daemon(part), capture_output=True, timeout=300)
        said = [line for line in run.stderr.decode().splitlines() if line.startswith("trap-")]
        if run.returncode != 1 or len(said) != 1 or 'no interface "odd0"' not in said[0]:
            found.append(f"gone: exit code {run.returncode}: {run.stderr[-300:]!r}")
    make_interfaces()
    started(host, part, lambda what: found.append(f"back: {what}"))
    return found


def plays(host):
    for (part, unit), daemon in zip(host.units.items(), host.daemons):
        yield f"trap-{part}: reloads of wrong files", list(refused(unit, daemon))
        yield f"trap-{part}: a reload out of reach", list(out_of_reach(unit, daemon))
        yield f"trap-{part}: once in the journal", list(once(unit, host.work, daemon))
        yield f"trap-{part} still runs", [] if daemon.poll() is None else [f"exit code {daemon.returncode}"]
    host.stop_daemons()
    for part, unit in host.units.items():
        yield f"trap-{part}: a reload of none", list(nobody(unit))
    for part in host.units:
        yield f"trap-{part}: its interface while it is stopped", while_stopped(host, part)
        subprocess.run([*host.daemon(part), "--detach"], stderr=subprocess.DEVNULL)


def main():
    bin_dir, unit_dir, failed = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), 0
    if os.listdir("/sys/class/net") != ["lo"]:
        sys.exit("services.py: run it by isolated.sh: it makes interfaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="trap-services.") as folder:
        host = UnitHost(bin_dir, pathlib.Path(folder), unit_dir)
        try:
            host.start()
            for name, wrong in plays(host):
                print(f"not ok {name}:" + "".join(f"\n#   {one}" for one in wrong) if wrong else f"ok {name}", flush=True)
                failed += bool(wrong)
        finally:
            host.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
