#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""others.py QEMU FAKE-HERMIT.SO: what is plugged into a VM with hermit-memory later
and would be outside of its limit: refused by name, unless the object was told of it."""
import os
import subprocess

from vm import D, FAKE, HERMIT, MIB, QEMU, VM

TYPES = [
    {"qom-type": "memory-backend-ram"},
    {"qom-type": "memory-backend-ram", "share": True},
    {"qom-type": "memory-backend-memfd"},
    {"qom-type": "memory-backend-shm"},
    {"qom-type": "memory-backend-file", "mem-path": D + "file"},
    {"qom-type": "memory-backend-file", "mem-path": D + "file", "share": True},
]


def add(vm, **arguments):
    vm.send("object-add", size=MIB, **arguments)
    return vm.answer()


def refused(answer, *parts):
    for part in parts:
        assert part in answer["error"]["desc"], (part, answer)


def plugged(vm):
    """What the guest has, and whatever object is there."""
    return len(vm.do("query-memory-devices")), len(vm.do("query-memdev"))


vm = VM("strict", HERMIT, "-m", "64M,slots=4,maxmem=1G", "-device", "pcie-root-port,id=root")
before = plugged(vm)
for other in TYPES:
    refused(add(vm, id="x", **other), "hermit-memory 'r': its limit would not bound what "
            f"{other['qom-type']} 'x' takes of this host: ", "or name it in other-memory")
    for device in {"driver": "pc-dimm"}, {"driver": "virtio-mem-pci", "bus": "root"}:
        vm.send("device_add", id="d", memdev="x", **device)
        refused(vm.answer(), "'x'")
# another one with a limit of its own is hermit-memory's own business
assert "return" in add(vm, **{"qom-type": "hermit-memory", "id": "x"}), "hermit-memory is refused"
vm.do("device_add", driver="virtio-mem-pci", id="d", memdev="x", bus="root")
assert plugged(vm) == (before[0] + 1, before[1] + 1), (before, plugged(vm))
# a disk by VFIO pins memory; there is no such device, which is not what it says
vm.send("blockdev-add", **{"driver": "nvme", "device": "0000:00:1f.7", "namespace": 1, "node-name": "n"})
refused(vm.answer(), "the device pins guest memory, which hermit-memory 'r' does not support")
vm.end()
print(f"plugged in later: {len(TYPES)} kinds of memory and a disk by VFIO are refused")

# the machine has memory of its own when it is not told of any
p = subprocess.run([QEMU, "-machine", "q35", "-m", "64M", "-accel", "qtest", "-display", "none", "-nodefaults",
                    "-object", HERMIT], env=dict(os.environ, LD_PRELOAD=FAKE), stderr=subprocess.PIPE, timeout=60)
assert p.returncode == 1 and b"memory-backend-ram 'pc.ram'" in p.stderr, p

vm = VM("told", HERMIT + ",other-memory=x,other-memory=y")
for i in "x", "y", "x":
    assert "return" in add(vm, id=i, **TYPES[5]), f"{i} is refused"
    refused(add(vm, id="z", **TYPES[5]), "memory-backend-file 'z'")
    vm.do("object-del", id=i)
# all of them have to agree
assert "return" in add(vm, **{"qom-type": "hermit-memory", "id": "s"}), "a second one is refused"
refused(add(vm, id="x", **TYPES[5]), "hermit-memory 's'", "memory-backend-file 'x'")
vm.end()
print("named in other-memory: taken, and no other")
