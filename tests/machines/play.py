#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""play.py PACKAGES [--suite S] [PLAY...]: TRAP's packages on a Debian that systemd starts, emulated.

Prints "ok" and "not ok" lines and the measured times. Exit code 0 only if each is ok. Needs root; its
network is a namespace of its own, its machines end with it."""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
from checks import Play, check_boot, check_denials, check_life, check_prober, follow, property_of  # noqa: E402
from image import Image  # noqa: E402
from machine import Machine  # noqa: E402
from network import CLIENTS, ROUTER, SERVERS, STRANGER, interfaces, ip, make_network  # noqa: E402
from prober import Prober  # noqa: E402
from two_hosts import two_hosts  # noqa: E402

FORMER = "0.4.0"


def curl(source=ROUTER):
    return subprocess.run(["curl", "--silent", "--interface", source, "--max-time", "10", "--output", "/dev/null",
                           "--write-out", "%{http_code}", "http://203.0.113.10/"], stdout=subprocess.PIPE, text=True).stdout


def one_host(play, image, work):
    machine = Machine(image({"/etc/network/interfaces": interfaces(ROUTER, "203.0.113.10")}), work)
    try:
        machine.power_on()
        machine.wait_for_agent()
        play.check(property_of(machine, "trap-server", "UnitFileState") == "disabled", "the installed package enables nothing")
        follow(play, "docs/howto/one-host.md", {"trap": machine, "client": None})
        machine.reboot()
        machine.wait_for_agent()
        check_boot(play, machine, "server")
        play.check(curl() == "200", "a client is served after the reboot")
        check_life(play, machine, "server")
        play.check(curl() == "200", "a client is served after the life of its daemon")
        check_denials(play, machine, "server")
        play.check(curl() == "200", "a client is served at the end")
    finally:
        machine.power_off()


GUARD = """interfaces = ["eth0"]
trap_servers = ["203.0.113.10"]
mode = "enforce"
trusted = ["203.0.113.1"]
[[service]]
name = "web"
port = 80
"""


def guard_boot(play, image, work):
    """A guard that enforces, from power-on: how long is its port open to an uninvited host?"""
    machine = Machine(image({"/etc/network/interfaces": interfaces(ROUTER, "203.0.113.10"), "/etc/trap/guard.toml": GUARD}), work)
    prober = Prober(STRANGER, "203.0.113.10", 80)
    try:
        machine.power_on()
        machine.wait_for_agent()
        play.on(machine, "trapctl key generate /root/master.key && trapctl key derive web-1 --master /root/master.key --output /etc/trap/guard.key", "keys")
        play.on(machine, "trap-guard --check-config && systemctl enable --now trap-guard", "the guard starts", 600)
        prober.start()
        machine.reboot()
        machine.wait_for_agent()
        check_boot(play, machine, "guard")
        time.sleep(3)
        check_prober(play, prober, machine.shut_down_at, "through shutdown and boot")
        play.check(curl() == "200", "the trusted peer gets through")
        prober.forget()
        check_life(play, machine, "guard")
        check_prober(play, prober, machine.shut_down_at, "through reload, restart, stop and kill")
        play.check(curl() == "200", "the trusted peer gets through at the end")
    finally:
        machine.power_off()
        prober.stop()


class Peers:
    """A TRAP server and an invited client of the former version, in namespaces beside the machine."""

    def __init__(self, work, packages):
        self.work, self.daemons = work, []
        self.binaries = work / "peers/usr/sbin"
        for package in packages.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, work / "peers"], check=True)
        binaries = work / "peers/usr/bin"
        self.master, self.guard_key = work / "master.key", work / "guard.key"
        subprocess.run([binaries / "trapctl", "key", "generate", self.master], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([binaries / "trapctl", "key", "derive", "web-1", "--master", self.master, "--output", self.guard_key], check=True, stdout=subprocess.DEVNULL)
        pathlib.Path("/run/netns").mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"], check=True)
        self._host("trap", "203.0.113.10", ROUTER, SERVERS)
        self._host("client", "192.0.2.10", "192.0.2.1", CLIENTS)
        self._daemon("trap", "server", f"""interfaces = ["eth0"]
xdp_mode = "generic"
master_key_file = "{self.master}"
[[service]]
name = "web"
addresses = ["203.0.113.10:80"]
unaware = "reset"
  [[service.backend]]
  address = "198.51.100.20:80"
  guard = "web-1"
""")
        self._daemon("client", "client", 'interfaces = ["eth0"]\n')

    def _host(self, name, address, gateway, bridge):
        ip("netns", "add", name)
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", name, "master", bridge, "up")
        for words in (("link", "set", "lo", "up"), ("addr", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "eth0", "up"), ("route", "add", "default", "via", gateway)):
            ip("-n", name, *words)
        subprocess.run(["ip", "netns", "exec", name, "ethtool", "-K", "eth0", "tx", "off"], check=True, stdout=subprocess.DEVNULL)

    def _daemon(self, host, part, text):
        folder = self.work / host
        folder.mkdir()
        (folder / "toml").write_text(text)
        script = ('mount -t bpf bpf /sys/fs/bpf; mkdir -p /run/trap; mount -t tmpfs -o mode=755 tmpfs /run/trap; '
                  'exec "$1" --config "$2"')
        self.daemons.append(subprocess.Popen(["ip", "netns", "exec", host, "unshare", "--mount", "sh", "-euc", script, "sh",
                                              self.binaries / f"trap-{part}", folder / "toml"], stdout=open(folder / "log", "w"), stderr=subprocess.STDOUT))

    def curl(self, *options):
        return ["ip", "netns", "exec", "client", "curl", "--silent", "--show-error", "--connect-timeout", "20",
                "--write-out", "%{stderr}%{http_code} %{size_download}", *options, "http://203.0.113.10/large"]

    def first_kilobyte(self):
        return subprocess.run(self.curl("--range", "0-999", "--output", "/dev/null"), stderr=subprocess.PIPE, text=True).stderr

    def logs(self):
        return "\n".join(path.read_text()[-800:] for path in self.work.glob("*/log"))

    def stop(self):
        for daemon in self.daemons:
            daemon.terminate()
            daemon.wait()


DOWNLOAD_BYTES = 100_000_000


class SlowDownload:
    """A download that lasts for as long as it should: of its last tenth it takes a little at a time until finish()."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.may_end = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        taken = 0
        while chunk := os.read(self.process.stdout.fileno(), 40_000 if taken < DOWNLOAD_BYTES * 0.9 or self.may_end.is_set() else 1_000):
            taken += len(chunk)
            self.may_end.wait(0.1)

    def runs(self):
        return self.process.poll() is None

    def finish(self):
        self.may_end.set()
        self.reader.join()
        said = self.process.stderr.read().decode()
        self.process.wait()
        return said


def upgrade(play, image, work, packages):
    """apt upgrades the guard from the former version while an invited client downloads and an uninvited host probes."""
    peers = Peers(work, former_packages(packages))
    files = {"/etc/network/interfaces": interfaces("198.51.100.1", "198.51.100.20"), "/etc/trap/guard.key": peers.guard_key.read_bytes(),
             "/etc/trap/guard.toml": GUARD.replace("203.0.113.1\"", "203.0.113.10\""), "/etc/apt/sources.list": "deb [trusted=yes] file:/srv/offered ./\n",
             # A reader this slow keeps its window shut for minutes: nginx gives up after one.
             "/etc/nginx/conf.d/patience.conf": "send_timeout 1h;\n"}
    machine, prober = None, Prober(STRANGER, "198.51.100.20", 80)
    try:
        machine = Machine(image(files, former=True), work)
        machine.power_on()
        machine.wait_for_agent()
        play.on(machine, f"truncate -s {DOWNLOAD_BYTES} /var/www/html/large && systemctl enable --now trap-guard && apt-get -qq update", "the former version guards", 900)
        print("   " + machine.run("dpkg-query -W trap-guard")[1])
        time.sleep(3)
        first = peers.first_kilobyte()
        play.check(first == "206 1000", "an invited client is let in by the former version", first + "\n" + peers.logs())
        prober.start()
        slow = SlowDownload(peers.curl("--output", "-"))
        time.sleep(2)
        begun = time.monotonic()
        play.on(machine, "apt-get -y -q -o Dpkg::Options::=--force-confold upgrade", "apt upgrade", 900)
        print(f"   apt upgrade took {time.monotonic() - begun:.0f} s; " + machine.run("dpkg-query -W trap-guard")[1])
        upgraded_during = slow.runs()
        code, status = machine.run("for i in 1 2 3 4 5; do trapctl status guard && exit 0; sleep 1; done; exit 1")
        play.check(code == 0, "status is ok within 5 s", status + "\n" + machine.run("systemctl status trap-guard --no-pager; journalctl -b -u trap-guard --no-pager -o short-monotonic | tail -n 25")[1])
        play.check("active" in machine.run("systemctl is-active trap-guard; tr '\\0' '\\n' </proc/$(systemctl show trap-guard -p MainPID --value)/cmdline; ls -l /proc/$(systemctl show trap-guard -p MainPID --value)/exe | grep -v deleted")[1], "its program is the new file")
        outcome = slow.finish()
        play.check(upgraded_during, "the download was still running when the upgrade had ended")
        play.check(outcome == f"200 {DOWNLOAD_BYTES}", "the download ended whole", outcome)
        play.check(not prober.opened and not prober.refused, f"of {prober.tries} tries none got through", f"{len(prober.opened)} did, {len(prober.refused)} were refused")
        again = peers.first_kilobyte()
        play.check(again == "206 1000", "an invited client is let in by the new version", again)
        for flows in ("1048576", "16777216"):
            code, said = machine.run(f"sed 's/^mode/max_flows = {flows}\\nmode/' /etc/trap/guard.toml >/root/flows.toml; systemd-run --quiet --pipe --wait -p MemoryMax=$(systemctl show trap-guard -p MemoryMax --value) trap-guard --config /root/flows.toml --check-config")
            print(f"   max_flows = {flows}: --check-config gives {code}: {said[-200:]}")
            play.check(code in (0, 2), f"max_flows = {flows} is judged by --check-config", said)
    finally:
        if machine:
            machine.power_off()
        prober.stop()
        peers.stop()


PLAYS = {"one-host": one_host, "two-hosts": two_hosts, "guard-boot": guard_boot, "upgrade": upgrade}


def image_of(arguments, work, files, former=False, **more):
    """With this version's packages; or with those of the former, and this version's offered by apt."""
    packages = arguments.packages.resolve()
    if not former:
        return Image(arguments.suite, packages, work, files, **more)
    return Image(arguments.suite, former_packages(packages), work, files, offered=packages, **more)


def former_packages(packages):
    older = ROOT / "build/machines/former"
    if not list(older.glob("*.deb")):
        subprocess.run([HERE / "former.sh", FORMER, packages, older], check=True)
    return older


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=pathlib.Path)
    parser.add_argument("plays", nargs="*", default=[], metavar="PLAY", help=", ".join(PLAYS))
    parser.add_argument("--suite", default="bookworm")
    arguments = parser.parse_args()
    unknown = set(arguments.plays) - set(PLAYS)
    if unknown:
        parser.error(f"no play {', '.join(unknown)}: there are {', '.join(PLAYS)}")
    if not list(arguments.packages.glob("*.deb")):
        parser.error(f"{arguments.packages} has no packages: make packages builds them")
    if os.geteuid() != 0:
        parser.error("it makes network namespaces and machines: run it as root")
    if "TRAP_MACHINES_OUTSIDE" not in os.environ:
        outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        os.set_inheritable(outside, True)
        os.environ["TRAP_MACHINES_OUTSIDE"] = str(outside)
        os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, "-B", *sys.argv])
    (ROOT / "build/machines").mkdir(parents=True, exist_ok=True)
    make_network()
    play = Play()
    for name in arguments.plays or PLAYS:
        work = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}.", dir=ROOT / "build/machines"))
        print(f"# {name}", flush=True)
        begun = time.monotonic()
        more = {"packages": arguments.packages.resolve()} if name == "upgrade" else {}
        try:
            PLAYS[name](play, lambda files, at=work, **options: image_of(arguments, at, files, **options), work, **more)
        finally:
            for console in work.rglob("console*"):  # and of the boot before
                if not console.is_file():
                    continue  # a half-made disk has a device of that name
                machine = "" if console.parent == work else f".{console.parent.name}"
                shutil.copy(console, ROOT / f"build/machines/{name}{machine}.{console.name}")
            shutil.rmtree(work)
        print(f"   {name}: {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if play.failures else 0


if __name__ == "__main__":
    sys.exit(main())
