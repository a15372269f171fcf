#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the model of the handshake and the code go through the same states? model.py --root DIR. Prints file: the name that only one of them has."""

import argparse
import pathlib
import re
import sys

MODEL = "tests/model/handshake.pml"
STATES = "client/maps.h"
NOWHERE = "NO_SYN"  # the model's own: no entry in map pending
VERDICT = r"(?:PASS|DROP|REPLY|REDIRECT|ANNOUNCE)_\w+"
FLAG = r"(?:CONNECT|FALLBACK)_\w+"
NOT_MEANT = {"FALLBACK_LIFETIME_S", "REDIRECT_FROM_RESET", "REDIRECT_TO_CONSENT"}  # no flag, no verdict


def braced(text, opening):
    """From the brace at `opening` to its partner."""
    depth = 0
    for at in range(opening, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[opening:at + 1]
    return ""


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def function_of(text, name):
    """Body of a C function; "" if the text does not define it."""
    found = re.search(rf"^[^\n;#/]*\b{name}\([^;{{}}]*\)\s*\{{", text, re.M)
    return braced(text, found.end() - 1) if found else ""


def states_of_code(root):
    found = re.search(r"enum trap_pending_state \{(.*?)\};", (root / STATES).read_text(), re.S)
    return set(re.findall(r"\bTRAP_(\w+) =", without_comments(found.group(1)))) if found else set()


def states_of_model(text):
    found = re.search(r"enum trap_pending_state \*/\s*mtype = \{(.*?)\};", text, re.S)
    return set(re.findall(r"\w+", found.group(1))) - {NOWHERE} if found else set()


class Group:
    """Inlines below one comment that names functions of the code."""

    def __init__(self, comment, body):
        self.left_out = set(re.findall(r"\b([A-Z][A-Z_]+)\b", re.sub(r"\([^)]*\)", "", comment.partition("not here:")[2])))
        named = re.sub(r"\s*\*\s*", " ", comment.partition("not here:")[0])
        self.functions = [(path, name) for path, names in re.findall(r"([\w/]+\.bpf\.h): ((?:\w+,\s*)*\w+)", named) for name in re.findall(r"\w+", names)]
        self.body = without_comments(body)
        self.name = re.search(r"inline (\w+)", body).group(1)


def groups_of(text):
    """A group ends where the next comment that names a file begins, or where anything but inlines begins."""
    parts = re.split(r"^(/\*(?:(?!\*/).)*?\.bpf\.h: .*?\*/)\n(?=inline )", text, flags=re.M | re.S)
    groups = []
    for comment, rest in zip(parts[1::2], parts[2::2]):
        inlines, at = "", 0
        while found := re.compile(r"\s*(?:/\*[^*]*\*/\s*)?(?=inline )").match(rest, at):
            opening = rest.index("{", found.end())
            body = braced(rest, opening)
            inlines += rest[found.end():opening] + body + "\n"
            at = opening + len(body)
        groups.append(Group(comment, inlines))
    return groups


def compare(root, group, states):
    """Names of states, flags and verdicts in the group's inlines and in the code's functions."""
    wrong, code = [], ""
    for path, name in group.functions:
        body = function_of((root / path).read_text(), name) if (root / path).exists() else ""
        if not body:
            wrong.append(f"{MODEL}: {path} has no function {name}, which {group.name} names")
        code += without_comments(body)
    words = set(re.findall(r"\bTRAP_(\w+)", code))
    said = {name for name in words if name in states or re.fullmatch(VERDICT, name) or re.fullmatch(FLAG, name)} - NOT_MEANT
    modelled = set(re.findall(r"\w+", group.body))
    modelled = {name for name in modelled if name in states} | set(re.findall(r"gives\((\w+)\)", group.body)) | {
        name.upper() for name in modelled if re.fullmatch(FLAG, name.upper()) and name.islower()}
    functions = ", ".join(name for _, name in group.functions)
    wrong += [f"{MODEL}: {group.name} knows nothing of {name}, which is in {functions}" for name in sorted(said - modelled - group.left_out)]
    wrong += [f"{MODEL}: {group.name} has {name}, which is not in {functions}" for name in sorted(modelled - said)]
    return wrong + [f"{MODEL}: {group.name} leaves out {name}, which is not in {functions}" for name in sorted(group.left_out - said)]


def check(root):
    text = (root / MODEL).read_text()
    code, model = states_of_code(root), states_of_model(text)
    if not code or not model:
        return [f"{MODEL}: the states of `pending` are not where this check looks for them, there or in {STATES}"]
    wrong = [f"{MODEL}: has no state {name} of {STATES}" for name in sorted(code - model)]
    wrong += [f"{STATES}: has no state {name} of {MODEL}" for name in sorted(model - code)]
    for name, number in re.findall(r"^#define ([A-Z]\w*_(?:TO_SERVICE|IN_VAIN)) (\d+)$", text, re.M):
        if not re.search(rf"^#define TRAP_{name} {number}$", (root / STATES).read_text(), re.M):
            wrong.append(f"{MODEL}: {name} is not {number} in {STATES}")
    groups = groups_of(text)
    if len(groups) < 8 or len({name for group in groups for name in re.findall(r"gives\((\w+)\)", group.body)}) < 14:
        wrong.append(f"{MODEL}: names hardly a function or verdict: this check does not see them")
    used = set()
    for group in groups:
        wrong += compare(root, group, code | model)
        used |= code & set(re.findall(r"\w+", group.body))
    return wrong + [f"{MODEL}: nothing goes through {name}" for name in sorted(code - used)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    wrong = check(parser.parse_args().root.absolute())
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
