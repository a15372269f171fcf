#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# registered.sh TRAP_LAB NAME...: are NAME... exactly the scenarios that trap-lab lists?
set -eu
lab=$1
shift
registered=$(printf '%s\n' "$@" | sort)
listed=$("$lab" list | cut -d' ' -f1 | sort)
[ "$registered" = "$listed" ] && exit 0
echo "tests/scenarios/CMakeLists.txt and trap-lab list differ:"
printf '%s\n%s\n' "$registered" "$listed" | sort | uniq -u
exit 1
