#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hermit-autostart beside a virsh that is made up: which domains it starts, how
often it tries, and when it ends.

    autostart.py SCRIPT"""
import os
import subprocess
import sys
import tempfile

script = sys.argv[1]
SERVER = ("error: Failed to start domain 'x'\nerror: internal error: QEMU unexpectedly closed the monitor: "
          "hermit-memory 'ram': tcp:mem1:7471: connection refused")
DISK = "error: Failed to start domain 'x'\nerror: Cannot access storage file '/x.img'"
ACTIVE = "error: Domain is already active"
VIRSH = r"""#!/bin/sh
# away: how often libvirt does not answer; domains/NAME/{hermit,reason,answers}: a line of answers for each start that fails
cd "$STATE/domains" || exit 1
[ "$1" = -q ] && shift
case $1 in
uri)
	away=$(cat ../away)
	echo $((away - 1)) > ../away
	[ "$away" -le 0 ] ;;
list)
	[ "$*" = "list --name --inactive --autostart" ] || exit 1
	for d in *; do [ -e "$d/running" ] || echo "$d"; done
	echo ;;
metadata)
	[ "$3 $4" = "--config --uri" ] && [ "$5" = https://hermit.example/xmlns/libvirt/1 ] && [ -e "$2/hermit" ] ;;
domstate) echo "shut off ($(cat "$2/reason"))" ;;
start)
	echo "$2" >> ../starts
	answer=$(sed -n 1p "$2/answers")
	sed -i 1d "$2/answers"
	[ -z "$answer" ] && { touch "$2/running"; exit; }
	printf '%b\n' "$answer" >&2
	# as somebody who stops it while we wait
	[ ! -e "$2/stopped" ] || echo destroyed > "$2/reason"
	exit 1 ;;
*) exit 1 ;;
esac
"""


def run(away=0, **domains):
    """What it printed, and the starts it tried, of domains with hermit memory;
    libvirt does not answer so often at first."""
    with tempfile.TemporaryDirectory() as state:
        os.makedirs(f"{state}/bin")
        with open(f"{state}/bin/virsh", "w") as f:
            f.write(VIRSH)
        os.chmod(f"{state}/bin/virsh", 0o755)
        for name, d in domains.items():
            folder = f"{state}/domains/{name.replace('_', ' ')}"
            os.makedirs(folder)
            for what in ("hermit", "stopped"):
                if d.get(what, what == "hermit"):
                    open(f"{folder}/{what}", "w").close()
            with open(f"{folder}/reason", "w") as f:
                f.write(d.get("reason", "failed"))
            with open(f"{folder}/answers", "w") as f:
                f.writelines(a.replace("\n", "\\n") + "\n" for a in d.get("answers", []))
        os.makedirs(f"{state}/domains", exist_ok=True)
        with open(f"{state}/away", "w") as f:
            f.write(f"{away}\n")
        env = dict(os.environ, STATE=state, PATH=f"{state}/bin:" + os.environ["PATH"],
                   HERMIT_AUTOSTART_FIRST="0")
        done = subprocess.run(["sh", script], env=env, text=True, capture_output=True, timeout=120)
        if done.returncode:
            return done.stderr, []
        assert not done.stderr, done
        try:
            starts = open(f"{state}/starts").read().splitlines()
        except FileNotFoundError:
            starts = []
        return done.stdout, starts


def same(what, wanted):
    assert what == wanted, f"{what!r} is not {wanted!r}"


# nothing to do
same(run(), ("", []))
# one whose server comes later; each reason is told once
out, starts = run(vm1=dict(answers=[SERVER, SERVER, SERVER]))
same(starts, ["vm1"] * 4)
same(out.count("waits for its server"), 1)
assert "tcp:mem1:7471: connection refused" in out and "vm1 is started" in out, out
# as soon as libvirt has not tried yet
same(run(vm1=dict(reason="unknown"))[1], ["vm1"])
# what is not ours, or was stopped by somebody
for d in (dict(hermit=False), dict(reason="destroyed"), dict(reason="shutdown"), dict(reason="saved"), dict(reason="crashed")):
    same(run(vm1=d), ("", []))
# stopped while it waits
same(run(vm1=dict(answers=[SERVER, SERVER], stopped=True))[1], ["vm1"])
# another reason: once, and what else waits goes on
out, starts = run(broken=dict(answers=[DISK] * 5), other_vm=dict(answers=[SERVER]))
same(sorted(starts), ["broken", "other vm", "other vm"])
assert "broken does not start, and not for its server" in out and "/x.img" in out, out
assert "other vm is started" in out, out
# started by somebody else just then: nothing to say
same(run(vm1=dict(answers=[ACTIVE])), ("", ["vm1"]))
# libvirt comes later, or never
same(run(away=5, vm1=dict())[1], ["vm1"])
assert "libvirt does not answer" in run(away=1000, vm1=dict())[0]
print("ok")
