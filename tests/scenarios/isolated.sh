#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# isolated.sh COMMAND...: runs a lab with /run, bpffs and a network of its own, so that another one may run beside it.
set -eu
exec unshare --mount --net --propagation private sh -c '
  mount -t tmpfs tmpfs /run && mount -t sysfs sysfs /sys && mount -t bpf bpf /sys/fs/bpf && ip link set lo up && exec "$@"' sh "$@"
