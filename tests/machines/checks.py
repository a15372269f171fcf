# SPDX-License-Identifier: Apache-2.0
"""Checks of a machine that plays share: pages followed to the letter, boots, and a unit's life."""
import importlib.util
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXPOSURE_LIMIT = 2.0  # systemd-analyze security
OWN_COOKIES_SINCE = (6, 9)  # a server on an older kernel needs two sysctls
SYSCTLS_NAMED = "before-linux-69"  # the section of ONE_HOST that has them
ONE_HOST = "docs/howto/one-host.md"
# Commands that print the programs of a part at eth0.
XDP = "ip -d link show eth0 | grep -o 'prog/xdp id [0-9]*'"
TC = "for way in ingress egress; do tc filter show dev eth0 $way | grep -o ' id [0-9]*' || exit 1; done"
ATTACHED = {"server": XDP, "guard": XDP, "client": TC}


class Play:
    def __init__(self):
        self.failures = 0

    def check(self, ok, what, otherwise=""):
        print(f"{'ok' if ok else 'not ok'} - {what}" + ("" if ok else f": {otherwise}"), flush=True)
        self.failures += not ok
        return ok

    def on(self, machine, script, what, deadline_s=300):
        code, output = machine.run(script, deadline_s)
        if code != 0:
            output += "\n" + machine.run("journalctl -b -p notice --no-pager -o cat -u 'trap-*' | tail -n 12")[1]
        self.check(code == 0, what, f"exit code {code}: {output[-2000:]}")
        return output


def property_of(machine, unit, name):
    return machine.run(f"systemctl show {unit} -p {name} --value")[1]


def seconds_of(machine, unit, name):
    return int(property_of(machine, unit, name + "Monotonic") or 0) / 1e6


def page_reader():
    """The documents' own test, which reads blocks and compares output."""
    spec = importlib.util.spec_from_file_location("documents", ROOT / "tests/documents/play.py")
    documents = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(documents)
    return documents


def is_old(machine):
    return tuple(int(word) for word in machine.run("uname -r")[1].split("-")[0].split(".")[:2]) < OWN_COOKIES_SINCE


def story_of(documents, page, hosts):
    """The blocks of a page that run on these hosts. If the page names the sysctls for old kernels,
    they come first on one."""
    blocks = [block for block in documents.blocks_of(ROOT / page)[0] if block.info in hosts and "sysctl -p" not in block.text]
    sysctls = [block for block in documents.blocks_of(ROOT / ONE_HOST)[0] if block.info == "trap" and "sysctl -p" in block.text]
    named = SYSCTLS_NAMED in (ROOT / page).read_text()
    return (sysctls if named and is_old(hosts["trap"]) else []) + blocks


def follow(play, page, hosts):
    """The blocks of a page, to the letter, with the output that it shows. A host without a machine
    is this namespace."""
    documents = page_reader()
    for block in story_of(documents, page, hosts):
        machine, text = hosts[block.info], "set -euo pipefail\n" + block.text.replace("/usr/local/share", "/usr/share")
        what = f"{block.page.relative_to(ROOT)}:{block.line} on {block.info}"
        if machine:
            output = play.on(machine, text, what)
        else:
            done = subprocess.run(["bash", "-c", text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            output = done.stdout
            play.check(done.returncode == 0, what, output)
        missing = list(documents.missing_output(block, output))
        if block.output:
            play.check(not missing, f"{what} prints what the page shows", f"{missing} is not in\n{output}")


def check_boot(play, machine, part):
    """The unit is up by itself; that of a part that protects, before an interface is configured."""
    machine.run("systemctl is-system-running --wait", 600)
    play.check(property_of(machine, f"trap-{part}", "ActiveState") == "active", f"trap-{part} is up after the boot",
               machine.run(f"systemctl status trap-{part}; journalctl -b -u trap-{part} --no-pager | tail -n 20")[1])
    begun, ready = (seconds_of(machine, f"trap-{part}", name) for name in ("InactiveExitTimestamp", "ActiveEnterTimestamp"))
    network = seconds_of(machine, "networking", "InactiveExitTimestamp")
    print(f"   from the kernel's start: trap-{part} starts after {begun:.1f} s, is ready after {ready:.1f} s; "
          f"the network is configured from {network:.1f} s on", flush=True)
    if part != "client":
        play.check(0 < ready <= network, f"trap-{part} is ready before an interface is configured", f"{ready} s, {network} s")
    cycles = machine.run("journalctl -b --no-pager | grep -i 'ordering cycle'")[1]
    play.check(not cycles, "there is no ordering cycle", cycles)


def check_prober(play, prober, since, when):
    """Neither a connection nor a refusal: a port that is closed by its program says nothing."""
    reached = sorted(prober.opened + prober.refused)
    play.check(prober.tries > 0 and not reached, f"of {prober.tries} tries {when} none got through",
               f"{len(prober.opened)} did, {len(prober.refused)} were refused, within {reached[-1] - reached[0]:.1f} s, "
               f"the first {reached[0] - since:.1f} s after the reboot began" if reached else "there were no tries")


def check_life(play, machine, part):
    """Reload, restart, stop and kill -9, and what the journal and systemd say."""
    unit, attached = f"trap-{part}", ATTACHED[part]
    first = play.on(machine, attached, "its program is at the interface")
    play.on(machine, f"systemctl reload {unit} && trapctl reload {part}", "reload")
    wrong = f"cp -p /etc/trap/{part}.toml /root/right.toml; echo 'nonsense = [' >>/etc/trap/{part}.toml; "
    play.on(machine, wrong + f"! systemctl reload {unit} && systemctl is-active {unit} && cp -p /root/right.toml /etc/trap/{part}.toml && "
            f"[ \"$(journalctl -b -u {unit} -o cat --no-pager | grep -c 'not TOML')\" = 1 ] && systemctl reload {unit}",
            "a reload of a wrong file fails, says why once in the journal, and the right file mends it")
    play.check(machine.run(attached)[1] == first, "the reloads left the program there")
    play.on(machine, f"systemctl restart {unit} && systemctl is-active {unit}", "restart")
    play.on(machine, attached, "a program is at the interface after the restart")
    play.on(machine, f"systemctl stop {unit} && ! systemctl is-active --quiet {unit} && {attached}", "stop leaves the program at work")
    play.on(machine, f"systemctl start {unit}", "start")
    play.on(machine, f"old=$(systemctl show {unit} -p MainPID --value); kill -9 $old; for i in $(seq 120); do sleep 1; "
            f"new=$(systemctl show {unit} -p MainPID --value); [ $new != 0 ] && [ $new != $old ] && systemctl is-active --quiet {unit} && exit 0; done; exit 1",
            "after kill -9 systemd starts it again")
    code, status = machine.run(f"trapctl status {part}")
    print("   " + status.replace("\n", "\n   ")[:1500])
    play.check(code in (0, 4), "trapctl status answers", status)
    play.on(machine, f"journalctl -b -u {unit} -o json --no-pager | grep -q TRAP_PART", "the journal has its fields")
    errors = machine.run(f"journalctl -b -u {unit} -p err -o cat --no-pager | grep -v '[Rr]eload failed\\|not reloaded\\|Main process exited\\|Failed with result\\|killed'")[1]
    play.check(not errors, "the journal has no error", errors)
    denied = machine.run("journalctl -b --no-pager | grep -iE 'trap-.*operation not permitted|type=1326|Bad system call'")[1]
    play.check(not denied, "nothing was denied: the unit's capabilities and system calls suffice", denied)
    exposure = machine.run(f"systemd-analyze security --no-pager {unit} | tail -n 1")[1]
    level = float(exposure.split("level for")[1].split(":")[1].split()[0]) if "level for" in exposure else 99.0
    play.check(level <= EXPOSURE_LIMIT, f"systemd-analyze security {unit}: {level}", exposure)


def check_denials(play, machine, part):
    """What a host may deny: the unit works, or says in a line what is missing, and comes back once it
    is there. The kernel takes no lockdown back: this is a machine's last check."""
    unit = f"trap-{part}"
    for value in (0, 2, 1):  # and 1 is for good
        play.on(machine, f"sysctl -qw kernel.unprivileged_bpf_disabled={value} && systemctl restart {unit}",
                f"it starts with kernel.unprivileged_bpf_disabled = {value}")
    play.on(machine, f"systemctl stop {unit} && {unit} --detach && umount /sys/fs/bpf && ! systemctl start {unit} && "
            f"journalctl -u {unit} -o cat --no-pager | tail -n 12 | grep 'cannot mount a bpffs at /sys/fs/bpf: .*: run mount -t bpf'",
            "without a bpffs it is refused, in a line that says what to run")
    play.on(machine, "mount -t bpf -o mode=700 bpf /sys/fs/bpf; for i in $(seq 120); do sleep 1; "
            f"systemctl is-active --quiet {unit} && exit 0; done; exit 1", "once that was run, systemd starts it")
    for level in ("integrity", "confidentiality"):
        play.on(machine, f"echo {level} >/sys/kernel/security/lockdown && systemctl restart {unit}", f"it starts under lockdown {level}")
        print("   " + machine.run(f"trapctl status {part} | grep problem: || echo no problem")[1].replace("\n", "\n   ")[:600])
