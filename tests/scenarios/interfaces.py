#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stranger at each kind of interface that this kernel can make: trap-guard covers it, refuses it
at the start, or names it as uncovered; it never says that all is well while the stranger gets in.
Usage: isolated.sh interfaces.py BIN_DIR [--quick] (as root). Prints "ok NAME" or "not ok NAME: why".
"""
import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
OUTSIDE, PORT = "trap-outside", 80


def run(command, check=True, **more):
    return subprocess.run(command, shell=isinstance(command, str), check=check, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def outside(command):
    run(f"ip netns exec {OUTSIDE} {command}")


def in_outside(function):
    """The result of a function whose thread is in the other network namespace."""
    results = []

    def body():
        with open(f"/run/netns/{OUTSIDE}") as namespace:
            if LIBC.setns(namespace.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        results.append(function())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return results[0]


def stranger_gets_in(address):
    def connect():
        try:
            socket.create_connection((address, PORT), timeout=0.5).close()
            return True
        except OSError:
            return False
    return in_outside(connect)


def open_tun(name, mode):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", name.encode(), mode | 0x1000))
    return fd


class Wire:
    """Carries packets between a tun or tap here and one outside."""

    def __init__(self, name, mode):
        self.ends = [open_tun(name, mode), in_outside(lambda: open_tun(name, mode))]
        self.open = True
        self.thread = threading.Thread(target=self.carry)
        self.thread.start()

    def carry(self):
        while self.open:
            for at in select.select(self.ends, [], [], 0.1)[0]:
                try:
                    os.write(self.ends[at == self.ends[0]], os.read(at, 65536))
                except OSError:
                    pass

    def close(self):
        self.open = False
        self.thread.join()
        for end in self.ends:
            os.close(end)


def tunnel(kind, here, there):
    for prefix, local, remote in (("", here, there), (f"ip netns exec {OUTSIDE} ", there, here)):
        run(f"{prefix}ip link add k0 type {kind} local {local} remote {remote}")


def wireguard():
    keys = [run("wg genkey").stdout.strip() for _ in range(2)]
    public = [run("wg pubkey", input=key).stdout.strip() for key in keys]
    for here, prefix, peer in ((0, "", "10.1.0.2"),
                               (1, f"ip netns exec {OUTSIDE} ", "10.1.0.1")):
        run(f"{prefix}ip link add k0 type wireguard")
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(keys[here])
            file.flush()
            run(f"{prefix}wg set k0 listen-port 5000 private-key {file.name} peer "
                f"{public[1 - here]} allowed-ips 0.0.0.0/0 endpoint {peer}:5000")


def veth_with(here):
    """A veth pair whose end here, k1, is below k0, which `here` makes."""
    run(f"ip link add k1 type veth peer name k0 netns {OUTSIDE}")
    run(here)
    run("ip link set k1 up")


def bond():
    veth_with("ip link add k0 type bond mode active-backup && ip link set k1 master k0")


def bridge():
    veth_with("ip link add k0 type bridge && ip link set k1 master k0")


def vlan():
    run(f"ip link add k1 type veth peer name k1 netns {OUTSIDE}")
    for prefix in ("", f"ip netns exec {OUTSIDE} "):
        run(f"{prefix}ip link set k1 up")
        run(f"{prefix}ip link add link k1 name k0 type vlan id 5")


def vxlan():
    for prefix, remote in (("", "10.1.0.2"), (f"ip netns exec {OUTSIDE} ", "10.1.0.1")):
        run(f"{prefix}ip link add k0 type vxlan id 4 dstport 4789 remote {remote}")


def geneve():
    for prefix, remote in (("", "10.1.0.2"), (f"ip netns exec {OUTSIDE} ", "10.1.0.1")):
        run(f"{prefix}ip link add k0 type geneve id 4 remote {remote}")


def macvlan_sibling():
    """Host and stranger are macvlans of one device: packets between them never arrive at it."""
    run("ip link add k1 type dummy || ip link add k1 type veth peer name k2 && ip link set k2 up",
        check=False)
    run("ip link set k1 up")
    run("ip link add link k1 name k0 type macvlan mode bridge")
    run(f"ip link add link k1 name k3 type macvlan mode bridge")
    run(f"ip link set k3 netns {OUTSIDE} name k0")


V4, V6 = ("10.1.0.1", "10.1.0.2"), ("fd01::1", "fd01::2")
KINDS = {
    "veth": lambda: run(f"ip link add k0 type veth peer name k0 netns {OUTSIDE}"),
    "macvlan": lambda: veth_with("ip link add link k1 name k0 type macvlan mode bridge"),
    "macvlan-sibling": macvlan_sibling,
    "ipvlan": lambda: veth_with("ip link add link k1 name k0 type ipvlan mode l2"),
    "ipvlan-l3": lambda: veth_with("ip link add link k1 name k0 type ipvlan mode l3"),
    "bond": bond,
    "bridge": bridge,
    "vlan": vlan,
    "tun": lambda: Wire("k0", 1),
    "tap": lambda: Wire("k0", 2),
    "ipip": lambda: tunnel("ipip", *V4),
    "sit": lambda: tunnel("sit", *V4),
    "gre": lambda: tunnel("gre", *V4),
    "gretap": lambda: tunnel("gretap", *V4),
    "erspan": lambda: tunnel("erspan erspan_ver 1 seq key 7", *V4),
    "vti": lambda: tunnel("vti key 7", *V4),
    "ip6tnl": lambda: tunnel("ip6tnl mode any", *V6),
    "ip6gre": lambda: tunnel("ip6gre", *V6),
    "ip6gretap": lambda: tunnel("ip6gretap", *V6),
    "vxlan": vxlan,
    "geneve": geneve,
    "wireguard": wireguard,
    "dummy": lambda: run("ip link add k0 type dummy"),
    "ifb": lambda: run("ip link add k0 type ifb"),
    "vrf": lambda: run("ip link add k0 type vrf table 10"),
    "netkit": lambda: run(f"ip link add k0 type netkit peer name k0 netns {OUTSIDE}"),
}
NO_STRANGERS = ("dummy", "ifb", "vrf")  # nothing comes in by them


class Guard:
    def __init__(self, binaries, directory, interfaces, mode):
        self.socket = f"{directory}/guard.sock"
        self.pins = f"/sys/fs/bpf/trap-{os.getpid()}"
        self.path = f"{directory}/guard.toml"
        self.binaries = binaries
        self.key = f"{directory}/guard.key"
        with open(self.path, "w") as file:
            file.write(f'interfaces = {json.dumps(interfaces)}\nxdp_mode = "{mode}"\n'
                       f'secret_file = "{self.key}"\npin_dir = "{self.pins}"\n'
                       f'control_socket = "{self.socket}"\ntrap_servers = ["192.0.2.1"]\n'
                       f'[[service]]\nname = "web"\nport = {PORT}\n')
        self.log = open(f"{directory}/guard.log", "w+")
        self.process = subprocess.Popen([f"{binaries}/trap-guard", "--config", self.path],
                                        stderr=self.log, text=True)

    def status(self):
        told = run([f"{self.binaries}/trapctl", "status", "guard", "--json", "--socket", self.socket],
                   check=False)
        try:
            told = json.loads(told.stdout)
            return told[0] if isinstance(told, list) else told
        except ValueError:
            return None

    def wait(self):
        """True if it runs, False if it refused."""
        for _ in range(4000):
            if self.process.poll() is not None:
                return False
            if " ready" in self.text() or "ready:" in self.text():
                return True
            time.sleep(0.02)
        raise RuntimeError("trap-guard neither starts nor ends: " + self.text())

    def text(self):
        with open(self.log.name) as file:
            return file.read()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        run([f"{self.binaries}/trap-guard", "--detach", "--config", self.path], check=False)
        self.log.close()


def try_kind(kind, interfaces, mode, binaries, directory, late):
    """Why a case failed; empty if it did not; None if this kernel has no such interface."""
    run(f"ip netns add {OUTSIDE}")
    guard = wire = None
    try:
        run(f"ip link add eth0 type veth peer name eth0 netns {OUTSIDE}")
        for prefix, v4, v6 in (("", "10.1.0.1", "fd01::1"),
                               (f"ip netns exec {OUTSIDE} ", "10.1.0.2", "fd01::2")):
            run(f"{prefix}ip addr add {v4}/24 dev eth0")
            run(f"{prefix}ip addr add {v6}/64 dev eth0 nodad")
            run(f"{prefix}ip link set eth0 up")
        if late:
            guard = Guard(binaries, directory, interfaces, mode)
            if not guard.wait():
                return "does not start: " + guard.text()
        try:
            wire = KINDS[kind]()
        except (subprocess.CalledProcessError, OSError):
            return None
        run("ip addr add 10.2.0.1/24 dev k0")
        run("ip link set k0 up")
        if kind not in NO_STRANGERS:
            outside("ip addr add 10.2.0.2/24 dev k0")
            outside("ip link set k0 up")
        if not late:
            if kind not in NO_STRANGERS and not any(stranger_gets_in("10.2.0.1")
                                                    for _ in range(4)):
                return "nothing gets in even without a guard"
            guard = Guard(binaries, directory, interfaces, mode)
            if not guard.wait():
                lines = guard.text().strip().splitlines()
                return "" if "k0" in lines[-1] else "refused without its name: " + lines[-1]
        else:
            time.sleep(0.3)
        status = guard.status()
        named = "k0" in [way["name"] for way in status["uncovered"] if not way["harmless"]]
        named_at_all = "k0" in [way["name"] for way in status["uncovered"]]
        covered = "k0" in [one["name"] for one in status["interfaces"] if one["attached"]]
        gets_in = kind not in NO_STRANGERS and stranger_gets_in("10.2.0.1")
        if gets_in and not named:
            return f"a stranger gets in, and it says {status['problems']}"
        if named and not status["problems"]:
            return "uncovered, and not degraded"
        if kind in NO_STRANGERS and not named_at_all and not covered:
            return "neither covered nor named"
        print(f"# {kind}: {'named as uncovered' if named else 'covered'}")
        return ""
    finally:
        if guard:
            guard.end()
        if wire and isinstance(wire, Wire):
            wire.close()
        run(f"ip netns del {OUTSIDE}")
        for name in ("k0", "k1", "eth0"):
            run(f"ip link del {name}", check=False)


def main():
    binaries, quick = os.path.abspath(sys.argv[1]), "--quick" in sys.argv
    listener = socket.create_server(("0.0.0.0", PORT), backlog=64)
    threading.Thread(target=lambda: [c[0].close() for c in iter(listener.accept, None)],
                     daemon=True).start()
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        run(f"{binaries}/trapctl key generate {directory}/master.key && {binaries}/trapctl key "
            f"derive web --master {directory}/master.key --output {directory}/guard.key")
        cases = [("tun", ["*"], "generic", True), ("vxlan", ["eth0"], "native", False)]
        if not quick:
            cases += [(kind, ["*"], "generic", False) for kind in KINDS]
            cases += [(kind, ["*"], "native", False) for kind in KINDS]
            cases += [(kind, ["eth0"], "native", False) for kind in KINDS]
            cases += [(kind, ["*"], "generic", True) for kind in KINDS]
            cases += [(kind, ["k0"], "generic", False) for kind in KINDS]
        for kind, interfaces, mode, late in cases:
            name = f"{kind} {' '.join(interfaces)} {mode}{' late' if late else ''}"
            why = try_kind(kind, interfaces, mode, binaries, directory, late)
            failed |= bool(why)
            print(f"skip {name}: this kernel cannot make it" if why is None
                  else f"not ok {name}: {why}" if why else f"ok {name}", flush=True)
    return failed


if __name__ == "__main__":
    os._exit(main())
