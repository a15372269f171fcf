#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""play.py PAGE... --build DIR: runs the shell blocks of pages on the hosts of a bare lab, in order.

A block is ```sh HOST, or ```sh skip: REASON. A ```output fence behind it says what it prints."""

import argparse
import fnmatch
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HOSTS = ("client", "stranger", "attacker", "trap", "service", "service-2", "plain")
# Each host has copies of its own of these, so that a page may write where a real host would be
# written to. The machine's own files are not touched.
OWN_COPIES = ("/etc", "/var/log", "/var/lib/nginx", "/var/lib/haproxy", "/var/www")
OWN_EMPTY = ("/run", "/root", "/tmp")
BLOCK_DEADLINE_S = 120
PAGE_DEADLINE_S = 600
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Broken(Exception):
    pass


class Block:
    def __init__(self, page, line, info):
        self.page, self.line, self.info, self.text, self.output = page, line, info, "", None

    def __str__(self):
        return f"{self.page}:{self.line}"

    @property
    def skip_reason(self):
        return self.info[len("skip:"):].strip() if self.info.startswith("skip:") else None


def blocks_of(path):
    """The sh blocks of a page, and the page it continues ("<!-- after: PAGE -->"), if there is one."""
    blocks, before, fence, body = [], None, None, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := re.match(r"<!-- after: (\S+) -->", line):
            before = (path.parent / found.group(1)).resolve()
        opened = re.match(r"\s*```(.*)$", line)
        if fence is None and opened:
            fence, body = (number, opened.group(1).strip()), []
        elif fence is not None and opened:
            number, info = fence
            kind, _, rest = info.partition(" ")
            if kind in ("sh", "bash", "shell", ""):
                if kind != "sh" or not (rest in HOSTS or rest.startswith("skip: ")):
                    raise Broken(f"{path}:{number}: say where this block runs: ```sh HOST, or ```sh skip: REASON "
                                 "(```text and ```output are no shell)")
                blocks.append(Block(path, number, rest))
                blocks[-1].text = "\n".join(body) + "\n"
            elif kind == "output":
                if not blocks or blocks[-1].output is not None or blocks[-1].skip_reason:
                    raise Broken(f"{path}:{number}: output of no block that runs")
                blocks[-1].output = body
            fence = None
        elif fence is not None:
            body.append(line)
    if fence is not None:
        raise Broken(f"{path}:{fence[0]}: the block has no end")
    return blocks, before


def story_of(pages):
    """The pages' blocks, each page's behind those of the page that it continues, and none twice."""
    story, told = [], set()

    def tell(path):
        if path in told:
            return
        told.add(path)
        blocks, before = blocks_of(path)
        if before:
            tell(before)
        if not any(block.skip_reason is None for block in blocks):
            raise Broken(f"{path}: no block that runs")
        story.extend(blocks)

    for path in pages:
        tell(path)
    return story


def generalised(line):
    """A line of output with its numbers and runs of blanks made alike; "..." stands for anything."""
    line = re.sub(r"(\d+\.){3}\d+(:\d+)?", lambda address: address.group(0).replace(".", "\0"), line.strip())
    line = re.sub(r"\b\d+(\.\d+)?\b(?!\0)(?<!\0)", lambda n: n.group(0) if "\0" in line[max(0, n.start() - 1):n.end() + 1] else "0", line)
    return re.sub(r"\s+", " ", line.replace("\0", "."))


def missing_output(block, printed):
    lines = [generalised(line) for line in printed.splitlines()]
    for wanted in filter(None, map(generalised, block.output or [])):
        pattern = "".join("[" + c + "]" if c in "[?*" else c for c in wanted).replace("...", "*")
        if wanted != "..." and not any(fnmatch.fnmatchcase(line, pattern) for line in lines):
            yield wanted


class Host:
    """A namespace of the lab, with mounts of its own, in which a page's blocks run."""

    def __init__(self, name, work):
        self.name, self.files = name, work / name
        self.files.mkdir()
        mounts = ["mount --make-rprivate /", "mount -t sysfs sysfs /sys", "mount -t bpf bpf /sys/fs/bpf"]
        for place in OWN_COPIES:
            copy = self.files / place.strip("/").replace("/", "-")
            if pathlib.Path(place).exists():
                mounts.append(f"cp -a {place} {copy} && mount --bind {copy} {place}")
        mounts.append(f"mount --bind {work}/usr-local /usr/local")
        for place in OWN_EMPTY:
            empty = self.files / ("empty-" + place.strip("/"))
            empty.mkdir(mode=0o1777 if place == "/tmp" else 0o700 if place == "/root" else 0o755)
            if ROOT.is_relative_to(place):  # the clone stays where it is
                clone = empty / ROOT.relative_to(place)
                clone.mkdir(parents=True)
                mounts.append(f"mount --bind {ROOT} {clone}")
            mounts.append(f"mount --rbind {empty} {place}")
        (self.files / "empty-root" / "trap").symlink_to(ROOT)  # the clone, where a page would have made it
        script = "\n".join(["set -e", *mounts, f"hostname {name}", f"echo 127.0.1.1 {name} >>/etc/hosts", "mkdir /run/stand-in", "touch /run/ready",
                            f"exec sleep {PAGE_DEADLINE_S}"])
        ready = self.files / "empty-run" / "ready"
        self.keeper = subprocess.Popen(["nsenter", f"--net=/run/netns/trap-lab-{name}", "unshare", "--mount", "--uts",
                                        "bash", "-c", script], start_new_session=True)
        until = time.monotonic() + BLOCK_DEADLINE_S
        while not ready.exists():
            if self.keeper.poll() is not None or time.monotonic() > until:
                raise Broken(f"host {name}: its files could not be prepared")
            time.sleep(0.02)

    def run(self, text, hosts):
        # Standard output is a file: a daemon that the block leaves running may keep it open.
        with tempfile.TemporaryFile("w+") as out:
            command = ["nsenter", f"--target={self.keeper.pid}", "--net", "--mount", "--uts", "--wd=/root",
                       "bash", "-euo", "pipefail", "-c", text]
            environment = {"PATH": f"{HERE}/stand-ins:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                           "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", "KEEPERS": " ".join(f"{h.name}={h.keeper.pid}" for h in hosts)}
            started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       env=environment, start_new_session=True)
            try:
                code = started.wait(BLOCK_DEADLINE_S)
            except subprocess.TimeoutExpired:
                os.killpg(started.pid, signal.SIGKILL)
                code = f"none within {BLOCK_DEADLINE_S} s"
            out.seek(0)
            return code, out.read()


class Lab:
    def __init__(self, build):
        self.process = subprocess.Popen([build / "bin/trap-lab", "up", "--bare", "--no-color"], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("The lab stays up"):
                return
        raise Broken("the lab does not come up")

    def close(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


def install(build, work):
    """/usr/local as `make install` leaves it."""
    subprocess.run(["cmake", "--install", build, "--prefix", "/usr/local"], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "DESTDIR": str(work / "staged")})
    shutil.move(work / "staged/usr/local", work / "usr-local")


def play(story, build):
    ran = skipped = 0
    work = pathlib.Path(tempfile.mkdtemp(prefix="trap-documents."))
    hosts, lab = {}, None
    try:
        install(build, work)
        lab = Lab(build)
        for block in story:
            if block.skip_reason:
                print(f"skip {block}: {block.skip_reason}")
                skipped += 1
                continue
            if block.info not in hosts:
                hosts[block.info] = Host(block.info, work)
            code, printed = hosts[block.info].run(block.text, hosts.values())
            missing = list(missing_output(block, printed)) if code == 0 else []
            if code != 0 or missing:
                print(f"not ok {block} on {block.info}: " + (f"exit code {code}" if code != 0 else f"it does not print: {missing}"))
                print("\n".join("  > " + line for line in block.text.splitlines()))
                print("\n".join("  | " + line for line in printed.splitlines()))
                return False
            print(f"ok {block} on {block.info}", flush=True)
            ran += 1
        print(f"{ran} blocks ran, {skipped} cannot run here")
        return True
    finally:
        for host in hosts.values():
            host.keeper.kill()
            host.keeper.wait()
        if lab:
            lab.close()
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", type=pathlib.Path, nargs="+", metavar="PAGE")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("play.py: run it as root: it makes network namespaces")
    try:
        story = story_of([page.resolve() for page in args.pages])
        sys.exit(0 if play(story, args.build.resolve()) else 1)
    except Broken as broken:
        sys.exit(f"play.py: {broken}")


if __name__ == "__main__":
    main()
