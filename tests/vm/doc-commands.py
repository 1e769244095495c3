#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""doc-commands.py FILE [LANGUAGE]: the commands of all blocks of that language,
by default sh, of a Markdown file, as they stand there, each followed by a zero
byte.  Lines that only bash would take as one command are one."""
import re
import subprocess
import sys


def complete(text):
    return subprocess.run(["bash", "-n", "-c", text],
                          stderr=subprocess.DEVNULL).returncode == 0


language = sys.argv[2] if len(sys.argv) > 2 else "sh"
inside, indent, command = False, 0, ""
for line in open(sys.argv[1]):
    fence = re.match(r"( *)```(\w*)", line)
    if fence:
        inside, indent = fence.group(2) == language, len(fence.group(1))
        if command:
            sys.exit(f"{sys.argv[1]}: not a whole command: {command}")
    elif inside:
        command += line[indent:]
        if complete(command):
            # a comment alone is none
            if command.strip() and not command.lstrip().startswith("#"):
                sys.stdout.write(command.rstrip("\n") + "\0")
            command = ""
