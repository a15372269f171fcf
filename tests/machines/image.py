# SPDX-License-Identifier: Apache-2.0
"""A disk with Debian and systemd, TRAP's packages installed, and an agent that runs commands: Image(suite, packages, work)."""
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DISK_BYTES = 3 << 30
# As an administrator's host has them; ifupdown configures its network.
INSTALLED = "systemd-sysv udev dbus ifupdown iproute2 nginx-light haproxy curl ethtool openssh-server nftables kmod procps linux-image-amd64"
# Of the initial ramdisk: the disk and the file system. The cards' drivers are loaded by udev.
EARLY_MODULES = ("virtio_pci", "virtio_blk", "ext4")

# Runs each request of the host by bash and answers with what it printed and its exit code. It has no
# part in what is tested: it waits for nothing but its port.
AGENT = """#!/bin/bash
port=/dev/virtio-ports/agent
until [ -e $port ]; do sleep 0.2; done
exec 3<>$port
echo ready >&3
while read -r -u 3 request; do
  output=$(base64 -d <<<"$request" | HOME=/root bash 2>&1 | base64 -w0; exit ${PIPESTATUS[1]})
  echo "$? $output" >&3
done
"""
AGENT_UNIT = """[Unit]
Description=Commands of the test
DefaultDependencies=no
After=systemd-udevd.service
[Service]
ExecStart=/usr/local/sbin/agent
KillMode=process
[Install]
WantedBy=sysinit.target
"""
INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "/$module" || exit 1; done </modules
mount -t ext4 /dev/vda /root
exec switch_root /root /sbin/init
"""


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"machines: {' '.join(map(str, command))[:200]} failed:\n{done.stdout[-1500:]}")
    return done.stdout


def in_chroot(root, script):
    """In the network that this process came from: packages are downloaded."""
    outside = os.environ.get("TRAP_MACHINES_OUTSIDE")
    return run(*(["nsenter", f"--net=/proc/{os.getpid()}/fd/{outside}"] if outside else []), "unshare", "--mount", "--propagation", "private", "sh", "-eu", "-c",
               'mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin '
               'LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive sh -eu -c "$2"', "sh", root, script)


def base_of(suite, built):
    """The suite with what every machine of the test has; made once and kept."""
    root = built / f"root-{suite}"
    whole = root / ".whole"
    if whole.exists() and whole.read_text() == INSTALLED:
        return root
    shutil.rmtree(root, ignore_errors=True)
    run("sh", "-eu", "-c", f'fail() {{ echo "$*"; exit 2; }}; . {ROOT}/scripts/chroot.sh; make_chroot minbase "$1" "$2"', "sh", suite, root)
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    in_chroot(root, f"apt-get -qq update; apt-get install -y -q --no-install-recommends {INSTALLED}")
    policy.unlink()
    whole.write_text(INSTALLED)
    return root


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)


class Image:
    """disk, kernel and ramdisk for qemu, below work; `files` are path: text or bytes of the disk.
    Services of `without` are there and do not start."""

    def __init__(self, suite, packages, work, files, offered=None, without=("haproxy",)):
        built = ROOT / "build/machines"
        base = base_of(suite, built)
        self.release = next((base / "lib/modules").iterdir()).name
        self.kernel = base / f"boot/vmlinuz-{self.release}"
        root = work / "root"
        run("cp", "-a", "--reflink=auto", base, root)
        for folder, debs in (("repository", packages), ("offered", offered)):
            if debs:
                (root / "srv" / folder).mkdir(parents=True)
                for deb in sorted(debs.glob("*.deb")):
                    if "-dbgsym_" not in deb.name:
                        shutil.copy(deb, root / "srv" / folder)
                (root / "srv" / folder / "Packages").write_text(run("sh", "-c", "apt-ftparchive packages . 2>/dev/null", cwd=root / "srv" / folder))
        policy = root / "usr/sbin/policy-rc.d"
        write(policy, "#!/bin/sh\nexit 101\n", 0o755)
        in_chroot(root, "cd /srv/repository; apt-get install -y -q --no-install-recommends ./trap-server_*.deb ./trap-guard_*.deb "
                        "./trap-client_*.deb ./trapctl_*.deb")
        policy.unlink()
        write(root / "usr/local/sbin/agent", AGENT, 0o755)
        write(root / "etc/systemd/system/agent.service", AGENT_UNIT)
        write(root / "etc/fstab", "/dev/vda / ext4 defaults 0 1\n")
        write(root / "etc/hostname", work.name.split(".")[0] + "\n")
        in_chroot(root, "systemctl enable agent.service; systemctl mask serial-getty@ttyS0 getty@tty1 apt-daily.timer "
                        f"apt-daily-upgrade.timer e2scrub_reap.service; systemctl disable {' '.join(without)}; rm -f /etc/machine-id; : >/etc/machine-id")
        for path, text in files.items():
            write(root / path.lstrip("/"), text, 0o600 if path.endswith(".key") else 0o644)
        self.disk = work / "disk"
        with open(self.disk, "wb") as disk:
            disk.truncate(DISK_BYTES)
        run("mke2fs", "-q", "-t", "ext4", "-d", root, self.disk)
        self.ramdisk = self._make_ramdisk(base, work / "early", work / "ramdisk")
        shutil.rmtree(root)

    def _make_ramdisk(self, base, early, ramdisk):
        for folder in ("bin", "proc", "dev", "root"):
            (early / folder).mkdir(parents=True)
        for program, at in (("/bin/dash", "bin/sh"), ("/bin/kmod", "bin/insmod"), ("/bin/mount", "bin/mount"), ("/sbin/switch_root", "bin/switch_root")):
            shutil.copy(program, early / at)
            for word in run("ldd", program).split():
                if word.startswith("/"):
                    (early / word[1:]).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(word, early / word[1:])
        names = []
        for module in EARLY_MODULES:
            for line in run("modprobe", "-d", base, "-S", self.release, "--show-depends", module).splitlines():
                path = pathlib.Path(line.split()[1]) if line.startswith("insmod ") else None
                if path and path.name.removesuffix(".xz") not in names:
                    names.append(path.name.removesuffix(".xz"))
                    shutil.copy(path, early / path.name)
                    if path.suffix == ".xz":
                        run("xz", "-d", early / path.name)
        write(early / "modules", "\n".join(names) + "\n")
        write(early / "init", INIT, 0o755)
        run("sh", "-c", 'cd "$1" && find . | cpio --quiet -o -H newc -R 0:0 >"$2"', "sh", early, ramdisk)
        shutil.rmtree(early)
        return ramdisk
