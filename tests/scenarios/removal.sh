#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The maintainer scripts of the packages take away what a daemon left at work, whatever became of its configuration, or say why not, and touch
# nothing where they may not. The lines that debhelper adds are left out: they stop the daemon, and here it has stopped.
# removal.sh BIN_DIR PACKAGING_DEBIAN (as root, in tests/scenarios/isolated.sh). Prints "ok NAME" or "not ok NAME".
set -eu

bin=${1:?usage: removal.sh BIN_DIR PACKAGING_DEBIAN}
scripts=${2:?usage: removal.sh BIN_DIR PACKAGING_DEBIAN}
work=$(mktemp -d)
failures=0
daemon=
trap '[ -z "$daemon" ] || kill "$daemon"; umount /etc; umount "$work/etc"; rm -rf "$work"' EXIT

check() { # NAME COMMAND...
  name=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    echo "ok $name"
  else
    echo "not ok $name: $(tail -n 3 "$work/said" | tr '\n' '/')"
    failures=$((failures + 1))
  fi
}

# An /etc of this test's own, and programs that answer as on a host or in a chroot.
mkdir "$work/etc" "$work/path"
mount -t tmpfs tmpfs "$work/etc"
cp -a /etc/. "$work/etc"
mount --bind "$work/etc" /etc
mkdir -m 700 -p /etc/trap
in_chroot() { printf '#!/bin/sh\nexit %s\n' "$1" >"$work/path/ischroot" && chmod +x "$work/path/ischroot"; }
in_chroot 1
export PATH="$work/path:$bin:$PATH"
script() { # SCRIPT PART ARGUMENT
  sed "s/@part@/$2/g; /^#DEBHELPER#/d" "$scripts/part.$1.in" >"$work/$1"
  sh "$work/$1" "$3"
}

ip link add card0 type veth peer name card1
ip link set card0 up
ip link set card1 up
trapctl key generate "$work/master.key" >/dev/null
trapctl key derive web-1 --master "$work/master.key" --output "$work/guard.key" >/dev/null
configure() {
  rm -rf /etc/trap/*
  cat >/etc/trap/server.toml <<TOML
interfaces = ["card0"]
master_key_file = "$work/master.key"
service = [{ name = "web", addresses = ["203.0.113.10:80"] }]
TOML
  cat >/etc/trap/guard.toml <<TOML
interfaces = ["card0"]
secret_file = "$work/guard.key"
trap_servers = ["203.0.113.10"]
service = [{ name = "web", port = 80 }]
TOML
  echo 'interfaces = ["card0"]' >/etc/trap/client.toml
}
start() { # PART: until it is ready
  : >"$work/log"
  "trap-$1" >"$work/log" 2>&1 &
  daemon=$!
  until grep -q ' ready: ' "$work/log"; do
    kill -0 "$daemon" || { cat "$work/log" && exit 2; }
    sleep 0.1
  done
}
stop() { kill "$daemon" && wait "$daemon" && daemon=; }
at_work() { # PART
  [ -n "$(ls -A "${pins:-/sys/fs/bpf/trap/$1}" 2>/dev/null)" ] && { [ "$1" = client ] || ip -d link show card0 | grep -q prog/xdp; }
}
said() { # PATTERN COMMAND...: prints a line like it; the exit code is the command's
  pattern=$1
  shift
  code=0
  "$@" >"$work/words" 2>&1 || code=$?
  cat "$work/words"
  grep -Eq "$pattern" "$work/words" || { echo "nothing like $pattern" && return 99; }
  return "$code"
}
detaches() { # PART PATTERN
  said "$2" script prerm "$1" remove && ! at_work "$1"
}
leaves() { # PART COMMAND...: it ends well, and the part is at work
  part=$1
  shift
  "$@" && at_work "$part"
}
refuses() { # PART PATTERN COMMAND...: it says why, fails, and the part is at work
  part=$1
  shift
  said "$@" && return 1
  grep -Eq "$1" "$work/words" && at_work "$part"
}

pins=
for part in server guard client; do
  configure
  start "$part"
  check "$part: a removal under a daemon that runs fails" refuses "$part" "another trap-$part runs with pin_dir" script prerm "$part" remove
  stop
  check "$part: an upgrade touches nothing" leaves "$part" script prerm "$part" upgrade
  in_chroot 0
  check "$part: a removal in a chroot touches nothing of its host's" leaves "$part" script prerm "$part" remove
  in_chroot 1
  check "$part: --detach with another configuration, which is not there" refuses "$part" "none.toml: cannot open" "trap-$part" --config "$work/none.toml" --detach
  check "$part: a removal detaches" detaches "$part" "detached from 1 interface"
  check "$part: and once more" script prerm "$part" remove
  start "$part"
  stop
  rm -f /etc/trap/$part.toml
  check "$part: without its configuration" detaches "$part" "/etc/trap/$part.toml: cannot open: .*: detaching what is pinned in /sys/fs/bpf/trap/$part"
  configure
  start "$part"
  stop
  echo nonsense >>/etc/trap/$part.toml
  check "$part: with a wrong configuration" detaches "$part" "not TOML.*: detaching what is pinned"
  check "$part: without any pins the error stands" sh -c "! trap-$part --detach"
  configure
  pins=/sys/fs/bpf/elsewhere/$part
  sed -i "1s,^,pin_dir = \"$pins\"\n," /etc/trap/$part.toml
  start "$part"
  stop
  check "$part: pinned elsewhere" detaches "$part" "removed $pins"
  pins=
done
configure
start guard
stop
check "guard: a removal says that services are open now" detaches guard "the services are not protected any more"
nft -f - <<NFT
table inet trap_guard_closed {
}
NFT
check "guard: what closes its ports until it is ready goes" said "deleted the table inet trap_guard_closed" script prerm guard remove
check "guard: and is gone" sh -c '! nft list table inet trap_guard_closed'

# The last part takes along what parts share.
start guard
stop
touch /run/trap/types-7
script postrm client remove
check "a part that is left keeps what parts share" [ -e /run/trap/types-7 -a -d /sys/fs/bpf/trap ]
script prerm guard remove 2>/dev/null
script postrm guard remove
check "the last part takes it along" [ ! -e /run/trap -a ! -e /sys/fs/bpf/trap ]
script postrm guard purge
check "a purge keeps configurations" [ -e /etc/trap/guard.toml ]
rm /etc/trap/*
script postrm guard purge
check "and takes an empty folder" [ ! -e /etc/trap ]
[ "$failures" = 0 ]
