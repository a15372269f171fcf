# SPDX-License-Identifier: Apache-2.0
"""Completion for bash and zsh, written from the --help of the programs: generate.py PROGRAM FOLDER writes FOLDER/bash/NAME and FOLDER/zsh/_NAME."""
import os
import re
import subprocess
import sys

# A line of --help: what is typed, what it takes (which may have the choices in braces), and what it is for. CLI11 writes the default behind
# that as "=VALUE" until 2.3, and as " [VALUE] " since.
OPTION = re.compile(r"^  (?P<names>-[^\s,]+(?:,-[^\s,]+)*)(?: (?P<takes>\S+(?: \S+)*?))?(?:\s{2,}(?P<about>\S.*))?$")
POSITIONAL = re.compile(r"^  [A-Z][A-Z-]*(?: (?P<takes>\S+(?: \S+)*?))?(?:\s{2,}\S.*)?$")
SUBCOMMAND = re.compile(r"^  (?P<name>[a-z][a-z-]*)(?:\s{2,}(?P<about>\S.*))?$")
CHOICES = re.compile(r"\{([^}]*)\}")


def choices_in(takes):
    found = CHOICES.search(takes or "")
    return found[1].split(",") if found else []


class Command:
    """One command of a program, with its options, its positionals and the commands below it."""

    def __init__(self, program, path):
        self.path = path
        self.options, self.choices, self.commands = [], [], []
        text = subprocess.run([program, *path, "--help"], check=True, capture_output=True, text=True).stdout
        section = ""
        for line in map(str.rstrip, text.splitlines()):
            if line and not line.startswith(" "):
                section = line
            elif section == "Options:" and (found := OPTION.match(line)):
                self.options.append((found["names"].split(","), found["takes"], choices_in(found["takes"]), found["about"] or ""))
            elif section == "Options:" and line.startswith("  -"):
                sys.exit(f"generate.py: {os.path.basename(program)} {' '.join(path)} --help has an option that this script cannot read: {line}")
            elif section == "Positionals:" and (found := POSITIONAL.match(line)):
                self.choices += choices_in(found["takes"])
            elif section == "Subcommands:" and (found := SUBCOMMAND.match(line)):
                self.commands.append((found["name"], found["about"] or "", Command(program, path + [found["name"]])))
            elif section == "Options:" and self.options and not self.options[-1][3]:
                self.options[-1] = (*self.options[-1][:3], line.strip())
        if not self.options:
            sys.exit(f"generate.py: {os.path.basename(program)} {' '.join(path)} --help shows no options that this script can read")

    def at(self):
        return "".join(" " + name for name in self.path)

    def all(self):
        yield self
        for _, _, command in self.commands:
            yield from command.all()


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def cases(root, of):
    return "\n".join(f"    {quoted(command.at())}) {of(command)} ;;" for command in root.all())


def paths(root):
    return " | ".join(quoted(command.at()) for command in root.all() if command.path) or "none"


def values(root, choose, files):
    """What comes after an option that takes a value."""
    lines = []
    for command in root.all():
        for names, value, choices, _ in command.options:
            if value:
                pattern = " | ".join(quoted(f"{command.at()}:{name}") for name in names)
                lines.append(f"    {pattern}) {choose(choices) if choices else files}; return ;;")
    return "\n".join(lines)


BASH_FILES = 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word"))'


def bash_choices(choices):
    return f'COMPREPLY=($(compgen -W {quoted(" ".join(choices))} -- "$word"))'


def bash(name, root):
    function = "_" + name.replace("-", "_")
    words = cases(root, lambda c: "words=" + quoted(" ".join([n for n, _, _ in c.commands] + c.choices + [n for names, _, _, _ in c.options for n in names])))
    return f"""# Completion of {name} for bash, written from its --help.
{function}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} at= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at ${{COMP_WORDS[i]}}" in
    {paths(root)}) at="$at ${{COMP_WORDS[i]}}" ;;
    esac
  done
  COMPREPLY=()
  case "$at:$before" in
{values(root, bash_choices, BASH_FILES)}
  esac
  case "$at" in
{words}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F {function} {name}
"""


def zsh(name, root):
    def entries(command):
        items = [(n, about) for n, about, _ in command.commands] + [(choice, "") for choice in command.choices]
        items += [(n, about) for names, _, _, about in command.options for n in names]
        return "entries=(" + " ".join(quoted(n.replace(":", "\\:") + (":" + about if about else "")) for n, about in items) + ")"

    return f"""#compdef {name}
# Completion of {name} for zsh, written from its --help.
local at= i
local -a entries
for ((i = 2; i < CURRENT; i++)); do
  case "$at $words[i]" in
  {paths(root)}) at="$at $words[i]" ;;
  esac
done
case "$at:$words[CURRENT-1]" in
{values(root, lambda choices: "compadd " + " ".join(choices), "_files")}
esac
case "$at" in
{cases(root, entries)}
esac
_describe {quoted(name)} entries || _files
"""


def main():
    if len(sys.argv) != 3:
        print("usage: generate.py PROGRAM FOLDER", file=sys.stderr)
        sys.exit(2)
    program, folder = sys.argv[1:]
    name = os.path.basename(program)
    root = Command(os.path.abspath(program), [])
    for shell, file, text in (("bash", name, bash(name, root)), ("zsh", "_" + name, zsh(name, root))):
        os.makedirs(os.path.join(folder, shell), exist_ok=True)
        with open(os.path.join(folder, shell, file), "w", encoding="utf-8") as out:
            out.write(text)


main()
