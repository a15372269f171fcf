#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# completion.sh FOLDER: asks the completion of bash for words as a shell does, and has zsh read its own. Exit code 0 only if each answer is right.
set -u

folder=$1
failed=0
# completes EXPECTED PROGRAM WORD...: the last word is what was typed so far.
completes() {
  expected=$1
  shift
  # shellcheck disable=SC1090
  . "$folder/bash/$1"
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  "_${1//-/_}" 2>/dev/null
  if [ "${COMPREPLY[*]}" = "$expected" ]; then
    echo "ok - $*: $expected"
  else
    echo "not ok - $*: ${COMPREPLY[*]}, not $expected"
    failed=1
  fi
}

completes "status" trapctl st
completes "generate" trapctl key ge
completes "server guard client" trapctl explain --part ""
completes "guard" trapctl status --json gu
completes "--interval" trapctl top --i
completes "" trapctl status ge
completes "debug info warn error" trap-server --log-level ""
completes "--check-config" trap-guard --check
completes "$folder/bash" trap-client --config "$folder/ba"
completes "--detach" trap-client --config x --det
for file in "$folder"/zsh/_*; do
  if zsh -n "$file"; then echo "ok - zsh reads ${file##*/}"; else failed=1; fi
done
exit $failed
