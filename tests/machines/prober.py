# SPDX-License-Identifier: Apache-2.0
"""An uninvited host: it tries to connect, a hundred times a second, and notes when it could."""
import errno
import select
import socket
import threading
import time

PERIOD_S = 0.01
PATIENCE_S = 0.9  # before the kernel repeats a SYN


class Prober(threading.Thread):
    def __init__(self, source, address, port):
        super().__init__(daemon=True)
        self.source, self.address, self.port = source, address, port
        self.tries, self.opened, self.refused = 0, [], []
        self.ends = False

    def run(self):
        waiting, poll, due = {}, select.poll(), time.monotonic()
        while not self.ends:
            if time.monotonic() >= due:
                due = max(due + PERIOD_S, time.monotonic() - 1)
                probe = socket.socket()
                probe.setblocking(False)
                probe.bind((self.source, 0))
                probe.connect_ex((self.address, self.port))
                self.tries += 1
                waiting[probe.fileno()] = (probe, time.monotonic())
                poll.register(probe, select.POLLOUT)
            for number, _ in poll.poll(2):
                probe, _ = waiting.pop(number)
                poll.unregister(number)
                error = probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                (self.opened if error == 0 else self.refused if error == errno.ECONNREFUSED else []).append(time.monotonic())
                probe.close()
            for number in [number for number, (_, since) in waiting.items() if time.monotonic() - since > PATIENCE_S]:
                poll.unregister(number)
                waiting.pop(number)[0].close()

    def forget(self):
        self.tries, self.opened, self.refused = 0, [], []

    def stop(self):
        self.ends = True
        if self.is_alive():
            self.join()
