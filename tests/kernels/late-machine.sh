# SPDX-License-Identifier: Apache-2.0
# In the machine of late.sh, before systemd starts: units for the guard, a service, an uninvited host in a network namespace, a bridge that
# comes late, and the judge. Set before: `drop_in`, `build`, `here`.

units=/run/systemd/system
mkdir -p $units /run/late /usr/local/sbin /etc/trap
: >/etc/fstab
# What a boot does besides takes an emulated CPU minutes, such as to empty this host's /tmp.
for unit in systemd-hwdb-update systemd-journal-flush systemd-firstboot systemd-timesyncd systemd-machine-id-commit systemd-udev-trigger \
  systemd-sysusers systemd-random-seed systemd-update-utmp systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-sysctl systemd-remount-fs \
  systemd-udevd systemd-modules-load systemd-binfmt systemd-pstore kmod-static-nodes modprobe@ apparmor keyboard-setup console-setup; do
  ln -s /dev/null $units/$unit.service
done
for unit in dev-hugepages dev-mqueue sys-kernel-debug sys-kernel-tracing sys-kernel-config sys-fs-fuse-connections; do
  ln -s /dev/null $units/$unit.mount
done
cp "$build/bin/trap-guard" "$build/bin/trapctl" /usr/local/sbin/
cp "$build/packaging/trap-guard.service" $units/
mkdir -p $units/trap-guard.service.d
printf '[Service]\nTimeoutStartSec=900\n' >$units/trap-guard.service.d/slow.conf
if [ -n "$drop_in" ]; then
  cp "$drop_in" $units/trap-guard.service.d/closed.conf
fi
trapctl key generate /run/late/master.key >/dev/null
trapctl key derive web-1 --master /run/late/master.key --output /etc/trap/guard.key >/dev/null
cat >/etc/trap/guard.toml <<END
interfaces = ["br0"]
xdp_mode = "generic"
trap_servers = ["203.0.113.10"]
mode = "enforce"
trusted = ["203.0.113.1", "2001:db8:113::1"]
[[service]]
name = "web"
port = 80
END

# late_unit NAME AFTER COMMAND
late_unit() {
  printf '[Unit]\nDefaultDependencies=no\nAfter=%s\n[Service]\nExecStart=%s\nStandardOutput=file:/dev/ttyS0\nStandardError=file:/dev/ttyS0\n' \
    "$2" "$3" >$units/late-$1.service
}
printf '[Unit]\nWants=trap-guard.service late-service.service late-stranger.service late-network.service late-judge.service\n' >$units/late.target
late_unit service systemd-journald.socket "/usr/bin/python3 -B -m http.server 80 --bind :: --directory /run/late"
late_unit stranger systemd-journald.socket "/usr/sbin/ip netns exec stranger /usr/bin/python3 -B $here/late.py"
late_unit network "network-pre.target" "/bin/sh /run/late/network"
late_unit judge systemd-journald.socket "/bin/sh /run/late/judge"

. "$here/../scenarios/late-bridge.sh"
make_stranger

# As a network's own service does: after network-pre.target, and not before the other two are there.
echo ". $here/../scenarios/late-bridge.sh" | tee /run/late/network >/run/late/judge
cat >>/run/late/network <<'END'
until [ -e /run/late/probing ] && curl --silent --output /dev/null http://127.0.0.1/; do sleep 0.5; done
make_bridge
: >/run/late/up
exec sleep infinity
END

cat >>/run/late/judge <<'END'
check() { # NAME COMMAND...
  name=$1
  shift
  if "$@" >/run/late/said 2>&1; then echo "ok - $name"; else echo "not ok - $name: $(tail -n 5 /run/late/said | tr '\n' '/')"; fi
}
trusted() { for address in $trusted_addresses; do tries_from "$address" 80 20 || return 1; done; }
no_table() { ! nft list table inet trap_guard_closed; }
until [ -e /run/late/up ]; do sleep 0.5; done
if [ -e /run/systemd/system/trap-guard.service.d/closed.conf ]; then
  check "until the guard is ready the port is closed" nft list table inet trap_guard_closed
  check "a trusted host gets through meanwhile" trusted
fi
for i in $(seq 900); do systemctl is-active --quiet trap-guard && break; sleep 1; done
check "the guard is at the bridge" sh -c 'systemctl is-active trap-guard && ip link show br0 | grep xdpgeneric'
check "its first start was too early" sh -c 'journalctl -b -u trap-guard | grep "no interface \"br0\""'
check "its table is gone" no_table
sleep 3
echo "opened $(cat /run/late/probed) tries of the uninvited host got through, from the boot on"
cp /run/late/probed /run/late/before
check "a trusted host gets through" trusted
check "a restart" systemctl restart trap-guard
check "the restart closed nothing" no_table
check "the guard at work prints no rules" sh -c '[ -z "$(trap-guard --closing-rules)" ]'
sleep 1
check "none got through since" sh -c '[ "$(cut -d " " -f 1 /run/late/before)" = "$(cut -d " " -f 1 /run/late/probed)" ]'
journalctl -b -u trap-guard --no-pager -o short-monotonic | sed 's/^/   /' | tail -n 40
echo done
sleep 1
echo b >/proc/sysrq-trigger
END
