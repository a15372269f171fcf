#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs TRAP's packages from a signed repository into a fresh chroot of their suite, looks at what that did, and takes them away again.
# Usage: try.sh [SUITE], after build.sh of the same suite. Prints "ok" and "not ok" lines. Exit code 0 only if each is ok.
set -eu

suite=${1:-bookworm}
here=$(cd "$(dirname "$0")" && pwd)
packages=$(cd "$here/../.." && pwd)/build/packages
base=$packages/base-$suite
fail() {
  echo "try.sh: $*" >&2
  exit 2
}
. "$here/../../scripts/chroot.sh"
make_chroot minbase "$suite" "$base"

work=$(mktemp -d "$packages/try.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export GNUPGHOME="$work/gpg"
mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key 'TRAP packages under test' default default never
"$here/repository.sh" "$packages/$suite" "$work/repository" 'TRAP packages under test' >"$work/log" 2>&1 || fail "no repository was made: $(tail -n 1 "$work/log")"
gpgconf --kill gpg-agent

cp -a "$base" "$work/root"
mkdir "$work/root/repository"
cp "$work/repository"/* "$work/root/repository"
cat >"$work/root/play" <<'END'
set -eu
failed=0
check() {
  if [ "$1" = 0 ]; then echo "ok - $2"; else echo "not ok - $2: ${3:-}" && failed=1; fi
}
files() { find / -xdev \( -path /proc -o -path /tmp -o -path /repository -o -path /var/cache -o -path /var/log -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /play -o -path /.made \) -prune -o -print | sort; }
boot() { find /etc/systemd/system /etc/rc?.d -type l 2>/dev/null | sort; }
install() { apt-get -qq install -y --no-install-recommends "$@" >/tmp/apt.log 2>&1 || { tail -n 5 /tmp/apt.log; return 1; }; }

echo "deb [signed-by=/repository/key.asc] file:/repository ./" >/etc/apt/sources.list.d/trap.list
apt-get -qq update
apt-get -qq install -y --no-install-recommends systemd >/dev/null 2>&1 # as every host of this kind has
dpkg-query -W -f='${Package}\n' | sort >/tmp/before
files >/tmp/files.before
boot >/tmp/boot.before

install trap-guard && status=0 || status=1
check "$status" "apt installs trap-guard from the signed repository"
new=$(dpkg-query -W -f='${Package}\n' | sort | comm -13 /tmp/before -)
count=$(echo "$new" | wc -l)
[ "$count" -le 15 ] && status=0 || status=1
check "$status" "that pulls $count packages, itself included" "$new"
install trap-server trap-client trapctl trap-doc && status=0 || status=1
check "$status" "the other parts install beside it"
changed=$(boot | comm -13 /tmp/boot.before -)
[ -z "$changed" ] && status=0 || status=1
check "$status" "nothing starts at boot by that" "$changed"
for program in trap-server trap-guard trap-client trapctl; do
  $program --version >/dev/null && status=0 || status=1
  check "$status" "$program runs"
done
for part in server guard client; do
  grep -q "deb-systemd-invoke .*trap-$part.service" /var/lib/dpkg/info/trap-$part.postinst &&
    grep -q "deb-systemd-invoke stop .*trap-$part.service" /var/lib/dpkg/info/trap-$part.prerm && status=0 || status=1
  check "$status" "an upgrade restarts trap-$part, and a removal stops it"
done
for part in server guard client; do
  trap-$part --check-config >/tmp/out 2>&1 && status=0 || status=$?
  [ "$status" = 2 ] && grep -q "/etc/trap/$part.toml" /tmp/out && status=0 || status=1
  check "$status" "without a configuration trap-$part names the file, and the exit code is 2" "$(cat /tmp/out)"
  trap-$part --config /usr/share/doc/trap-$part/examples/$part.toml --check-config >/tmp/out 2>&1 && status=0 || status=$?
  grep -q -e "/examples/$part.toml" -e "^trap-$part: /etc/trap/[a-z]*.key: cannot open key file" /tmp/out && status=0 || status=1
  check "$status" "the example of trap-$part is read, up to its keys" "$(cat /tmp/out)"
done
chmod 750 /etc/trap
apt-get -qq install -y --reinstall trap-server trap-guard trap-client trapctl trap-doc >/tmp/out 2>&1 && status=0 || status=1
check "$status" "installing again works" "$(tail -n 3 /tmp/out)"
systemd-tmpfiles --create >/dev/null 2>&1 || true # as at a boot
[ "$(stat -c %a /etc/trap)" = 750 ] && status=0 || status=1
check "$status" "the administrator's mode of /etc/trap stays" "$(stat -c %a /etc/trap)"

# As an administrator does it, and a purge takes the links.
systemctl enable trap-server trap-guard trap-client >/tmp/out 2>&1 && [ -n "$(boot | comm -13 /tmp/boot.before -)" ] && status=0 || status=1
check "$status" "units can be enabled" "$(tail -n 3 /tmp/out)"
apt-get -qq purge -y trap-server trap-guard trap-client trapctl trap-doc >/dev/null 2>&1 && apt-get -qq autoremove --purge -y >/dev/null 2>&1 && status=0 || status=1
check "$status" "purge takes them away"
left=$(files | comm -13 /tmp/files.before -)
[ -z "$left" ] && status=0 || status=1
check "$status" "and leaves no file" "$left"
exit $failed
END
unshare --mount --propagation private sh -eu -c '
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  mount -t tmpfs tmpfs "$1/tmp"
  exec chroot "$1" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive sh /play
' sh "$work/root"
