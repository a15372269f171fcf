# SPDX-License-Identifier: Apache-2.0
"""The constants of the BPF fixtures: addresses by role, keys, moments, and every value that a key or a clock decides.

Fixtures call these values by name ("$cookie.now" is cookie.v4.now or cookie.v6.now, as the family may be).
"""

import reference as r

MASTER = bytes(range(0x40, 0x60))
# 1 s into a ticket time and well inside its window and epoch, so that the seconds a test takes change nothing.
NOW_S = 1_800_000_001
# 5 s into an epoch: the previous window belongs to the previous epoch.
EPOCH_START_S = (((NOW_S * 10**9 >> 42) + 1 << 42) // 10**9) + 5 & ~3 | 1
LIFETIME_S = 600
ISN = 0x11223344

FAMILIES = {
    "v4": {
        "client": "192.0.2.2", "stranger": "192.0.2.77", "neighbour": "192.0.2.3", "public": "203.0.113.10", "second": "203.0.113.11",
        "backend": "198.51.100.20", "trap-server": "203.0.113.1", "router": "192.0.2.1", "elsewhere": "198.18.0.9", "private": "10.1.2.3", "loopback": "127.0.0.1", "here": "198.18.0.10",
        "client-scope": "192.0.2.2", "neighbour-scope": "192.0.2.3", "client-wide": "192.0.2.0", "everybody": "0.0.0.0", "scope": 32,
    },
    "v6": {
        "client": "2001:db8:2::2", "stranger": "2001:db8:77::77", "neighbour": "2001:db8:2::3", "public": "2001:db8:113::10",
        "second": "2001:db8:113::11", "backend": "2001:db8:198::20", "trap-server": "2001:db8:113::1", "router": "2001:db8:2::1",
        "elsewhere": "2001:db8:18::9", "private": "fd00::1:2:3", "loopback": "::1", "here": "2001:db8:18::10",
        "client-scope": "2001:db8:2::", "neighbour-scope": "2001:db8:2::", "client-wide": "2001:db8:2::", "everybody": "::", "scope": 64,
    },
}


def cookies(f, prefix, now_s):
    values = {}
    now = r.window(now_s * 10**9)
    for name, window in (("now", now), ("previous", now - 1), ("old", now - 2), ("next", now + 1), ("old-odd", now - 3)):
        key = r.cookie_key(MASTER, window >> 6)
        values[f"{prefix}.{name}"] = r.cookie(key, f["client"], f["public"], 40000, 80, ISN, window)
    key = r.cookie_key(MASTER, now >> 6)
    values[f"{prefix}.second"] = r.cookie(key, f["client"], f["second"], 40000, 80, ISN, now)
    for port in (86, 87, 88):
        values[f"{prefix}.port-{port}"] = r.cookie(key, f["client"], f["public"], 40000, port, ISN, now)
    for who in ("stranger", "neighbour", "elsewhere"):
        values[f"{prefix}.{who}"] = r.cookie(key, f[who], f["public"], 40000, 80, ISN, now)
        values[f"{prefix}.port-88-{who}"] = r.cookie(key, f[who], f["public"], 40000, 88, ISN, now)
    values[f"{prefix}.port-81"] = r.cookie(key, f["client"], f["public"], 40000, 81, ISN, now)
    values[f"{prefix}.isn-wrap"] = r.cookie(key, f["client"], f["public"], 40000, 80, 0xFFFFFFFF, now)
    return values


def tickets(f):
    secret = r.guard_secret(MASTER, "web-1")
    present = r.epoch_of_second(NOW_S)
    now = r.ticket_time(NOW_S)
    client, scope = f["client"], f["scope"]

    def make(epoch=present, tag=0, expiry=r.ticket_time(NOW_S + LIFETIME_S), port=80, who=client, guard=secret, bits=scope):
        return r.ticket(r.ticket_key(guard, epoch), epoch, tag, bits, expiry & 0xFFFF, port, who).hex()

    return {
        "valid": make(), "tagged": make(tag=7), "previous-epoch": make(present - 1), "next-epoch": make(present + 1),
        "old-epoch": make(present - 2), "far-epoch": make(present + 2), "shortest": make(expiry=now - 14), "longest": make(expiry=now + 1039),
        "expired": make(expiry=now - 15), "long-expired": make(expiry=now - 1000), "too-long": make(expiry=now + 1040),
        "other-port": make(port=81), "other-client": make(who=f["stranger"]), "neighbour": make(who=f["neighbour"]),
        "other-guard": make(guard=r.guard_secret(MASTER, "web-2")), "other-scope": make(bits=24 if scope == 32 else 56),
        "wide-port-81": make(bits=24 if scope == 32 else 56, port=81), "everybody": make(bits=0),
    }


def announcements(f, now_s):
    secret = r.guard_secret(MASTER, "web-1")
    client, scope = f["client"], f["scope"]

    def make(issued=now_s, lifetime=LIFETIME_S, port=80, tag=0, bits=scope, guard=secret, key_epoch=0, damage=0):
        key = r.announce_key(guard, r.epoch_of_second(issued) + key_epoch)
        mac = r.announce_mac(key, tag, bits, lifetime, port, issued, client)
        mac = bytes([mac[0] ^ damage]) + mac[1:]
        return r.announce_body(lifetime, bits, tag, issued, mac, client).hex()

    return {
        "valid": make(), "tagged": make(tag=7), "long": make(lifetime=4096), "too-long": make(lifetime=4097), "zero-lifetime": make(lifetime=0),
        "ahead": make(issued=now_s + 58), "too-far-ahead": make(issued=now_s + 64), "old": make(issued=now_s - 590), "over": make(issued=now_s - 660),
        "long-over": make(issued=now_s - 4160, lifetime=4095), "forged": make(damage=1), "other-port": make(port=81),
        "other-guard": make(guard=r.guard_secret(MASTER, "web-2")), "wrong-epoch-key": make(key_epoch=1), "wide": make(bits=24 if scope == 32 else 56),
        "wide-port-81": make(bits=24 if scope == 32 else 56, port=81), "everybody": make(bits=0),
        "impossible-scope": make()[:4] + "ff" + make()[6:], "previous-epoch": make(issued=now_s - 30, lifetime=4096),
    }


def family_values(name, f):
    values = {f"address.{name}.{role}": address for role, address in f.items() if role != "scope"}
    values[f"scope.{name}"] = f["scope"]
    values[f"wide.{name}"] = 24 if f["scope"] == 32 else 56
    values.update(cookies(f, f"cookie.{name}", NOW_S))
    values.update(cookies(f, f"cookie.{name}.epoch-start", EPOCH_START_S))
    values.update({f"ticket.{name}.{k}": v for k, v in tickets(f).items()})
    values.update({f"consent.{name}.{k}": r.consent(bytes.fromhex(v)).hex() for k, v in tickets(f).items()})
    values.update({f"announce.{name}.{k}": v for k, v in announcements(f, NOW_S).items()})
    values.update({f"announce.{name}.epoch-start.{k}": v for k, v in announcements(f, EPOCH_START_S).items()})
    secret = r.guard_secret(MASTER, "web-1")
    start = r.epoch_of_second(EPOCH_START_S)
    epoch_start_ticket = r.ticket(r.ticket_key(secret, start), start, 0, f["scope"], r.ticket_time(EPOCH_START_S + LIFETIME_S), 80, f["client"])
    values[f"ticket.{name}.epoch-start"] = epoch_start_ticket.hex()
    before_s = EPOCH_START_S - 60
    before = r.epoch_of_second(before_s)
    values[f"ticket.{name}.epoch-start-previous"] = r.ticket(r.ticket_key(secret, before), before, 0, f["scope"], r.ticket_time(before_s + LIFETIME_S), 80,
                                                             f["client"]).hex()
    later = NOW_S + 40000
    values[f"ticket.{name}.keys-over"] = r.ticket(r.ticket_key(secret, r.epoch_of_second(later)), r.epoch_of_second(later), 0, f["scope"],
                                                  r.ticket_time(later + LIFETIME_S), 80, f["client"]).hex()
    return values


def test_constants():
    secret = r.guard_secret(MASTER, "web-1")
    moments = {}
    for name, now_s in (("now", NOW_S), ("epoch-start", EPOCH_START_S)):
        present = r.epoch_of_second(now_s)
        moments[name] = {
            "unix_s": now_s,
            "unix_ns": now_s * 10**9,
            "epochs": [{
                "epoch": e,
                "cookie_key": r.cookie_key(MASTER, e).hex(),
                "ticket_key": r.ticket_key(secret, e).hex(),
                "announce_key": r.announce_key(secret, e).hex(),
            } for e in (present - 1, present, present + 1)],
        }
    # The daemon has been down for hours: the clock went on, the keys did not.
    moments["keys-over"] = {"unix_s": NOW_S + 40000, "unix_ns": (NOW_S + 40000) * 10**9, "epochs": moments["now"]["epochs"]}
    values = {}
    for name, family in FAMILIES.items():
        values.update(family_values(name, family))
    return {"master": MASTER.hex(), "lifetime_s": LIFETIME_S, "isn": ISN, "selector_key": r.selector_key(MASTER).hex(), "moments": moments, "values": values}


def option_areas(encoded):
    """Option areas for the walk: every TRAP option alone, at both ends of the area, doubled, damaged; and areas that do not parse."""
    options = {f"{e['name']}{'-experimental' if e['experimental'] else ''}": bytes.fromhex(e["bytes"]) for e in encoded}
    linux_syn = bytes.fromhex("020405b40402080a0000000100000000")
    yield "empty", b""
    yield "linux-syn", linux_syn + bytes.fromhex("01030307")
    yield "forty-nops", b"\1" * 40
    yield "eol-hides-what-follows", b"\0\0\0\0" + options["offer"]
    yield "eol-hides-nonsense", b"\0\x56\0\0"
    for name, option in options.items():
        padding = -len(option) % 4
        yield name, b"\1" * padding + option
        yield name + "-padded-behind", option + b"\0" * padding
        if len(option) <= 20:
            yield name + "-behind-linux-syn", linux_syn + option + b"\1" * padding
            yield name + "-twice", option + option + b"\1" * (2 * padding % 4)
            yield name + "-and-offer", b"\1" * padding + option + options["offer"]
        for change in (-1, 1):
            damaged = bytes([option[0], option[1] + change]) + option[2:]
            damaged = damaged[:-1] if change < 0 else damaged + b"\0"
            if len(damaged) <= 40:
                yield f"{name}-length{change:+}", damaged + b"\1" * (-len(damaged) % 4)
        at = 4 if option[0] == 253 else 2
        for tag, what in ((option[at] & 0x0F, "version-0"), (option[at] & 0x0F | 0x20, "version-2"), (option[at] & 0x0F | 0xF0, "version-15")):
            yield f"{name}-{what}", b"\1" * padding + option[:at] + bytes([tag]) + option[at + 1:]
    for kind in (0, 7, 8, 15):
        yield f"type-{kind}", bytes([0x56, 4, 0x10 | kind, 0])
        yield f"type-{kind}-experimental", bytes([253, 6, 0x54, 0x52, 0x10 | kind, 0, 1, 1])
    for length in (0, 1, 2, 3, 5, 40, 255):
        yield f"reserved-kind-length-{length}", bytes([0x56, length, 0x11, 0])
    for length in (0, 1, 2, 3, 4, 5, 9, 255):
        yield f"experimental-kind-length-{length}", bytes([253, length, 0x54, 0x52, 0x11, 0, 1, 1])
    yield "experimental-kind-two-bytes-last", bytes([1, 1, 253, 2])
    yield "experimental-kind-three-bytes-last", bytes([1, 253, 3, 0x54])
    yield "experimental-kind-exid-last", bytes([253, 4, 0x54, 0x52])
    yield "other-experiment-last", bytes([253, 4, 0xF9, 0x89])
    yield "other-experiment", bytes([253, 6, 0xF9, 0x89, 0x11, 0, 1, 1])
    yield "other-experiment-then-offer", bytes([253, 4, 0xF9, 0x89]) + options["offer"]
    yield "kind-254-with-our-exid", bytes([254, 6, 0x54, 0x52, 0x11, 0, 1, 1])
    yield "kind-last-byte", bytes([1, 1, 1, 2])
    yield "our-kind-last-byte", bytes([1, 1, 1, 0x56])
    yield "length-0", bytes([2, 0, 1, 1])
    yield "length-1", bytes([2, 1, 1, 1])
    yield "length-beyond", bytes([2, 5, 1, 1])
    yield "nonsense-behind-offer", options["offer"] + bytes([2, 9, 1, 1])
    yield "three-offers", options["offer"] * 3
    yield "ten-offers", options["offer"] * 10
    yield "malformed-then-offer", bytes([0x56, 4, 0x21, 0]) + options["offer"]
    yield "offer-then-malformed", options["offer"] + bytes([0x56, 4, 0x21, 0])
