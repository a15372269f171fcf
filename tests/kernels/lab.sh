#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plays scenarios of trap-lab on a kernel of Debian's, which has kinds of interfaces that other kernels lack, in an emulated machine whose
# files are this one's, with whatever is written to them forgotten. Usage: lab.sh [--suite SUITE] BUILD_DIR [SCENARIO...]; without a scenario
# all that need such a machine, by `trap-lab list`.
# TRAP_LAB_CELL is passed on. Prints what trap-lab prints. Exit code 0 only if every check of every scenario is ok.
set -eu

# Below the root file system; what scenarios need is loaded by the kernel itself.
modules="virtio_pci 9pnet_virtio 9p overlay"
boot_seconds=${TRAP_BOOT_SECONDS:-900}

usage="lab.sh [--suite SUITE] BUILD_DIR [SCENARIO...]" least=1 most=100 needed=bin/trap-lab
tools="modprobe:kmod mount:mount chroot:coreutils"
. "$(dirname "$0")/machine.sh"
shift
if [ $# = 0 ]; then
  set -- $("$build/bin/trap-lab" list --json |
    python3 -c 'import json, sys; print(*[s["name"] for s in json.load(sys.stdin) if s["class"] == "emulated"])')
  [ $# -gt 0 ] || fail "trap-lab lists no scenario that needs an emulated machine"
fi

mkdir -p "$work/root/proc" "$work/root/lower" "$work/root/upper" "$work/root/root"
add_program "$(command -v dash)" /bin/sh
for program in kmod mount mkdir chroot; do add_program "$(command -v $program)" "/bin/$program"; done
ln -s kmod "$work/root/bin/insmod"
for module in $modules; do add_module "$module"; done
cat >"$work/root/init" <<END
#!/bin/sh
mount -t proc proc /proc
while read -r module; do insmod "/\$module" || exit 1; done </modules
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose files /lower
mount -t tmpfs tmpfs /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root
mount -t proc proc /root/proc
mount -t sysfs sysfs /root/sys
mount -t devtmpfs devtmpfs /root/dev
mkdir -p /root/dev/pts
mount -t devpts devpts /root/dev/pts
mount -t tmpfs tmpfs /root/run
mount -t bpf bpf /root/sys/fs/bpf
exec chroot /root /bin/sh $work/play
END
chmod 755 "$work/root/init"
cat >"$work/play" <<END
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TRAP_LAB_TIMEOUT_SCALE=10 NO_COLOR=1
${TRAP_LAB_CELL:+export TRAP_LAB_CELL='$TRAP_LAB_CELL'}
printf '#!/bin/sh\nexec modprobe -d $image "\$@"\n' >/run/load-module
chmod 755 /run/load-module
echo /run/load-module >/proc/sys/kernel/modprobe
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
mknod /dev/ppp c 108 0
ip link set lo up
echo "kernel \$(uname -r)"
for scenario in $*; do
  if $build/bin/trap-lab run \$scenario; then echo "passed \$scenario"; else echo "failed \$scenario: exit code \$?"; fi
done
echo done
sleep 1 # for the console
echo b >/proc/sysrq-trigger
END

boot "$boot_seconds" "$kernels/lab.log" -smp 2 -m 2048 -virtfs local,path=/,mount_tag=files,security_model=none,readonly=on,multidevs=remap
sed -n '/^kernel /,/^done$/p' "$kernels/lab.log"
grep -q '^done$' "$kernels/lab.log" || fail "the kernel ended before its scenarios did; its console is in $kernels/lab.log"
for scenario in "$@"; do
  grep -q "^passed $scenario\$" "$kernels/lab.log" || fail "$scenario failed on $release"
done
