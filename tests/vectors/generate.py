#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the test vectors of docs/protocol.md as JSON next to this file; with --check, compares them with what is there."""

import hashlib
import ipaddress
import json
import pathlib
import sys

import reference as r
import test_constants

HERE = pathlib.Path(__file__).resolve().parent
MASTER = bytes(range(32))
OTHER_MASTER = hashlib.blake2b(b"another master", digest_size=32).digest()
GUARDS = ["web-1", "a", "0.example-guard.internal", "g" * 63]
EPOCHS = [1, 2, 255, 256, 409258, 2**32, 2**64 - 1]
NOW_S = 1_800_000_000
PYTHONS_HASH = 0xF30EB725BB91C9EA


def siphash_vectors():
    key = bytes(range(16))
    macs = [r.mac(key, bytes(range(length))).hex() for length in range(64)]
    # As printed by the authors of SipHash for lengths 0, 15 and 63; 15 is the example of the paper's appendix A.
    assert macs[0] == "310e0edd47db6f72" and macs[15] == "e545be4961ca29a1" and macs[63] == "724506eb4c328a95"
    macs_1_3 = [r.siphash(key, bytes(range(length)), (1, 3)).to_bytes(8, "little").hex() for length in range(64)]
    # As Python's own SipHash-1-3 says, whose key is zeros under PYTHONHASHSEED=0, for the bytes 0 to 14.
    assert r.siphash(bytes(16), bytes(range(15)), (1, 3)) == PYTHONS_HASH
    return {"key": key.hex(), "macs": macs, "macs_1_3": macs_1_3}


def key_vectors():
    def of(master):
        secrets = {name: r.guard_secret(master, name) for name in GUARDS}
        return {
            "master": master.hex(),
            "selector_key": r.selector_key(master).hex(),
            "cookie_keys": [{"epoch": e, "key": r.cookie_key(master, e).hex()} for e in EPOCHS],
            "guards": [{
                "name": name,
                "secret": secret.hex(),
                "ticket_keys": [{"epoch": e, "key": r.ticket_key(secret, e).hex()} for e in EPOCHS],
                "announce_keys": [{"epoch": e, "key": r.announce_key(secret, e).hex()} for e in EPOCHS],
            } for name, secret in secrets.items()],
        }

    return [of(MASTER), of(OTHER_MASTER)]


def time_vectors():
    moments = [1, 2**36 - 1, 2**36, 2**42 - 1, 2**42, 2**42 + 1, 3 * 2**42 + 5 * 2**36, NOW_S * 10**9, NOW_S * 10**9 + 999_999_999,
               262_143_999_999_999, 262_144_000_000_000, 4_294_967_295_000_000_000]
    return [{
        "unix_ns": ns,
        "unix_s": ns // 10**9,
        "epoch": r.epoch(ns),
        "window": r.window(ns),
        "ticket_time": r.ticket_time(ns // 10**9),
        "epoch_of_second": r.epoch_of_second(ns // 10**9),
    } for ns in moments]


CONNECTIONS = [
    ("192.0.2.2", "203.0.113.10", 40000, 80, 0x12345678),
    ("0.0.0.0", "255.255.255.255", 0, 65535, 0),
    ("198.18.255.1", "203.0.113.10", 65535, 443, 0xFFFFFFFF),
    ("2001:db8:2::2", "2001:db8:113::10", 40000, 80, 0x12345678),
    ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, 2, 0x80000000),
    ("2001:db8:2:3:4:5:6:7", "2001:db8:113::10", 1024, 8443, 1),
]


def cookie_vectors():
    vectors = []
    for client, server, client_port, server_port, isn in CONNECTIONS:
        for window in (64, 127, 26193456, 26193457, 2**32 - 1):
            key = r.cookie_key(MASTER, window >> 6)
            vectors.append({
                "client": client, "server": server, "client_port": client_port, "server_port": server_port, "isn": isn, "window": window,
                "key": key.hex(), "cookie": r.cookie(key, client, server, client_port, server_port, isn, window),
            })
    return vectors


def ticket_vectors():
    secret = r.guard_secret(MASTER, "web-1")
    made = []
    for client, scope in [("192.0.2.2", 32), ("192.0.2.2", 24), ("192.0.2.2", 0), ("192.0.2.255", 25), ("2001:db8:2::2", 64), ("2001:db8:2::2", 128),
                          ("2001:db8:2:3:4:5:6:7", 56), ("2001:db8:2:3:4:5:6:7", 0), ("2001:db8:2:3:4:5:6:7", 65)]:
        for epoch, unix_s, lifetime, tag, port in [(r.epoch_of_second(NOW_S), NOW_S, 600, 0, 80), (256, 262_140, 4096, 255, 65535),
                                                   (255, 3, 8, 7, 1)]:
            key = r.ticket_key(secret, epoch)
            expiry = r.ticket_time(unix_s + lifetime)
            made.append({
                "key": key.hex(), "epoch": epoch, "tag": tag, "scope": scope, "client": client, "port": port, "unix_s": unix_s,
                "lifetime_s": lifetime, "expiry": expiry, "ticket": r.ticket(key, epoch, tag, scope, expiry, port, client).hex(),
            })
    live = []
    for unix_s in (3, NOW_S, 262_143, 4_294_967_295):
        now = r.ticket_time(unix_s)
        for skew_s in (0, 60, 3600):
            for ahead in (-900, -899, -15, -14, -1, 0, 1, 150, 1024, 1025, 1039, 1040, 1924, 1925, 32768):
                expiry = (now + ahead) % 65536
                live.append({"expiry": expiry, "unix_s": unix_s, "skew_s": skew_s, "live": r.ticket_is_live(expiry, unix_s, skew_s)})
    return {"made": made, "live": live}


def consent_vectors():
    secret = r.guard_secret(MASTER, "web-1")
    key = r.ticket_key(secret, r.epoch_of_second(NOW_S))
    expiry = r.ticket_time(NOW_S + 600)
    tickets = [r.ticket(key, r.epoch_of_second(NOW_S), tag, scope, expiry, port, client)
               for client, scope, port, tag in (("192.0.2.2", 32, 80, 0), ("192.0.2.3", 32, 80, 0), ("192.0.2.2", 32, 81, 0),
                                                ("2001:db8:2::2", 64, 80, 7))]
    tickets += [bytes(12), bytes([255] * 12), bytes(range(0xA0, 0xAC))] + [bytes(at) + b"\1" + bytes(11 - at) for at in range(12)]
    return [{"ticket": ticket.hex(), "value": r.consent(ticket).hex(),
             "block": r.option(r.CONSENT, r.consent(ticket), False).hex(),
             "block_experimental": "0101" + r.option(r.CONSENT, r.consent(ticket), True).hex()} for ticket in tickets]


def announcement_vectors():
    secret = r.guard_secret(MASTER, "web-1")
    made = []
    for client, scope in [("192.0.2.2", 32), ("192.0.2.2", 24), ("192.0.2.2", 0), ("2001:db8:2::2", 64), ("2001:db8:2:3:4:5:6:7", 128),
                          ("2001:db8:2:3:4:5:6:7", 97), ("2001:db8:2:3:4:5:6:7", 33)]:
        for issued, lifetime, tag, port in [(NOW_S, 600, 0, 80), (2**32 - 1, 4096, 255, 65535), (4399, 1, 1, 256)]:
            key = r.announce_key(secret, r.epoch_of_second(issued))
            mac = r.announce_mac(key, tag, scope, lifetime, port, issued, client)
            made.append({
                "key": key.hex(), "epoch": r.epoch_of_second(issued), "client": client, "scope": scope, "tag": tag, "lifetime_s": lifetime,
                "issued_s": issued, "port": port, "mac": mac.hex(),
                "option": r.option(r.ANNOUNCE, r.announce_body(lifetime, scope, tag, issued, mac, client), False).hex(),
                "option_experimental": r.option(r.ANNOUNCE, r.announce_body(lifetime, scope, tag, issued, mac, client), True).hex(),
            })
    live = [{"issued_s": NOW_S + issued, "lifetime_s": lifetime, "unix_s": NOW_S, "skew_s": skew_s,
             "live": r.announce_is_live(NOW_S + issued, lifetime, NOW_S, skew_s)}
            for skew_s in (0, 60) for issued in (-4156, -4096, -660, -659, -600, 0, 1, 60, 61)
            for lifetime in (0, 1, 600, 4096, 4097)]
    return {"made": made, "live": live}


def option_vectors():
    ticket = bytes(range(0xA0, 0xAC))
    bodies = {
        "offer": (r.OFFER, b""),
        "accept": (r.ACCEPT, b""),
        "redirect-v4": (r.REDIRECT, r.redirect_body(8080, 600, ticket, "198.51.100.20")),
        "redirect-v6": (r.REDIRECT, r.redirect_body(8080, 600, ticket, "2001:db8:198::20")),
        "ticket": (r.TICKET, ticket),
        "announce-v4": (r.ANNOUNCE, r.announce_body(600, 32, 0, NOW_S, bytes(range(8)), "192.0.2.2")),
        "announce-v6": (r.ANNOUNCE, r.announce_body(600, 64, 0, NOW_S, bytes(range(8)), "2001:db8:2::2")),
        "consent": (r.CONSENT, r.consent(ticket)),
    }
    encoded = [{"name": name, "type": kind, "experimental": experimental, "bytes": r.option(kind, body, experimental).hex()}
               for name, (kind, body) in bodies.items() for experimental in (False, True)]
    return {"encoded": encoded, "walked": [walked(name, area) for name, area in test_constants.option_areas(encoded)]}


def walked(name, area):
    result, kind, offset = r.walk(area)
    return {"name": name, "area": area.hex(), "result": result, "type": kind, "offset": offset}


def selection_vectors():
    key = r.selector_key(MASTER)
    sets = [
        [("198.51.100.20", 80, 1)],
        [("198.51.100.20", 80, 1), ("198.51.100.21", 80, 1), ("198.51.100.22", 8080, 2)],
        [("198.51.100.20", 80, 1000), ("198.51.100.20", 81, 1), ("198.51.100.23", 80, 500), ("198.51.100.24", 80, 333)],
        [("2001:db8:198::20", 80, 3), ("2001:db8:198::21", 80, 1)],
    ]
    tables = []
    for backends in sets:
        table = r.selection_table(key, backends)
        tables.append({
            "backends": [{"address": a, "port": p, "weight": w} for a, p, w in backends],
            "slots": [table.count(i) for i in range(len(backends))],
            "table": "".join(str(i) for i in table),
        })
    clients = [{"client": c, "slot": r.selection_slot(key, c)}
               for c in ("192.0.2.2", "192.0.2.3", "198.51.100.255", "2001:db8:2::2", "2001:db8:2::3", "2001:db8:2:1::3")]
    return {"key": key.hex(), "tables": tables, "clients": clients}


def spelled(address):
    """An address as text, the same with every Python: from 3.13 on str() writes mapped addresses with dots."""
    if address.version == 6 and address.ipv4_mapped:
        return "::ffff:%x:%x" % divmod(int(address.ipv4_mapped), 1 << 16)
    return str(address)


def address_vectors():
    edges = []
    for network in r.FORBIDDEN + r.PRIVATE:
        first, last = network[0], network[-1]
        edges += [spelled(first), spelled(last)] + [spelled(type(first)(int(a))) for a in (int(first) - 1, int(last) + 1) if 0 <= a < 2**first.max_prefixlen]
    embedded = [network[at] for network in r.FORBIDDEN + r.PRIVATE if network.version == 4 for at in (0, -1)]
    for raw in [address.packed for address in embedded] + [bytes((203, 0, 113, 10))]:
        edges += [spelled(ipaddress.ip_address(form)) for form in (
            bytes.fromhex("2002") + raw + bytes(10), bytes.fromhex("20010000c000020a8000ffff") + bytes(byte ^ 255 for byte in raw),
            bytes.fromhex("0064ff9b") + bytes(8) + raw, bytes.fromhex("0064ff9b0001abcd00000000") + raw,
            bytes.fromhex("0064ff9b0001") + raw[:2] + bytes(1) + raw[2:] + bytes(5))]
    for network in (r.SIX_TO_FOUR, r.TEREDO, r.NAT64, r.NAT64_LOCAL):
        edges += [spelled(type(network[0])(int(a))) for a in (int(network[0]) - 1, int(network[-1]) + 1)]
    edges += ["192.0.2.2", "203.0.113.10", "255.255.255.255", "2001:db8::1", "::1", "::", "64:ff9b::1", "::fffe:0:1", "0:0:0:1::"]
    edges = sorted(set(edges))
    pairs = [("203.0.113.0", "203.0.113.255"), ("203.0.113.0", "203.0.114.0"), ("2001:db8:1::", "2001:db8:1:ffff:ffff:ffff:ffff:ffff"),
             ("2001:db8:1::", "2001:db8:2::"), ("64:ff9b::203.0.113.1", "64:ff9b::203.0.113.2"), ("64:ff9b::203.0.113.1", "64:ff9b::203.0.114.1"),
             ("2002:cb00:7101::1", "64:ff9b::203.0.113.2"), ("2002:cb00:7101::1", "2002:cb00:7102::1"), ("2001:db8:1::", "64:ff9b::203.0.113.2")]
    doors = [(one, other, translator) for one, other in pairs for translator in ("unknown", "none", "2001:db8:1::/96")]
    for bits, octets in r.NAT64_OCTETS.items():
        prefix = ipaddress.ip_network(("2001:db8:122:344::", bits), strict=False)
        forms = []
        for ipv4 in (bytes((203, 0, 113, 10)), bytes((203, 0, 113, 99)), bytes((203, 0, 112, 10)), bytes((202, 0, 113, 10))):
            form = bytearray(prefix.network_address.packed)
            for at, byte in zip(octets, ipv4):
                form[at] = byte
            forms.append(spelled(ipaddress.ip_address(bytes(form))))
        doors += [(forms[0], other, translator) for other in forms[1:] for translator in ("unknown", "none", str(prefix))]
    return {
        "next_door": [{"service": a, "target": b, "translator": t, "is": r.next_door(a, b, t)} for a, b, t in doors],
        "policy": [{"address": a, "forbidden": r.is_in(a, r.FORBIDDEN), "private": r.is_in(a, r.PRIVATE)} for a in edges],
        "masked": [{"address": a, "scope": s, "masked": r.masked(a, s).hex()}
                   for a, bits in (("203.0.113.255", 32), ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 128)) for s in range(bits + 1)],
    }


def files():
    yield "siphash.json", siphash_vectors()
    yield "keys.json", key_vectors()
    yield "time.json", time_vectors()
    yield "cookies.json", cookie_vectors()
    yield "tickets.json", ticket_vectors()
    yield "consents.json", consent_vectors()
    yield "announcements.json", announcement_vectors()
    yield "options.json", option_vectors()
    yield "selection.json", selection_vectors()
    yield "addresses.json", address_vectors()
    yield "test_constants.json", test_constants.test_constants()


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: generate.py [--check]")
    wrong = 0
    for name, content in files():
        path = HERE / name
        text = json.dumps(content, indent=1) + "\n"
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{name}: not what the reference implementation says; run tests/vectors/generate.py and look at the difference")
            wrong += 1
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
