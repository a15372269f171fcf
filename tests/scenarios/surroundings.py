#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every subcommand of trapctl in odd surroundings: isolated.sh surroundings.py BIN_DIR (as root).

Closed streams, full disks, pipes that nobody reads, terminals of a few columns, foreign locales, no environment, another user, few
descriptors, no working directory; the daemons run, and an interface has a name that is neither UTF-8 nor harmless to a terminal. A
command ends by itself with a documented exit code, says so in lines of its own, and writes nothing into a file that is not for it.
Then files that a command writes where there is no room, and every daemon in a storm of reloads, started twice, two at once, without IPv6 or
IPv4, with a log that may not grow, and with clocks that no battery kept. Prints "ok" or "not ok" a command."""

import ctypes
import errno
import fcntl
import json
import os
import pathlib
import platform
import pty
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

ODD_NAME = b"\xff\x1b[31mX"
CODES = {0, 1, 2, 3, 4}

CONFIG = {
    "server": """interfaces = ["odd0"]
master_key_file = "master.key"
pin_dir = "WORK/bpf/server"
control_socket = "WORK/server.sock"
metrics_listen = "127.0.0.1:9464"
[[service]]
name = "web"
addresses = ["203.0.113.10:80"]
[[service.backend]]
address = "198.51.100.20:80"
guard = "web-1"
""",
    "guard": """interfaces = ["odd0"]
secret_file = "guard.key"
mode = "monitor"
trap_servers = ["203.0.113.10"]
pin_dir = "WORK/bpf/guard"
control_socket = "WORK/guard.sock"
[[service]]
name = "web"
port = 80
""",
    "client": """interfaces = ["odd1"]
pin_dir = "WORK/bpf/client"
control_socket = "WORK/client.sock"
""",
}

COMMANDS = """status --socket WORK/server.sock
status --socket WORK/guard.sock
status --socket WORK/client.sock
status --socket WORK/guard.sock --json
status --socket WORK/none.sock
ready --socket WORK/server.sock
ready web --socket WORK/server.sock --json
ready nosuch --socket WORK/server.sock
ready --socket WORK/guard.sock
backend list --socket WORK/server.sock
backend list --socket WORK/guard.sock
backend drain web 198.51.100.20:80 --socket WORK/server.sock
backend activate web 198.51.100.20:80 --socket WORK/server.sock --json
backend drain web 198.51.100.20:80 --socket WORK/client.sock
redirects --socket WORK/client.sock
redirects --socket WORK/server.sock
redirects flush --socket WORK/client.sock --json
knock 203.0.113.10:80 --timeout 0.05 --socket WORK/client.sock
guard mode --socket WORK/guard.sock
guard mode --socket WORK/server.sock
guard suspects --socket WORK/guard.sock
guard monitor --socket WORK/guard.sock --json
key status server --socket WORK/server.sock
key status guard --socket WORK/client.sock
key generate -
key derive web-1 --master WORK/master.key
top --once --interval 0.1 --socket WORK/server.sock
top --interval 0.1 --once --json --socket WORK/guard.sock
reload client --socket WORK/client.sock
reload --socket WORK/none.sock
explain --part server --socket WORK/server.sock --packet tcp+192.0.2.2:4242+>+203.0.113.10:80+SYN
explain --part client --socket WORK/client.sock --packet nonsense
decode --pcap WORK/none.pcap
decode --pcap WORK/junk
doctor --part guard --config WORK/guard.toml
doctor --part server --config WORK/server.toml --json
doctor --part client --config WORK/none.toml
capture --verdict drop-* -w - --seconds 0.1 --socket WORK/guard.sock
capture --verdict nonsense -w - --socket WORK/guard.sock
capture --verdict drop-* -w WORK/capture.NUMBER --seconds 0.1 --socket WORK/server.sock
--version
--help
status --help
nonsense"""


def closed(*numbers):
    def close():
        for number in numbers:
            os.close(number)
    return {"preexec_fn": close}


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))


def no_directory():
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


def surroundings():
    """Name, arguments of Popen, and what may happen: the exit codes of a command that could not print."""
    env = dict(os.environ)
    full = open("/dev/full", "wb")
    yield "as they are", {}, set()
    yield "no stdout", closed(1), {1}
    yield "no stderr", closed(2), set()
    yield "no stdin", closed(0), set()
    yield "no stream at all", closed(0, 1, 2), {1}
    yield "a full disk", {"stdout": full}, {1}
    yield "errors to a full disk", {"stderr": full}, set()
    yield "no environment", {"env": {}}, set()
    yield "a locale that is not there", {"env": {**env, "LC_ALL": "xx_YY.ISO-8859-1", "LANGUAGE": "xx"}}, set()
    yield "NO_COLOR, a dumb terminal", {"env": {**env, "NO_COLOR": "1", "TERM": "dumb"}}, set()
    yield "another user", {"user": True}, {1, 2}
    yield "few descriptors", {"preexec_fn": few_descriptors}, {1, 2}
    yield "no working directory", {"preexec_fn": no_directory}, set()
    yield "SIGPIPE ignored", {"preexec_fn": lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN)}, set()


def size_limit(size):
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))}


def no_ipv6():
    """As with ipv6.disable=1: socket(2) refuses the family."""
    if platform.machine() != "x86_64":
        return
    load, jump_equal, ret = 0x20, 0x15, 0x06  # struct seccomp_data: nr at 0, the first argument at 16
    program = [(load, 0, 0, 0), (jump_equal, 0, 3, 41), (load, 0, 0, 16), (jump_equal, 0, 1, socket.AF_INET6),
               (ret, 0, 0, 0x00050000 | errno.EAFNOSUPPORT), (ret, 0, 0, 0x7fff0000)]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, struct.pack("HxxxxxxP", len(program), ctypes.addressof(filters)), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def odd_hosts(bin_dir, work):
    """Name and arguments of Popen."""
    yield "a host without IPv6", {"preexec_fn": no_ipv6}
    switch = pathlib.Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    switch.write_text("1")
    yield "IPv6 switched off at every interface", {}
    for interface in ("odd0", "lo"):
        subprocess.run(["ip", "-4", "address", "flush", "dev", interface], check=True)
    yield "no address of any kind", {}
    switch.write_text("0")
    subprocess.run(["ip", "address", "add", "2001:db8:113::10/64", "dev", "odd0"], check=True)
    yield "a host without IPv4", {}
    for address, interface in (("203.0.113.10/24", "odd0"), ("127.0.0.1/8", "lo"), ("::1/128", "lo")):
        subprocess.run(["ip", "address", "replace", address, "dev", interface], check=True)
    with open(work / "log", "wb") as log:
        yield "a log that may not grow", {"stderr": log, **size_limit(0)}
    for year, seconds in (("1970", 5), ("1999", 915148800), ("2150", 5680281600)):
        clock = work / f"clock-{year}"
        clock.write_bytes(struct.pack("q", seconds - int(time.time())))
        yield f"the year {year}", {"env": {**os.environ, "LD_PRELOAD": str(bin_dir / "libtrap-lab-clock.so"), "TRAP_LAB_CLOCK": str(clock)}}


class Host:
    def __init__(self, bin_dir, work):
        self.bin_dir, self.work = bin_dir, work
        self.number, self.daemons = 0, []

    def line(self, text, another_user=False):
        self.number += 1
        become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if another_user else []
        words = text.replace("WORK", str(self.work)).replace("NUMBER", str(self.number)).split()
        return [*become, self.bin_dir / "trapctl", *(word.replace("+", " ") for word in words)]

    def daemon(self, part):
        return [self.bin_dir / f"trap-{part}", "--config", self.work / f"{part}.toml"]

    def start(self):
        (self.work / "bpf").mkdir()
        subprocess.run(["mount", "-t", "bpf", "bpf", self.work / "bpf"], check=True)
        for words in ("link add odd0 type veth peer name odd1", "link set odd0 up", "link set odd1 up", "link set lo up",
                      "address add 203.0.113.10/24 dev odd0", "link add odd2 type veth peer name odd3"):
            subprocess.run(["ip", *words.split()], check=True)
        subprocess.run([b"ip", b"link", b"set", b"odd2", b"up", b"name", ODD_NAME], check=True)
        subprocess.run([self.bin_dir / "trapctl", "key", "generate", self.work / "master.key"], check=True)
        subprocess.run([self.bin_dir / "trapctl", "key", "derive", "web-1", "--master", self.work / "master.key", "--output",
                        self.work / "guard.key"], check=True)
        for part, text in CONFIG.items():
            (self.work / f"{part}.toml").write_text(text.replace("WORK", str(self.work)))
            # Without any stream: what they print must not reach a socket or a map that got its number.
            self.daemons.append(subprocess.Popen(self.daemon(part), **closed(0, 1, 2)))
        for part, daemon in zip(CONFIG, self.daemons):
            if not self.wait_for(part, daemon):
                sys.exit(f"not ok trap-{part} did not start without streams")

    def wait_for(self, part, daemon):
        """Does the daemon get ready? It may take its time, and ends if it cannot."""
        for _ in range(3000):
            if self.json(f"status --socket WORK/{part}.sock --json").get("state", "starting") != "starting":
                return True
            if daemon.poll() is not None:
                break
            time.sleep(0.1)
        return False

    def play_on(self, part, options):
        """What is wrong with a daemon in these surroundings, from its start to its end."""
        daemon = subprocess.Popen(self.daemon(part), **{"stderr": subprocess.PIPE, **options})
        try:
            if not self.wait_for(part, daemon):
                yield "it does not start"
            elif ask(self.work / f"{part}.sock", b"GET /metrics HTTP/1.1\r\n\r\n")[0] != 200:
                yield "it gives no metrics"
            elif subprocess.run(self.line(f"reload {part} --socket WORK/{part}.sock"), capture_output=True).returncode != 0:
                yield "it does not reload"
        finally:
            daemon.terminate()
            _, err = daemon.communicate()
        if daemon.returncode != 0:
            yield f"exit code {daemon.returncode}: {(err or b'')[-300:]!r}"

    def json(self, text):
        out = subprocess.run(self.line(text), capture_output=True).stdout
        return json.loads(out) if out else {}

    def stop_daemons(self):
        for daemon in self.daemons:
            daemon.terminate()
            daemon.wait()
        self.daemons.clear()

    def stop(self):
        self.stop_daemons()
        for part in CONFIG:
            subprocess.run([*self.daemon(part), "--detach"], stderr=subprocess.DEVNULL)
        subprocess.run(["umount", self.work / "bpf"])


def odd_of(code, out, err, may_fail, expected, streams):
    """What is wrong with the end of a command."""
    if code not in CODES:
        return f"exit code {code}: {err[:200]!r}"
    if code not in {expected} | may_fail:
        return f"exit code {code}, not {expected}: {err[:200]!r}"
    for text in (out, err):
        if b"terminate called" in text or b"what()" in text or b"Assertion" in text:
            return f"an exception or assertion: {text[:200]!r}"
        if b"\x1b" in text:
            return f"an escape sequence: {text[:200]!r}"
    if any(not line.startswith(b"trapctl: ") for line in err.splitlines()):
        return f"a line that is not its own: {err[:200]!r}"
    if code in (2, 3) and streams and not err:
        return "it says nothing"
    return ""


def try_command(host, text, found):
    expected = None
    for name, options, may_fail in surroundings():
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
        process = subprocess.Popen(host.line(text, options.pop("user", False)), **options)
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            found.append(f"{name}: it does not end")
            continue
        code, out, err = process.returncode, out or b"", err or b""
        expected = code if expected is None else expected
        wrong = odd_of(code, out, err, may_fail, expected, "no " not in name and "errors" not in name)
        if name == "a full disk" and code == expected == 0 and "-w WORK" not in text:
            wrong = wrong or "it ends well though nothing was written"
        if wrong:
            found.append(f"{name}: {wrong}")
    # A reader that has gone: SIGPIPE or an error.
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(host.line(text), stdout=writer, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60)
    os.close(writer)
    if run.returncode not in {expected, 1, -signal.SIGPIPE}:
        found.append(f"a pipe without reader: exit code {run.returncode}")
    if b"capture." in text.encode():
        for file in host.work.glob("capture.*"):
            if file.read_bytes()[:4] != b"\x0a\x0d\x0d\x0a" or b"packets in" in file.read_bytes():
                found.append(f"{file.name}: other output is in the capture")
            file.unlink()
    found.extend(on_a_terminal(host, text, expected))


def on_a_terminal(host, text, expected):
    """On terminals of 40 columns, and of one, with the keyboard gone at once."""
    for rows, columns in ((10, 40), (1, 1)):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        live = text if "--json" in text else text.replace(" --once", "")
        process = subprocess.Popen(host.line(live), stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"},
                                   start_new_session=True)
        os.close(theirs)
        os.write(ours, b"q")
        out = b""
        try:
            while chunk := os.read(ours, 65536):
                out += chunk
        except OSError:
            pass
        os.close(ours)
        code = process.wait(timeout=60)
        if code not in {expected} and "-w -" not in text and not ("top" in text and code in (0, 4)):
            yield f"a terminal of {columns} columns: exit code {code}, not {expected}: {out[:200]!r}"


def ask(path, request):
    """Status and body of an HTTP answer at a control socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(request)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def odd_names(host):
    """An interface's name of any bytes, and paths of any bytes: answers that can be read, and no order to a terminal."""
    for part in CONFIG:
        sock = host.work / f"{part}.sock"
        for request, wanted in ((b"GET /status HTTP/1.1\r\n\r\n", {200}), (b"GET /metrics HTTP/1.1\r\n\r\n", {200}),
                                (b"GET /ready/%ff%1b HTTP/1.1\r\n\r\n", {404, 503}), (b"POST /%ff/%00 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", {400, 404})):
            code, body = ask(sock, request)
            try:
                body.decode()
            except UnicodeDecodeError as error:
                yield f"{part}: {request!r}: {error}"
            if code not in wanted:
                yield f"{part}: {request!r}: status {code}: {body[:100]!r}"
    status = host.json("status --socket WORK/guard.sock --json")
    if not any("[31mX" in way["name"] for way in status["uncovered"]):
        yield f"the guard does not name the odd interface: {status['uncovered']}"


WRITERS = """key generate FILE
key derive web-1 --master WORK/master.key --output FILE
capture --verdict drop-* -w FILE --seconds 0.1 --socket WORK/guard.sock"""


def no_room(host):
    """Folders in which a file cannot be written, with the arguments of Popen: name, folder, arguments."""
    def mounted(name, options):
        folder = host.work / name
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
        return folder
    full = mounted("full", "size=4k")
    (full / "there").write_bytes(bytes(4096))
    yield "a full disk", full, {}
    names = mounted("names", "nr_inodes=2")
    (names / "there").touch()
    yield "no room for a name", names, {}
    readonly = mounted("readonly", "size=4k")
    subprocess.run(["mount", "-o", "remount,ro", readonly], check=True)
    yield "a read-only disk", readonly, {}
    limited = mounted("limited", "size=64k")
    for size in (0, 1, 16):
        yield f"files of {size} bytes at most", limited, size_limit(size)
    for folder in (full, names, readonly, limited):
        subprocess.run(["umount", folder], check=True)


def whole_files(host):
    """A command that cannot write its file says so, and leaves nothing; one that is killed leaves nothing under the file's name."""
    for name, folder, options in no_room(host):
        before = sorted(os.listdir(folder))
        lines = [host.line(text.replace("FILE", f"WORK/{folder.name}/file")) for text in WRITERS.splitlines()]
        notes = [*host.daemon("guard"), "--note-types"]
        for line in [*lines, notes]:
            run = subprocess.run(line, capture_output=True, env={**os.environ, "RUNTIME_DIRECTORY": str(folder)}, timeout=60, **options)
            if run.returncode != 1 or run.stderr.count(b"\n") != 1 or sorted(os.listdir(folder)) != before:
                yield f"{name}: {line[1:]}: exit code {run.returncode}: {run.stderr[:200]!r}: {sorted(os.listdir(folder))}"
    file = host.work / "killed"
    capture = subprocess.Popen(host.line("capture --verdict drop-* -w WORK/killed --socket WORK/guard.sock"), stdout=subprocess.DEVNULL)
    while not list(host.work.glob(".trap-*")) and capture.poll() is None:
        time.sleep(0.01)
    capture.kill()
    capture.wait()
    if file.exists():
        yield "a capture that was killed left its file"
    for half in host.work.glob(".trap-*"):
        half.unlink()


def storm(host, part, daemon):
    """Reloads in the middle of reloads, by signal and by command: each is applied, none is lost to another."""
    before = host.json(f"status --socket WORK/{part}.sock --json")
    commands = []
    for _ in range(8):
        commands.append(subprocess.Popen(host.line(f"reload {part} --socket WORK/{part}.sock"), stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        for _ in range(25):
            daemon.send_signal(signal.SIGHUP)
    for command in commands:
        _, err = command.communicate()
        if command.returncode != 0:
            yield f"a reload: exit code {command.returncode}: {err[:200]!r}"
    after = host.json(f"status --socket WORK/{part}.sock --json")
    if (after["pid"], after["config"]) != (before["pid"], before["config"]) or any("reload" in problem for problem in after["problems"]):
        yield f"pid {before['pid']}, then {after['pid']}; {after['problems']}"


def second(host, part):
    """The same daemon once more, by mistake: refused in one line, and the first goes on."""
    run = subprocess.run(host.daemon(part), capture_output=True, timeout=300)
    if run.returncode != 1 or run.stderr.count(b"\n") != 1 or b"another daemon" not in run.stderr:
        yield f"exit code {run.returncode}: {run.stderr[-300:]!r}"


def both(host, part):
    """Two that start at the same time over the socket of an earlier run: one stays and answers, the other says a line."""
    path = host.work / f"{part}.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    daemons = [subprocess.Popen(host.daemon(part), stderr=subprocess.PIPE) for _ in range(2)]
    try:
        while all(daemon.poll() is None for daemon in daemons):
            time.sleep(0.1)
        ended, stays = sorted(daemons, key=lambda daemon: daemon.poll() is None)
        _, err = ended.communicate()
        said = [line for line in err.splitlines() if line.startswith(b"trap-")]
        if ended.returncode != 1 or len(said) != 1:
            yield f"the one that ends: exit code {ended.returncode}: {err[-300:]!r}"
        if not host.wait_for(part, stays) or host.json(f"status --socket WORK/{part}.sock --json")["pid"] != stays.pid:
            yield "the one that stays does not answer"
    finally:
        for daemon in daemons:
            daemon.terminate()
            daemon.wait()
            daemon.stderr.close()


def late_address(host, address):
    """An address of metrics_listen that comes after the daemon, as at a boot: a problem until it is there, and then an answer."""
    file = host.work / "server.toml"
    text = file.read_text()
    shown = f"[{address}]" if ":" in address else address
    file.write_text(text.replace("127.0.0.1:9464", f"{shown}:9465"))
    daemon = subprocess.Popen(host.daemon("server"), stderr=subprocess.DEVNULL)

    def is_told():
        return any("has that address" in problem for problem in host.json("status --socket WORK/server.sock --json")["problems"])
    try:
        if not host.wait_for("server", daemon):
            yield "it does not start"
            return
        if not is_told():
            yield "no problem says that the address is not there"
        subprocess.run(["ip", "address", "add", address, "dev", "odd0", *(["nodad"] if ":" in address else [])], check=True)
        with socket.create_connection((address, 9465), timeout=30) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            if not client.recv(4096).startswith(b"HTTP/1.1 200"):
                yield "no metrics at the address"
        if is_told():
            yield "the problem stays"
    finally:
        daemon.terminate()
        daemon.wait()
        file.write_text(text)


def plays(host, bin_dir):
    """(name, what is wrong) of everything, one after the other."""
    for text in COMMANDS.splitlines():
        found = []
        try_command(host, text, found)
        yield text, found
    yield "odd names", list(odd_names(host))
    yield "whole files", list(whole_files(host))
    for part, daemon in zip(CONFIG, host.daemons):
        yield f"trap-{part}: a storm of reloads", list(storm(host, part, daemon))
        yield f"trap-{part}: a second one", list(second(host, part))
        yield f"trap-{part} still runs", [] if daemon.poll() is None else [f"exit code {daemon.returncode}"]
    host.stop_daemons()
    for address in ("192.0.2.99", "2001:db8:99::1"):
        yield f"trap-server: metrics at {address}, which comes later", list(late_address(host, address))
    for part in CONFIG:
        yield f"trap-{part}: two at once", list(both(host, part))
    for name, options in odd_hosts(bin_dir, host.work):
        for part in CONFIG:
            yield f"trap-{part}, {name}", list(host.play_on(part, options))


def main():
    bin_dir, failed = pathlib.Path(sys.argv[1]).resolve(), 0
    if os.listdir("/sys/class/net") != ["lo"]:
        sys.exit("surroundings.py: run it by isolated.sh: it makes interfaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="trap-surroundings.") as folder:
        os.chmod(folder, 0o755)
        host = Host(bin_dir, pathlib.Path(folder))
        (host.work / "junk").write_bytes(bytes(range(256)) * 99)
        try:
            host.start()
            for name, wrong in plays(host, bin_dir):
                print(f"not ok {name}:" + "".join(f"\n#   {one}" for one in wrong) if wrong else f"ok {name}", flush=True)
                failed += bool(wrong)
        finally:
            host.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
