# SPDX-License-Identifier: Apache-2.0
"""The namespace that machines are plugged into: a switch for servers, one for clients, the router
between them, and an uninvited host. It has no way out."""
import subprocess

STRANGER, ROUTER = "192.0.2.66", "203.0.113.1"
SERVERS, CLIENTS = "br0", "br1"
ADDRESSES = {SERVERS: (f"{ROUTER}/24", "198.51.100.1/24"), CLIENTS: ("192.0.2.1/24",)}
TAPS = {"tap0": SERVERS, "tap1": SERVERS, "tap2": CLIENTS}  # where machines are plugged in


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def set_value(name, value):
    subprocess.run(["sysctl", "-q", "-w", f"net.ipv4.{name}={value}"], check=True)


def make_network():
    ip("link", "set", "lo", "up")
    set_value("ip_forward", 1)
    # Hosts of both nets of servers are on one switch: the router is on the way nevertheless.
    for which in ("all", "default"):
        set_value(f"conf.{which}.send_redirects", 0)
    for bridge, addresses in ADDRESSES.items():
        ip("link", "add", bridge, "type", "bridge")
        for address in addresses:
            ip("addr", "add", address, "dev", bridge)
        ip("link", "set", bridge, "up")
    ip("addr", "add", f"{STRANGER}/32", "dev", "lo")
    for net in ("203.0.113.0/24", "198.51.100.0/24"):  # commands run here are the uninvited host's
        ip("route", "replace", net, "dev", SERVERS, "src", STRANGER)
    for tap, bridge in TAPS.items():
        ip("tuntap", "add", tap, "mode", "tap")
        ip("link", "set", tap, "master", bridge, "up")


def interfaces(gateway, *addresses):
    """The file of ifupdown for a machine with these addresses at its card."""
    text = "auto lo\niface lo inet loopback\nauto eth0\n"
    for index, address in enumerate(addresses):
        text += f"iface eth0 inet static\n  address {address}/24\n" + ("" if index else f"  gateway {gateway}\n")
    return text
