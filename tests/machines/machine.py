# SPDX-License-Identifier: Apache-2.0
"""An emulated machine that boots an Image."""
import base64
import os
import socket
import subprocess
import time

BOOT_DEADLINE_S = 600
SHUTDOWN_DEADLINE_S = 600


class Machine:
    """Its card is plugged into a tap of network.py; work has its console and its agent's socket."""

    def __init__(self, image, work, tap="tap0", card="virtio-net-pci", memory=1024):
        self.image, self.work, self.tap, self.card, self.memory = image, work, tap, card, memory
        self.name, self.process, self.shut_down_at = work.name, None, None

    def power_on(self):
        path = self.work / "agent"
        path.unlink(missing_ok=True)
        command = ["nice", "-n", os.environ.get("TRAP_NICE", "19"), "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-nodefaults", "-display", "none", "-no-reboot",
                   "-smp", "1", "-m", str(self.memory), "-kernel", self.image.kernel, "-initrd", self.image.ramdisk,
                   "-append", "console=ttyS0 net.ifnames=0 no_timer_check panic=-1 loglevel=4 mitigations=off random.trust_cpu=on systemd.default_timeout_start_sec=600", "-serial", f"file:{self.work}/console",
                   "-drive", f"file={self.image.disk},if=virtio,format=raw,cache=unsafe", "-device", "virtio-serial-pci", "-device", "virtio-rng-pci",
                   "-chardev", f"socket,id=agent,path={path},server=on,wait=off", "-device", "virtserialport,chardev=agent,name=agent"]
        command += ["-netdev", f"tap,id=net,ifname={self.tap},script=no,downscript=no",
                    "-device", f"{self.card},netdev=net,mac=52:54:00:00:00:{int(self.tap[3:]) + 16:02x}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.powered_on = time.monotonic()
        while not path.exists():
            if self.process.poll() is not None:
                raise SystemExit(f"machines: qemu ended: {self.process.stdout.read().decode()[-500:]}")
            time.sleep(0.05)
        self.port = socket.socket(socket.AF_UNIX)
        self.port.connect(str(path))
        self.rest = b""

    def _line(self, deadline_s):
        self.port.settimeout(deadline_s)
        while b"\n" not in self.rest:
            try:
                more = self.port.recv(65536)
            except socket.timeout:
                raise SystemExit(f"machines: the machine said nothing for {deadline_s} s; its console is {self.work}/console; "
                                 "beside other work, which it gives way to, set TRAP_NICE=0") from None
            if not more:
                raise SystemExit(f"machines: the machine ended; its console is {self.work}/console")
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def wait_for_agent(self):
        while self._line(BOOT_DEADLINE_S).strip() != "ready":
            pass
        print(f"   {self.name} answers {time.monotonic() - self.powered_on:.0f} s after power-on", flush=True)

    def run(self, script, deadline_s=300):
        """(exit code, output) of a script of bash's."""
        self.port.sendall(base64.b64encode(script.encode()) + b"\n")
        code, _, output = self._line(deadline_s).partition(" ")
        return int(code), base64.b64decode(output).decode(errors="replace").strip()

    def shut_down(self):
        """As by `systemctl reboot`: every unit is stopped, and the kernel ends the machine."""
        self.port.sendall(base64.b64encode(b"systemctl reboot") + b"\n")
        self.shut_down_at = time.monotonic()

    def come_back(self):
        """In a new emulator: one that has emulated for long writes to pages that held programs so
        slowly that a second boot in it takes ten times as long."""
        try:
            self.process.wait(SHUTDOWN_DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"machines: the machine did not shut down in {SHUTDOWN_DEADLINE_S} s; its console is {self.work}/console") from None
        self.port.close()
        (self.work / "console").rename(self.work / "console.before")
        self.power_on()

    def reboot(self):
        self.shut_down()
        self.come_back()

    def power_off(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
