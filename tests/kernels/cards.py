#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Parts of cards.sh. `options`, `modules`: for qemu and the machine. `play BUILD WORK PASS`: tries the cards, in the machine. `table KERNELS SUITE
[--write]`: keeps what the console says of a suite, and prints the table of all that were tried."""
import json
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs/machines.md"
BEGIN, END = "<!-- cards, by `tests/kernels/cards.sh --write` -->\n", "<!-- end of cards -->\n"
DEADLINE_S = 400  # for a start, at an emulated CPU
RETRY_S = 120  # the guard tries a refused interface again after 30
NO_NATIVE = "Underlying driver does not support XDP"
QEMU = "qemu-system-x86_64"
NO_CONTROL = "ctrl_guest_offloads=off"
NO_MERGING = "guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off"

# Name for people, qemu's device, the kernel's module, MTU, queues of the host's side.
CARDS = (
    ("virtio-net", "virtio-net-pci", "virtio_net", 1500, 1),
    ("virtio-net, 4 queues", "virtio-net-pci,mq=on,vectors=10", "virtio_net", 1500, 4),
    ("virtio-net without `ctrl_guest_offloads`", f"virtio-net-pci,{NO_CONTROL}", "virtio_net", 1500, 1),
    ("virtio-net without `ctrl_guest_offloads` and guest offloads", f"virtio-net-pci,{NO_CONTROL},{NO_MERGING},guest_csum=off", "virtio_net", 1500, 1),
    ("virtio-net without `mrg_rxbuf`", "virtio-net-pci,mrg_rxbuf=off", "virtio_net", 1500, 1),
    ("virtio-net, MTU 9000", "virtio-net-pci,host_mtu=9000", "virtio_net", 9000, 1),
    ("e1000", "e1000", "e1000", 1500, 1),
    ("e1000e", "e1000e", "e1000e", 1500, 1),
    ("igb", "igb", "igb", 1500, 1),
    ("igb, MTU 9000", "igb", "igb", 9000, 1),
    ("vmxnet3", "vmxnet3", "vmxnet3", 1500, 1),
    ("rtl8139", "rtl8139", "8139cp", 1500, 1),
)


def output_of(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    return done.returncode, done.stdout.strip()


def emulated():
    known = subprocess.run([QEMU, "-device", "help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [card for card in CARDS if f'name "{card[1].split(",")[0]}"' in known]


def mac_of(card):
    return f"52:54:00:00:00:{CARDS.index(card) + 16:02x}"


def options():
    for card in emulated():
        index = CARDS.index(card)
        queues = f",queues={card[4]}" if card[4] > 1 else ""
        print(f"-netdev\ntap,id=n{index},ifname=card{index},script=no,downscript=no{queues}")
        print(f"-device\n{card[1]},netdev=n{index},mac={mac_of(card)},romfile=")


def modules():
    print(*sorted({card[2] for card in CARDS}))


class Play:
    def __init__(self, build, work, tiny):
        self.build, self.work, self.tiny = pathlib.Path(build), pathlib.Path(work), tiny
        self.failures = 0

    def check(self, ok, what, otherwise=""):
        print(f"{'ok' if ok else 'not ok'} - {what}" + ("" if ok else ": " + " / ".join(str(otherwise).splitlines())), flush=True)
        self.failures += not ok
        return ok

    def program(self, name):
        return self.build / "bin" / name

    def guard(self, mode):
        """Its process and log, when it answers or has ended."""
        config, log = self.work / "guard.toml", self.work / f"guard-{mode}.log"
        config.write_text(f'interfaces = ["*"]\nxdp_mode = "{mode}"\nmode = "monitor"\nsecret_file = "{self.work}/guard.key"\n'
                          'trap_servers = ["203.0.113.10"]\n[[service]]\nname = "web"\nport = 80\n')
        process = subprocess.Popen([self.program("trap-guard"), "--config", config], stdout=open(log, "w"), stderr=subprocess.STDOUT)
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until and process.poll() is None and output_of(self.program("trapctl"), "status", "guard")[0] not in (0, 4):
            time.sleep(1)
        return process, log

    def end(self, process):
        process.terminate()
        process.wait()
        self.check(output_of(self.program("trap-guard"), "--detach", "--config", self.work / "guard.toml")[0] == 0, "the guard ends its programs")


def interface_of(card):
    for address in pathlib.Path("/sys/class/net").glob("*/address"):
        if address.read_text().strip() == mac_of(card):
            return address.parent.name
    return None


def mode_of(interface):
    words = re.search(r"\b(xdp\w*)\b", output_of("ip", "link", "show", interface)[1].split("\n")[0])
    return {"xdp": "native", "xdpgeneric": "generic"}.get(words.group(1), words.group(1)) if words else "none"


def kernel_words(play, interface):
    """Why the kernel takes no small native program there, asked past TRAP; empty if it takes one."""
    code, said = output_of("ip", "link", "set", "dev", interface, "xdpdrv", "object", play.tiny, "section", "xdp")
    output_of("ip", "link", "set", "dev", interface, "xdpdrv", "off")
    lines = [line.removeprefix("Error: ").rstrip(".") for line in said.splitlines() if "libbpf:" not in line and "RTNETLINK" not in line]
    return "" if code == 0 else (lines or said.splitlines() or [f"exit code {code}"])[0]


def complaints(play):
    """Doctor's findings that advise a command for an interface."""
    _, text = output_of(play.program("trapctl"), "doctor", "--json", "--part", "guard", "--config", play.work / "guard.toml")
    return {found["what"]: found["mend"] for found in json.loads(text)["checks"] if re.match(r"(ethtool|ip link) ", found["mend"])}


def check_doctor(play, mode):
    """Each command that doctor advises for an interface ends what it complains of."""
    found = complaints(play)
    said = {what: output_of("sh", "-c", re.split(r"[,;:] ", mend)[0])[1] for what, mend in found.items()}
    still = [f"{what}: {found.get(what)}: {said.get(what)}" for what in complaints(play)]
    play.check(not still, f"{mode}: each command that doctor advises helps ({len(found)})", "; ".join(still))


def command_in(line):
    return re.search(r"ip link set \w+ mtu \d+|ethtool -[KL] [^;,]*", line)


def check_native(play, log, tried):
    """The guard attaches where the kernel takes a small program; elsewhere its line has the kernel's reason, and following it helps."""
    lines = dict(re.findall(r"interface (\w+): cannot attach XDP in native mode: (.*)", log.read_text()))
    for name, facts in tried.items():
        facts["native"] = mode_of(facts["interface"]) == "native"
        line = lines.get(facts["interface"], "")
        play.check(facts["native"] == (not facts["words"]) == (not line), f"{name}: the guard attaches where the kernel takes a small program", f"{facts} {line}")
        if facts["native"]:
            continue
        print(f"   {line}")
        reason = "no native XDP" if facts["words"].startswith(NO_NATIVE) else facts["words"]
        play.check(reason in line, f"{name}: the guard's line has the kernel's reason", facts["words"])
        play.check((reason in line) == ("no native XDP" not in line or reason == "no native XDP"), f"{name}: it says no other")
        command = command_in(line)
        play.check(command or "hypervisor" in line or "no native XDP" in line, f"{name}: it names what can be changed", line)
        mtu = next(card[3] for card in CARDS if card[0] == name)
        play.check(mtu == 1500 or f"MTU is {mtu}" in line, f"{name}: it names an unusual MTU", line)
        if command:
            code, said = output_of("sh", "-c", command.group())
            until = time.monotonic() + RETRY_S
            while mode_of(facts["interface"]) != "native" and time.monotonic() < until:
                time.sleep(1)
            play.check(code == 0 and mode_of(facts["interface"]) == "native", f"{name}: it attaches after \"{command.group()}\"", said)


def play_cards(build, work, tiny):
    play = Play(build, work, tiny)
    output_of(play.program("trapctl"), "key", "generate", play.work / "master.key")
    code, said = output_of(play.program("trapctl"), "key", "derive", "web-1", "--master", play.work / "master.key", "--output", play.work / "guard.key")
    play.check(code == 0, "the guard has a key", said)
    tried = {}
    for card in CARDS:
        name, mtu, interface = card[0], card[3], interface_of(card)
        if interface is None:
            continue
        code, said = output_of("ip", "link", "set", interface, "mtu", str(mtu), "up")
        play.check(code == 0, f"{name} is {interface}", said)
        tried[name] = {"interface": interface, "words": kernel_words(play, interface)}

    process, log = play.guard("native")
    if play.check(process.poll() is None, "the guard starts", log.read_text()):
        check_native(play, log, tried)
        check_doctor(play, "native")
    play.end(process)
    process, log = play.guard("generic")
    for name, facts in tried.items():
        play.check(mode_of(facts["interface"]) == "generic", f'{name}: xdp_mode = "generic" works', log.read_text()[-500:])
    check_doctor(play, "generic")
    play.end(process)
    for facts in tried.values():
        noted = re.search(rf"{facts['interface']}: (.*\bXDP\b.*)", output_of("dmesg")[1])
        facts["noted"] = noted.group(1).rstrip(".") if noted else ""
    print("outcome " + json.dumps({"release": output_of("uname", "-r")[1], "cards": tried}))
    print(f"failures {play.failures}")


def cell(facts):
    if facts is None:
        return "not in this QEMU"
    noted = f"; its log: \"{facts['noted']}\"" if facts["noted"] else ""
    if facts["native"]:
        return "yes" + noted
    return "no" if facts["words"].startswith(NO_NATIVE) else f"refused: \"{facts['words']}\"{noted}"


def table(kernels, suite, *write):
    kernels = pathlib.Path(kernels)
    console = (kernels / "cards.log").read_text()
    outcome = re.search(r"^outcome (\{.*\})$", console, re.M)
    if not outcome:
        sys.exit("cards.sh: the machine came to no end; its console is " + str(kernels / "cards.log"))
    kept = json.loads(outcome.group(1))
    kept["qemu"] = output_of(QEMU, "--version")[1].split("(")[0].split()[-1]
    (kernels / f"cards-{suite}.json").write_text(json.dumps(kept, indent=1) + "\n")
    every = [json.loads(path.read_text()) for path in kernels.glob("cards-*.json")]
    every.sort(key=lambda one: [int(number) for number in re.findall(r"\d+", one["release"])])
    heads = [f"{one['release']}, QEMU {one['qemu']}" for one in every]
    rows = [[card[0]] + [cell(one["cards"].get(card[0])) for one in every] for card in CARDS]
    text = "\n".join("| " + " | ".join(row) + " |" for row in [["card", *heads], ["---"] * (1 + len(heads)), *rows]) + "\n"
    print("\n" + text)
    if write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        _, ended, after = rest.partition(END)
        if not ended:
            sys.exit(f"cards.sh: {PAGE} has no lines around its table: {BEGIN.strip()}, {END.strip()}")
        PAGE.write_text(before + BEGIN + "\n" + text + "\n" + END + after)
    return 0 if "\nfailures 0\n" in console else 1


if __name__ == "__main__":
    verb, rest = sys.argv[1], sys.argv[2:]
    sys.exit({"options": options, "modules": modules, "play": play_cards, "table": table}[verb](*rest))
