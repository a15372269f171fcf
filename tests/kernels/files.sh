# SPDX-License-Identifier: Apache-2.0
# For the scripts beside it, beside machine.sh: an emulated machine whose files are this one's, with whatever is written to them forgotten.
# boot_files SECONDS CONSOLE [OPTION...] runs the script in $work/play there; options go to qemu. /run/load-module is its modprobe.

early_modules="virtio_pci 9pnet_virtio 9p overlay"
early_tools="modprobe:kmod mount:mount chroot:coreutils"

prepare_files() {
  mkdir -p "$work/root/proc" "$work/root/lower" "$work/root/upper" "$work/root/root"
  add_program "$(command -v dash)" /bin/sh
  for program in kmod mount mkdir chroot; do add_program "$(command -v $program)" "/bin/$program"; done
  ln -s kmod "$work/root/bin/insmod"
  for module in $early_modules; do add_module "$module"; done
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
exec chroot /root /bin/sh $work/first
END
  chmod 755 "$work/root/init"
  cat >"$work/first" <<END
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root NO_COLOR=1
printf '#!/bin/sh\nexec modprobe -d $image "\$@"\n' >/run/load-module
chmod 755 /run/load-module
echo /run/load-module >/proc/sys/kernel/modprobe
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ip link set lo up
echo "kernel \$(uname -r)"
. $work/play
echo done
sleep 1 # for the console
echo b >/proc/sysrq-trigger
END
}

boot_files() {
  seconds=$1 console=$2
  shift 2
  prepare_files
  boot "$seconds" "$console" -smp 2 -m 2048 -virtfs local,path=/,mount_tag=files,security_model=none,readonly=on,multidevs=remap "$@"
}
