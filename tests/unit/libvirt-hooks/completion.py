#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What bash offers after "hermitctl ...": all commands and options of --help,
each where it belongs, and the VMs that run.

    completion.py COMPLETION HERMITCTL SOURCE"""
import os
import re
import subprocess
import sys
import tempfile

completion, hermitctl, source = sys.argv[1:]
LIST = """\
DOMAIN               REGION       UUID                                        SIZE       LIMIT    RESIDENT
vm1                  pc.ram       d78616a7-7e49-5f41-b1ef-1f07b84cd731   256.0 MiB    96.0 MiB    78.1 MiB
-                    ram0         eeeeeeee-eeee-eeee-eeee-eeeeeeeeee01    64.0 MiB    64.0 MiB     0.0 KiB
"""
SCRIPT = r"""
. "$1"; shift
complete -p hermitctl > /dev/null || exit 1
COMP_WORDS=(hermitctl "$@"); COMP_CWORD=$#
_hermitctl
printf '%s\n' "${COMPREPLY[@]}"
"""


def offered(*words):
    """After these words, of which the last is not complete."""
    done = subprocess.run(["bash", "-c", SCRIPT, "bash", completion, *words], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert not done.stderr, done.stderr
    return sorted(done.stdout.split())


help_text = subprocess.run([hermitctl, "--help"], check=True, text=True, stdout=subprocess.PIPE).stdout
usage = re.search(r"\[OPTION…\] (.*)", help_text).group(1)
commands = sorted({part.split()[0] for part in usage.split(" | ")})
options = sorted(set(re.findall(r"--[a-z-]+", re.search(r"Options:\n(.*)", help_text, re.S).group(1))))
assert "doctor" in commands and "--json" in options, help_text

with open(source + "/libvirt-hooks/policy.c") as f:
    switches = sorted(name + "=" for name in re.findall(r'FIELD \("([a-z-]+)", [A-Z]', f.read()))
assert len(switches) > 5

with tempfile.TemporaryDirectory() as d:
    with open(d + "/hermitctl", "w") as f:
        f.write("#!/bin/sh\n[ \"$*\" = list ] || exit 1\ncat <<'END'\n" + LIST + "END\n")
    os.chmod(d + "/hermitctl", 0o755)
    os.environ["PATH"] = d + ":" + os.environ["PATH"]
    os.chdir(d)
    vms = ["eeeeeeee-eeee-eeee-eeee-eeeeeeeeee01", "ram0", "vm1"]
    for words, want in [
            ([""], commands),
            (["s"], ["server", "set", "stat"]),
            (["-"], options),
            (["stat", ""], vms),
            (["stat", "v"], ["vm1"]),
            (["--json", "stat", "v"], ["vm1"]),
            (["stat", "vm1", ""], []),
            (["server", ""], ["add", "drain", "drop", "list", "undrain"]),
            (["server", "d"], ["drain", "drop"]),
            (["server", "add", "v"], ["vm1"]),
            (["server", "add", "vm1", "--k"], ["--key-file"]),
            (["server", "drop", "-"], ["--force", "--json", "--key-file"]),
            (["server", "list", ""], vms),
            (["set", "--limit", ""], []),
            (["set", "--limit", "4G", "v"], ["vm1"]),
            (["set", "-r", "0.5", "v"], ["vm1"]),
            (["set", "vm1", "--"], ["--config", "--json", "--limit", "--ratio"]),
            (["policy", "vm1", ""], switches),
            (["policy", "vm1", "batch=16", "w"], ["wait="]),
            (["top", "-"], ["--count", "--interval", "--json"]),
            (["export", "--output", ""], ["hermitctl"]),
            (["doctor", "--k"], ["--key-file"]),
            (["follow", "-"], []),
            (["list", ""], [])]:
        got = offered(*words)
        assert got == want, f"hermitctl {' '.join(words)}: {got}, not {want}"
    # nobody runs, and no module
    os.remove(d + "/hermitctl")
    assert offered("stat", "") == []
