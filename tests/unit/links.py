#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Do the links between the documents lead somewhere? Is README.md still short,
and are its commands those of docs/operators.md, which tests run?

    links.py SOURCE-ROOT     check them
    links.py --self-test     find what is wrong on purpose"""
import glob
import os
import re
import sys

# two minutes, at 250 words each
README_WORDS = 520
# of README alone: a name in place of the key, and what says what is missing
OWN = {"hermitctl doctor tcp:192.0.2.1:7471 --key-file /etc/hermit/key"}


def anchors(text):
    """Those that a forge makes of the headings."""
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def wrong(path, text, read):
    """Links of the document that lead nowhere. read(path): its text, "" of a folder, None."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        found = read(there)
        if found is None:
            yield f"{path}: there is no {target}"
        elif anchor and anchor not in anchors(found):
            yield f"{path}: {target} has no such heading"


def long_or_strange(readme, guide):
    prose = re.sub(r"```.*?```|^    .*$|\]\([^)]*\)", " ", readme, flags=re.M | re.S)
    words = len(re.findall(r"\w[\w',.%-]*", prose))
    if words > README_WORDS:
        yield f"README.md has {words} words to read, more than {README_WORDS}"
    install = readme[readme.index("## Install"):]
    commands = "\n".join(re.findall(r"```\n(.*?)```", install, re.S)).strip().split("\n")
    if len(commands) > 12:
        yield f"README.md: {len(commands)} commands to install it"
    for command in commands:
        if command not in OWN and command not in guide.split("\n"):
            yield f"README.md: docs/operators.md has no '{command}'"


def self_test():
    files = {"README.md": "", "docs": "", "docs/a.md": "# A b, `c`\n"}
    for text, errors in [
            ("[x](a.md) [x](../README.md) [x](https://x) [x](a.md#a-b-c) [x](../docs)", 0),
            ("`[x](no.md)`", 0),
            ("[x](no.md)", 1),
            ("[x](a.md#d)", 1),
            ("[x](README.md)", 1)]:
        got = list(wrong("docs/b.md", text, files.get))
        assert len(got) == errors, (text, got)
    short = "x ## Install\n```\nmake\n```\n"
    for readme, errors in [(short, 0), (short.replace("make", "mak"), 1),
                           ("word " * 600 + short, 1), (short.replace("make", "make\n" * 13), 1)]:
        got = list(long_or_strange(readme, "make\n\n"))
        assert len(got) == errors, (readme, got)


if sys.argv[1:] == ["--self-test"]:
    self_test()
    sys.exit()
os.chdir(sys.argv[1])


def read(path):
    if os.path.isdir(path):
        return ""
    if not os.path.exists(path):
        return None
    with open(path, errors="replace") as f:
        return f.read()


documents = sorted(glob.glob("**/*.md", recursive=True))
bad = [line for path in documents for line in wrong(path, read(path), read)]
bad += long_or_strange(read("README.md"), read("docs/operators.md"))
print(f"{len(documents)} documents")
assert len(documents) > 15
for line in bad:
    print(line)
sys.exit(1 if bad else 0)
