# SPDX-License-Identifier: Apache-2.0
"""The emulated cards: do they take a native XDP program, what do the others say, and does the advice work?"""
import subprocess

# Name for people, qemu's device, and the MTU that is set in the machine.
CARDS = (
    ("virtio-net", "virtio-net-pci", 1500),
    ("virtio-net without control of guest offloads", "virtio-net-pci,ctrl_guest_offloads=off", 1500),
    ("virtio-net without guest offloads", "virtio-net-pci,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,guest_csum=off,ctrl_guest_offloads=off", 1500),
    ("virtio-net, MTU 9000", "virtio-net-pci,host_mtu=9000", 9000),
    ("e1000", "e1000", 1500),
    ("e1000e", "e1000e", 1500),
    ("igb", "igb", 1500),
    ("vmxnet3", "vmxnet3", 1500),
)
MODULE_OF = {"virtio-net-pci": "virtio_net"}


def emulated():
    """Those of the cards that this qemu has, and the names of the others."""
    known = subprocess.run(["qemu-system-x86_64", "-device", "help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    have = [card for card in CARDS if f'name "{card[1].split(",")[0]}"' in known]
    return have, [card[0] for card in CARDS if card not in have]


def attempt(machine, interface):
    """The kernel's answer to a small native program; empty if it attached."""
    code, said = machine.run(f"ip link set dev {interface} xdpdrv object /srv/pass.o section xdp 2>&1 && ip link set dev {interface} xdpdrv off")
    lines = [line for line in said.splitlines() if line.strip()]
    return "" if code == 0 else " ".join(lines[:2]) or f"exit code {code}"


def table(rows):
    return "\n".join(["| card | native XDP | the kernel says |", "|---|---|---|"] + [f"| {name} | {'yes' if not said else 'no'} | {said} |" for name, said in rows])
