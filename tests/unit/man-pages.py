#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""man-pages.py BUILD-DIR: does every program that is installed have a man page
that renders without a warning, and names every long option it has?"""
import json
import os
import re
import shutil
import subprocess
import sys

build = sys.argv[1]
if not shutil.which("man") or not shutil.which("groff"):
    print("no man or groff here")
    sys.exit(77)


def read(name):
    with open(os.path.join(build, "meson-info", name)) as f:
        return json.load(f)


pages = {}
for source, target in read("intro-installed.json").items():
    m = re.fullmatch(r"(.*)\.[1-8]", os.path.basename(target))
    if m and "/man/" in target:
        pages[m.group(1)] = source
programs = {t["name"]: t["filename"][0] for t in read("intro-targets.json")
            if t["type"] == "executable" and t["installed"]}
bad = 0


def complain(what):
    global bad
    bad += 1
    print(what)


for name, source in pages.items():
    r = subprocess.run(["man", "-l", "--warnings=w", source], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       env=dict(os.environ, MANWIDTH="80", MAN_KEEP_FORMATTING="",
                                LC_ALL="C.UTF-8"))
    if r.returncode or r.stderr:
        complain(f"{source}: {r.stderr.strip() or r.returncode}")
    if len(r.stdout) < 500:
        complain(f"{source}: renders as {len(r.stdout)} characters")
    pages[name] = re.sub(r"\x1b\[[0-9;]*m", "", r.stdout)
for name, path in programs.items():
    if name not in pages:
        complain(f"{name}: no man page")
        continue
    if name in ("hermit-qemu", "hermit-qemu-hook"):
        continue                # these take QEMU's and libvirt's arguments
    text = subprocess.run([path, "--help"], text=True,
                          stdout=subprocess.PIPE).stdout
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    if not options:
        complain(f"{name} --help names no options: {text!r}")
    said = re.sub(r"-\n\s+", "-", pages[name])
    for o in sorted(options - {"--help"}):
        if o not in said:
            complain(f"{name}: its man page does not name {o}")
print(f"{len(pages)} pages, {len(programs)} programs, {bad} complaints")
sys.exit(bad > 0)
