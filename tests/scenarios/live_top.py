#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""live_top.py KEY COMMAND...: runs `trapctl top` on a terminal of its own, waits for its second page, sends KEY ("q", or "INT" for the
signal) and prints what was wrong: nothing, if it drew, ended with 0, and left the terminal as it was."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
DEADLINE_S = 15


def read_until(fd, seen, wanted, deadline):
    while wanted not in seen and time.monotonic() < deadline:
        if select.select([fd], [], [], 0.1)[0]:
            seen += os.read(fd, 65536)
    return seen


def main():
    key, command = sys.argv[1], sys.argv[2:]
    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    deadline = time.monotonic() + DEADLINE_S
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal)
    wrong = []
    seen = read_until(controller, b"", b"SYN-ACK", deadline)
    if ENTER not in seen:
        wrong.append("no alternate screen")
    if b"SYN-ACK" not in seen:
        wrong.append("no table of rates")
    if termios.tcgetattr(terminal)[3] & termios.ECHO:
        wrong.append("keys are echoed")
    if key == "INT":
        process.send_signal(signal.SIGINT)
    else:
        os.write(controller, key.encode())
    try:
        code = process.wait(timeout=max(1, deadline - time.monotonic()))
        if code != 0:
            wrong.append(f"exit code {code}")
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        wrong.append("does not end")
    if LEAVE not in read_until(controller, seen, LEAVE, time.monotonic() + 2):
        wrong.append("stays on the alternate screen")
    if termios.tcgetattr(terminal) != before:
        wrong.append("the terminal is not as before")
    print("; ".join(wrong), end="")


if __name__ == "__main__":
    main()
