# SPDX-License-Identifier: Apache-2.0
"""Compares tshark (with our dissector) and trapctl decode with the vectors: every option area of options.json, tickets, announcements and consents,
in frames of both families. dissector.py TRAPCTL"""

import ipaddress
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = HERE.parent.parent / "packaging/wireshark/trap.lua"
FIELDS = ["kind", "version", "type", "port", "lifetime", "ticket", "ticket.epoch", "ticket.tag", "ticket.expiry", "ticket.mac", "backend", "backend6", "scope",
          "tag", "issued", "mac", "client", "client6", "consent", "malformed", "duplicate"]


def padded(area):
    return area + bytes(-len(area) % 4)


def frame(area, family):
    """An Ethernet frame with a TCP SYN of these options; they fit in a header."""
    area = padded(area)
    tcp = struct.pack("!HHIIBBHHH", 40000, 80, 1, 0, (20 + len(area)) // 4 << 4, 2, 65535, 0, 0) + area
    if family == 4:
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, bytes([192, 0, 2, 2]), bytes([203, 0, 113, 10]))
    else:
        ip = struct.pack("!IHBB16s16s", 6 << 28, len(tcp), 6, 64, ipaddress.ip_address("2001:db8::2").packed, ipaddress.ip_address("2001:db8::10").packed)
    return bytes(12) + (b"\x08\x00" if family == 4 else b"\x86\xdd") + ip + tcp


def pcap(frames):
    whole = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    return whole + b"".join(struct.pack("<IIII", 0, 0, len(each), len(each)) + each for each in frames)


def shown(file):
    """What tshark shows of each frame: {field: text}, of fields that are there. Wireshark 4.4 loads no script for root: it runs as nobody."""
    another = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as folder, open(file, "rb") as packets:
        os.chmod(folder, 0o755)
        script = shutil.copy(SCRIPT, folder)
        os.chmod(script, 0o644)
        command = ["tshark", "-n", "-r", "-", "-X", f"lua_script:{script}", "-T", "fields", "-E", "separator=|"]
        for field in FIELDS:
            command += ["-e", f"trap.{field}"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=packets, cwd=folder, env={**os.environ, "HOME": folder}, **another)
    if done.returncode != 0 or "rror" in done.stderr:
        sys.exit(f"tshark: {done.stderr}")
    return [{field: text for field, text in zip(FIELDS, line.split("|")) if text} for line in done.stdout.splitlines()]


def decoded(trapctl, file):
    """The same fields from trapctl decode."""
    done = subprocess.run([trapctl, "decode", "--all", "--json", "--pcap", file], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"trapctl decode: {done.stderr}")
    return [as_fields(json.loads(line)) for line in done.stdout.splitlines()]


def as_fields(message):
    if defect := message.get("defect"):
        return {"duplicate" if "more than one" in defect else "malformed": "1"}
    if "message" not in message:
        return {}
    names = ("", "OFFER", "ACCEPT", "REDIRECT", "TICKET", "ANNOUNCE", "CONSENT")
    body = message["fields"]
    got = {"kind": message["kind"], "version": 1, "type": names.index(message["message"]),
           "lifetime": body.get("lifetime_s"), "issued": body.get("issued_s"), "consent": body.get("value")}
    got |= {name: body.get(name) for name in ("port", "scope", "tag", "mac")}
    if ticket := body.get("ticket"):
        got |= {"ticket.epoch": ticket["epoch_byte"], "ticket.tag": ticket["tag"], "ticket.expiry": ticket["expiry"], "ticket.mac": ticket["mac"]}
        got["ticket"] = bytes([ticket["epoch_byte"], ticket["tag"]]).hex() + f"{ticket['expiry']:04x}" + ticket["mac"]
    for name in ("backend", "client"):
        if name in body:
            got |= address_fields(name, body[name])
    return {name: str(value) for name, value in got.items() if value is not None}


def walked_cases():
    for case in json.loads((HERE / "options.json").read_text())["walked"]:
        families = [4] if "v4" in case["name"] else [6] if "v6" in case["name"] else [4, 6]
        for family in families:
            yield case["name"], frame(bytes.fromhex(case["area"]), family), judge_walk(case)


def judge_walk(case):
    def judge(got):
        refused = "malformed" in got or "duplicate" in got
        if case["result"] == "one":
            return not refused and got.get("type") == str(case["type"])
        if case["result"] == "none":
            return not got
        return refused and (case["result"] == "refused" or case["result"] in got)
    return judge


def fields_are(wanted):
    return lambda got: "malformed" not in got and all(got.get(field) == str(value) for field, value in wanted.items())


def address_fields(name, address):
    return {name if ipaddress.ip_address(address).version == 4 else f"{name}6": address}


def ticket_fields(text):
    ticket = bytes.fromhex(text)
    return {"ticket": text, "ticket.epoch": ticket[0], "ticket.tag": ticket[1], "ticket.expiry": int.from_bytes(ticket[2:4], "big"), "ticket.mac": ticket[4:].hex()}


def encodings(body):
    """The option with the reserved and with the experimental kind."""
    yield 0x56, bytes([0x56, 2 + len(body)]) + body
    yield 253, bytes([253, 4 + len(body)]) + b"TR" + body


def ticket_cases():
    for case in json.loads((HERE / "tickets.json").read_text())["made"]:
        family = ipaddress.ip_address(case["client"]).version
        for kind, option in encodings(b"\x14\x00" + bytes.fromhex(case["ticket"])):
            yield f"ticket {case['ticket']}", frame(option, family), fields_are({"kind": kind, "type": 4} | ticket_fields(case["ticket"]))
        backend = "198.51.100.20" if family == 4 else "2001:db8:198::20"
        body = struct.pack("!BBHH", 0x13, 0, case["port"], case["lifetime_s"]) + bytes.fromhex(case["ticket"]) + ipaddress.ip_address(backend).packed
        for kind, option in encodings(body):
            yield f"redirect {case['ticket']}", frame(option, family), fields_are(
                {"kind": kind, "type": 3, "port": case["port"], "lifetime": case["lifetime_s"]} | ticket_fields(case["ticket"]) | address_fields("backend", backend))


def announcement_cases():
    for case in json.loads((HERE / "announcements.json").read_text())["made"]:
        family = ipaddress.ip_address(case["client"]).version
        for key, kind in (("option", 0x56), ("option_experimental", 253)):
            option = bytes.fromhex(case[key])
            client = str(ipaddress.ip_address(option[-4:] if family == 4 else option[-16:]))
            yield f"announcement {case['mac']}", frame(option, family), fields_are(
                {"kind": kind, "type": 5, "lifetime": case["lifetime_s"], "scope": case["scope"], "tag": case["tag"], "issued": case["issued_s"], "mac": case["mac"]}
                | address_fields("client", client))


def consent_cases():
    for case in json.loads((HERE / "consents.json").read_text()):
        for key, kind in (("block", 0x56), ("block_experimental", 253)):
            for family in (4, 6):
                yield f"consent {case['value']}", frame(bytes.fromhex(case[key]), family), fields_are({"kind": kind, "type": 6, "consent": case["value"]})


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: dissector.py TRAPCTL")
    if not shutil.which("tshark"):
        sys.exit("dissector.py: tshark is missing: run scripts/setup.sh")
    cases = [*walked_cases(), *ticket_cases(), *announcement_cases(), *consent_cases()]
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(pcap([each for _, each, _ in cases]))
        file.flush()
        readers = {"tshark": shown(file.name), "trapctl decode": decoded(sys.argv[1], file.name)}
    failed = 0
    for reader, found in readers.items():
        if len(found) != len(cases):
            sys.exit(f"{reader} shows {len(found)} frames of {len(cases)}")
        wrong = [(name, got) for (name, _, judge), got in zip(cases, found) if not judge(got)]
        for name, got in wrong:
            print(f"{name}: {reader} shows {got}")
        print(f"{reader}: {len(cases)} frames, {len(wrong)} wrong")
        failed += len(wrong)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
