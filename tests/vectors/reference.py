# SPDX-License-Identifier: Apache-2.0
"""The computations of docs/protocol.md in plain Python, written from that page alone and not from the headers.

Slow and obvious on purpose: its only use is to say what the fast implementations must say.
"""

import hashlib
import ipaddress
import math
import struct

MASK64 = (1 << 64) - 1

OFFER, ACCEPT, REDIRECT, TICKET, ANNOUNCE, CONSENT = 1, 2, 3, 4, 5, 6
TYPE_NAMES = {"OFFER": OFFER, "ACCEPT": ACCEPT, "REDIRECT": REDIRECT, "TICKET": TICKET, "ANNOUNCE": ANNOUNCE, "CONSENT": CONSENT}


# Section 5: SipHash and the key schedule


def rotate(x, bits):
    return ((x << bits) | (x >> (64 - bits))) & MASK64


def sip_round(v0, v1, v2, v3):
    v0 = (v0 + v1) & MASK64
    v2 = (v2 + v3) & MASK64
    v1 = rotate(v1, 13) ^ v0
    v3 = rotate(v3, 16) ^ v2
    v0 = rotate(v0, 32)
    v2 = (v2 + v1) & MASK64
    v0 = (v0 + v3) & MASK64
    v1 = rotate(v1, 17) ^ v2
    v3 = rotate(v3, 21) ^ v0
    v2 = rotate(v2, 32)
    return v0, v1, v2, v3


def siphash(key, message, rounds=(2, 4)):
    """SipHash of a byte string, as an integer: with the rounds of a word and of the end, 2 and 4 unless said otherwise."""
    k0, k1 = struct.unpack("<QQ", key)
    v = (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)
    padded = message + b"\0" * (7 - len(message) % 8) + bytes([len(message) & 0xFF])
    for (word,) in struct.iter_unpack("<Q", padded):
        v = (v[0], v[1], v[2], v[3] ^ word)
        for _ in range(rounds[0]):
            v = sip_round(*v)
        v = (v[0] ^ word, v[1], v[2], v[3])
    v = (v[0], v[1], v[2] ^ 0xFF, v[3])
    for _ in range(rounds[1]):
        v = sip_round(*v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def mac(key, message):
    return struct.pack("<Q", siphash(key, message))


def kdf(key, identifier, context):
    return hashlib.blake2b(b"", digest_size=16, key=key, salt=struct.pack("<Q", identifier) + bytes(8), person=context + bytes(8)).digest()


def guard_secret(master, name):
    return hashlib.blake2b(b"TRAP guard 1\0" + name.encode("ascii"), digest_size=32, key=master).digest()


def cookie_key(master, epoch_number):
    return kdf(master, epoch_number, b"TRAPcook")


def selector_key(master):
    return kdf(master, 0, b"TRAPpick")


def ticket_key(secret, epoch_number):
    return kdf(secret, epoch_number, b"TRAPtick")


def announce_key(secret, epoch_number):
    return kdf(secret, epoch_number, b"TRAPannc")


# Section 4: time


def epoch(unix_ns):
    return unix_ns >> 42


def window(unix_ns):
    return unix_ns >> 36 & 0xFFFFFFFF


def ticket_time(unix_s):
    return unix_s >> 2 & 0xFFFF


def epoch_of_second(unix_s):
    return unix_s * 10**9 >> 42


# Addresses


def packed(address):
    return ipaddress.ip_address(address).packed


def masked(address, scope):
    ip = ipaddress.ip_address(address)
    return ipaddress.ip_network((ip, scope), strict=False).network_address.packed


def prefix_bytes(address, scope):
    """The masked address, of which an IPv6 scope up to 64 leaves 8 bytes."""
    network = masked(address, scope)
    return network[:8] if len(network) == 16 and scope <= 64 else network


def default_scope(address):
    return 32 if ipaddress.ip_address(address).version == 4 else 64


FORBIDDEN = [ipaddress.ip_network(n) for n in
             ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8")]
PRIVATE = [ipaddress.ip_network(n) for n in
           ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "192.0.0.0/24", "198.18.0.0/15",
            "fc00::/7", "fec0::/10", "100::/64")]
SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
TEREDO = ipaddress.ip_network("2001::/32")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")


def standing_for(address):
    """The address that is judged: for IPv6 that leads to an IPv4 host, the IPv4 address."""
    ip = ipaddress.ip_address(address)
    raw = ip.packed
    if ip.version == 4:
        return ip
    if ip in SIX_TO_FOUR:
        return ipaddress.ip_address(raw[2:6])
    if ip in TEREDO:
        return ipaddress.ip_address(bytes(byte ^ 255 for byte in raw[12:]))
    if ip in NAT64:
        return ipaddress.ip_address(raw[12:])
    if ip in NAT64_LOCAL:
        return ipaddress.ip_address(raw[12:] if any(raw[12:]) else raw[6:8] + raw[9:11])
    return ip


def is_in(address, networks):
    ip = standing_for(address)
    return any(ip.version == n.version and ip in n for n in networks)


# RFC 6052 2.2: the octets of an address that hold an IPv4 one, by the length of the prefix. Octet 8 is skipped.
NAT64_OCTETS = {32: (4, 5, 6, 7), 40: (5, 6, 7, 9), 48: (6, 7, 9, 10), 56: (7, 9, 10, 11), 64: (9, 10, 11, 12), 96: (12, 13, 14, 15)}


def next_door(one, other, translator):
    """Section 11: are they of one /24, or of one /48? The host's translator: a prefix, "none", or "unknown"."""
    if ipaddress.ip_address(one).version == 6 and translator == "unknown":
        return False
    judged = []
    for address in (one, other):
        ip = standing_for(address)
        if ip.version == 6 and translator not in ("none", "unknown") and ip in ipaddress.ip_network(translator):
            ip = ipaddress.ip_address(bytes(ip.packed[at] for at in NAT64_OCTETS[ipaddress.ip_network(translator).prefixlen]))
        judged.append(ip)
    if judged[0].version != judged[1].version:
        return False
    bits = 24 if judged[0].version == 4 else 48
    return judged[1] in ipaddress.ip_network((judged[0], bits), strict=False)


# Section 6: cookie


def cookie(key, client, server, client_port, server_port, isn, window_number):
    message = packed(client) + packed(server) + struct.pack(">HHII", client_port, server_port, isn, window_number) + b"\x43\0\0"
    return (siphash(key, message, (1, 3)) & 0x7FFFFFFF) << 1 | window_number & 1


# Sections 8 and 9: ticket and announcement


def ticket(key, epoch_number, tag, scope, expiry, port, client):
    head = struct.pack(">BBH", epoch_number & 0xFF, tag, expiry)
    message = struct.pack(">BBHH", tag, scope, expiry, port) + prefix_bytes(client, scope)
    return head + mac(key, message)


def ticket_is_live(expiry, unix_s, skew_s):
    left = (expiry - ticket_time(unix_s)) % 65536
    if left >= 32768:
        left -= 65536
    return 1 - skew_s // 4 <= left <= 1024 + (skew_s + 3) // 4


def announce_mac(key, tag, scope, lifetime, port, issued, client):
    return mac(key, struct.pack(">BBBBHHI", 0x41, tag, scope, 0, lifetime, port, issued) + masked(client, scope))


def announce_is_live(issued, lifetime, now, skew_s):
    return issued <= now + skew_s and 1 <= lifetime <= 4096 and issued + lifetime > now - skew_s


# Section 10: consent


def consent(ticket_bytes):
    """The four bytes of CONSENT in the SYN-ACK that answers a SYN with this ticket."""
    return mac(ticket_bytes + bytes(4), b"\x4e")[:4]


# Section 3: options


def option(option_type, body, experimental):
    """A whole TRAP option; body does not have `flags`, which is sent as 0."""
    tail = bytes([1 << 4 | option_type, 0]) + body
    if experimental:
        return bytes([253, 4 + len(tail), 0x54, 0x52]) + tail
    return bytes([0x56, 2 + len(tail)]) + tail


def redirect_body(port, lifetime, ticket_bytes, address):
    return struct.pack(">HH", port, lifetime) + ticket_bytes + packed(address)


def announce_body(lifetime, scope, tag, issued, mac_bytes, client):
    return struct.pack(">HBBI", lifetime, scope, tag, issued) + mac_bytes + packed(client)


BODY_LENGTHS = {OFFER: {1}, ACCEPT: {1}, REDIRECT: {21, 33}, TICKET: {13}, ANNOUNCE: {21, 33}, CONSENT: {5}}


def trap_option(one):
    """(is it a TRAP option, its type or 0 if it is malformed)"""
    header = 2 if one[0] == 0x56 else 4 if one[0] == 253 and one[2:4] == b"TR" else 0
    if not header:
        return False, 0
    known = len(one) > header and one[header] >> 4 == 1 and len(one) - header - 1 in BODY_LENGTHS.get(one[header] & 15, ())
    return True, one[header] & 15 if known else 0


def walk(area):
    """Reads an option area: (result, type, offset) with result none, one, duplicate, malformed, or refused where both rules apply."""
    found = []
    defects = set()
    at = 0
    while at < len(area) and area[at] != 0:
        if area[at] == 1:
            at += 1
            continue
        if at + 1 >= len(area) or area[at + 1] < 2 or at + area[at + 1] > len(area):
            defects.add("malformed")
            break
        is_ours, kind = trap_option(area[at:at + area[at + 1]])
        if is_ours:
            found.append((kind, at))
            if kind == 0:
                defects.add("malformed")
        at += area[at + 1]
    if len(found) > 1:
        defects.add("duplicate")
    if defects:
        return "refused" if len(defects) > 1 else defects.pop(), 0, 0
    return ("one", *found[0]) if found else ("none", 0, 0)


# Section 7: which backend


def selection_slot(key, client):
    return siphash(key, masked(client, default_scope(client))) & 4095


def selection_table(key, backends):
    """Index into backends, a list of (address, port, weight), for each of the 4096 slots."""
    table = []
    for slot in range(4096):
        scores = []
        for address, port, weight in backends:
            h = siphash(key, struct.pack("<Q", slot) + packed(address) + struct.pack(">H", port)) >> 11
            scores.append(weight / -math.log((h + 1) / ((1 << 53) + 1)))
        table.append(scores.index(max(scores)))
    return table
