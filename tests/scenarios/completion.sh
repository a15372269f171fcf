#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# completion.sh FOLDER BIN: asks the completion of bash and zsh for words as the shells do; at each subcommand it must offer what --help lists
# there, and no other option. Exit code 0 only if each answer is right.
set -u

folder=$1 bin=$2
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

# Either form of CLI11's help is read: a default is "=VALUE" until 2.3, and " [VALUE] " since, which may end the line.
generate=$(dirname "$0")/../../packaging/completion/generate.py
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
generates() {
  printf '#!/bin/sh\ncat <<"END"\nUsage: said\n\nOptions:\n  -h,--help  help\n%s\nEND\n' "$1" >"$made/said"
  chmod +x "$made/said"
  rm -rf "$made/out"
  python3 -B "$generate" "$made/said" "$made/out" 2>"$made/why"
}
gap="                              "
for help in "TEXT:{debug,info}=info   how much" "TEXT:{debug,info} [info]   how much" "TEXT:{debug,info} [info] "$'\n'"${gap}how much"; do
  generates "  --level $help" || { echo "not ok - $(cat "$made/why")" && failed=1; }
  folder=$made/out completes "--level" said --le
  folder=$made/out completes "debug info" said --level ""
done
! generates "  --level, how much" || { echo "not ok - an option that cannot be read is left out in silence" && failed=1; }

in_bash() {
  # shellcheck disable=SC1090
  . "$folder/bash/$1"
  COMP_WORDS=("$@" "") COMP_CWORD=$# COMPREPLY=()
  "_${1//-/_}" 2>/dev/null
  printf '%s\n' "${COMPREPLY[@]}"
}
# Stands in for zsh's own functions: entries are "word:what it is for".
in_zsh() {
  zsh -fc 'file=$1; shift
    _describe() { local entry; for entry in "${(P@)2}"; do print -r -- "${entry%%:*}"; done }
    _files() { print files; }
    words=("$@" "") CURRENT=$(($# + 1))
    ask() { source "$file"; }
    ask' - "$folder/zsh/_$1" "$@"
}
# section NAME FORM: the first words of a section of --help on stdin.
section() { awk -v name="$1:" -v form="$2" '$0 == name { here = 1; next } /^[^ ]/ { here = 0 } here && $0 ~ form { print $1 }'; }

# Every subcommand below a command, in both shells.
walk() {
  local help commands options shell offered missing foreign
  help=$("$bin/$1" "${@:2}" --help)
  commands=$(section Subcommands '^  [a-z]' <<<"$help")
  options=$(section Options '^  -' <<<"$help" | tr , '\n')
  [ -n "$options" ] || { echo "not ok - $* --help lists no option" && failed=1; }
  for shell in bash zsh; do
    offered=$("in_$shell" "$@" | sort -u)
    missing=$(printf '%s\n' $commands $options | sort -u | comm -23 - <(echo "$offered"))
    foreign=$(grep '^-' <<<"$offered" | comm -23 - <(sort -u <<<"$options"))
    if [ -z "$missing$foreign" ]; then
      echo "ok - $*: $shell offers what --help lists"
    else
      echo "not ok - $*: $shell leaves out" $missing "and adds" $foreign
      failed=1
    fi
  done
  walked=$((walked + 1))
  for command in $commands; do walk "$@" "$command"; done
}
walked=0
for file in "$folder"/bash/*; do walk "${file##*/}"; done
[ "$walked" -ge 25 ] || { echo "not ok - only $walked commands were found" && failed=1; }
exit $failed
