#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""migrate.py QEMU FAKE-HERMIT.SO: migrate memory without a guest by every way
there is, between ordinary and hermit memory, and take and load a snapshot. All
contents must arrive, and no page be made or read that was never touched."""
import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

QEMU, FAKE = sys.argv[1:3]
MIB = 1 << 20
D = tempfile.mkdtemp(prefix="hermit-migrate-") + "/"
HERMIT = "hermit-memory,id=r,size=64M,local-ratio=0.5"
ORDINARY = "memory-backend-memfd,id=r,size=64M"
TOUCHED = range(1 * MIB, 24 * MIB, MIB)         # half of each MiB


class VM:
    def __init__(self, name, memory, *extra):
        for end in ".qmp", ".qtest":
            if os.path.exists(D + name + end):
                os.unlink(D + name + end)
        listener = socket.socket(socket.AF_UNIX)
        listener.settimeout(60)
        listener.bind(D + name + ".qtest")
        listener.listen(1)
        self.hermit = memory == HERMIT
        self.log = open(D + name + ".log", "w")
        self.process = subprocess.Popen(
            [QEMU, "-machine", "q35,memory-backend=r", "-object", memory, "-m", "64M",
             "-accel", "qtest", "-display", "none", "-nodefaults",
             "-qtest", "unix:" + D + name + ".qtest", "-qtest-log", "/dev/null",
             "-qmp", "unix:" + D + name + ".qmp,server=on,wait=off", *extra],
            env=dict(os.environ, LD_PRELOAD=FAKE), stderr=self.log)
        atexit.register(self.end)       # also after a failure
        self.qtest = listener.accept()[0].makefile("rw")
        for _ in range(300):
            try:
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(60)
                s.connect(D + name + ".qmp")
                break
            except OSError:
                time.sleep(0.1)
        self.monitor = s.makefile("rw")
        self.monitor.readline()
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        self.monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.monitor.flush()
        while True:
            answer = json.loads(self.monitor.readline())
            if "event" not in answer:
                assert "return" in answer, (command, answer)
                return answer["return"]

    def hmp(self, text):
        said = self.do("human-monitor-command", **{"command-line": text})
        assert not said, (text, said)

    def memory(self, line):
        self.qtest.write(line + "\n")
        self.qtest.flush()
        answer = self.qtest.readline().split()
        assert answer[0] == "OK", (line, answer)
        return answer[1:]

    def fill(self):
        for a in TOUCHED:
            self.memory(f"memset 0x{a:x} 0x80000 0x{a // MIB:x}")

    def check(self):
        for a in TOUCHED:
            for offset, want in (0, a // MIB), (0x7ffff, a // MIB), (0x80000, 0):
                got = int(self.memory(f"readb 0x{a + offset:x}")[0], 16)
                assert got == want, f"{got:#x} at {a + offset:#x}, not {want:#x}"

    def pages(self):
        return self.do("query-hermit-memory")[0]["local"] >> 12 if self.hermit else None

    def setup(self, caps, parameters):
        self.do("migrate-set-capabilities",
                capabilities=[{"capability": c, "state": True} for c in caps])
        self.do("migrate-set-parameters", **{"max-bandwidth": 10 ** 10, **parameters})

    def wait(self):
        for _ in range(1200):
            status = self.do("query-migrate")
            if status.get("status") == "completed":
                return status.get("ram")
            assert status.get("status") != "failed", status
            time.sleep(0.05)
        raise AssertionError("the migration does not end")

    def end(self):
        self.process.kill()
        self.process.wait()


def migrate(what, source, destination, caps=(), parameters={}, to_file=False, by_fd=True):
    uri = ("file:" if to_file else "unix:") + D + "stream"
    s = VM("source", source)
    s.setup(caps, parameters)
    s.fill()
    before = s.pages()
    if to_file:
        s.do("migrate", uri=uri)
        ram = s.wait()
    d = VM("destination", destination, "-incoming", "defer")
    d.setup(caps, parameters)
    d.do("migrate-incoming", uri=uri)
    if not to_file:
        s.do("migrate", uri=uri)
        ram = s.wait()
    d.wait()
    counters = s.do("query-hermit-memory")[0]["counters"] if s.hermit else {}
    reads, calls = counters.get("fetches", 0), counters.get("prefetches", 0)
    print(f"{what}: {before} pages at the source, then {s.pages()}, {reads} read by fd "
          f"with {calls} calls; {d.pages()} at the destination")
    if s.hermit:
        assert s.pages() == before, "the source made pages"
        assert (reads >= before) == by_fd, "pages were not read as they should"
        # what was touched is whole MiB
        assert calls <= reads / 32, "adjacent pages were read one by one"
        # the rest of the machine's memory is less than 2 MiB
        assert ram["duplicate"] < 512, "untouched pages were sent"
    if d.hermit:
        assert d.pages() == len(TOUCHED) * 128, "the destination made pages"
    d.check()
    s.end()
    d.end()
    if os.path.exists(D + "stream"):
        os.unlink(D + "stream")


def snapshot():
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", D + "disk", "64M"], check=True)
    vm = VM("snapshot", HERMIT, "-drive", f"file={D}disk,if=none,id=d,format=qcow2",
            "-device", "virtio-blk-pci,drive=d")
    vm.fill()
    vm.hmp("savevm s")
    # zeros of the snapshot, absent when it was taken, must come back as well
    for a in TOUCHED:
        vm.memory(f"memset 0x{a:x} 0x{MIB:x} 0xee")
    vm.hmp("loadvm s")
    vm.check()
    vm.end()
    print("snapshot: taken, and loaded over other contents")


for pair in (HERMIT, HERMIT), (ORDINARY, HERMIT), (HERMIT, ORDINARY):
    names = " to ".join("hermit" if m == HERMIT else "ordinary" for m in pair)
    migrate(f"precopy, {names}", *pair)
    migrate(f"multifd, {names}", *pair, caps=["multifd"])
migrate("xbzrle", HERMIT, HERMIT, ["xbzrle"])
for zeros in "legacy", "none":
    # not looked for, zeros of touched pages' chunks travel as they are
    migrate(f"multifd, zero pages: {zeros}", HERMIT, HERMIT, ["multifd"],
            {"zero-page-detection": zeros})
migrate("multifd, zstd", HERMIT, HERMIT, ["multifd"], {"multifd-compression": "zstd"}, by_fd=False)
migrate("file", HERMIT, HERMIT, to_file=True)
migrate("mapped-ram", HERMIT, HERMIT, ["mapped-ram"], to_file=True)
migrate("mapped-ram, multifd", HERMIT, HERMIT, ["mapped-ram", "multifd"], to_file=True)
snapshot()
shutil.rmtree(D)
