# SPDX-License-Identifier: GPL-2.0-or-later
"""Our QEMU without a guest, on a stand-in for /dev/hermit: for the tests here,
which are run as TEST.py QEMU FAKE-HERMIT.SO."""
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
D = tempfile.mkdtemp(prefix="hermit-qemu-") + "/"
atexit.register(shutil.rmtree, D)
HERMIT = "hermit-memory,id=r,size=64M,local-ratio=0.5"
ORDINARY = "memory-backend-memfd,id=r,size=64M"
TOUCHED = range(1 * MIB, 24 * MIB, MIB)         # half of each MiB


class VM:
    def __init__(self, name, memory, *extra, machine="q35", accel="qtest", **env):
        for end in ".qmp", ".qtest":
            if os.path.exists(D + name + end):
                os.unlink(D + name + end)
        listener = socket.socket(socket.AF_UNIX)
        listener.settimeout(60)
        listener.bind(D + name + ".qtest")
        listener.listen(1)
        self.hermit = memory.startswith("hermit-memory")
        self.log = open(D + name + ".log", "w+")
        self.events = []
        self.process = subprocess.Popen(
            [QEMU, "-machine", f"{machine},memory-backend=r", "-object", memory, "-m", "64M",
             "-accel", accel, "-display", "none", "-nodefaults",
             "-qtest", "unix:" + D + name + ".qtest", "-qtest-log", "/dev/null",
             "-qmp", "unix:" + D + name + ".qmp,server=on,wait=off", *extra],
            env=dict(os.environ, LD_PRELOAD=FAKE, **env), stderr=self.log)
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

    def send(self, command, **arguments):
        self.monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.monitor.flush()

    def answer(self):
        """What comes next that is no event; those are kept."""
        while True:
            answer = json.loads(self.monitor.readline())
            if "event" not in answer:
                return answer
            self.events.append(answer)

    def event(self, name):
        """The next event of that name; an answer is not expected before."""
        while True:
            for e in self.events:
                if e["event"] == name:
                    self.events.remove(e)
                    return e
            event = json.loads(self.monitor.readline())
            assert "event" in event, event
            self.events.append(event)

    def do(self, command, **arguments):
        self.send(command, **arguments)
        answer = self.answer()
        assert "return" in answer, (command, answer)
        return answer["return"]

    def said(self):
        self.log.seek(0)
        return self.log.read()

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
        for _ in range(6000):
            status = self.do("query-migrate")
            if status.get("status") == "completed":
                return status.get("ram")
            assert status.get("status") != "failed", status
            time.sleep(0.05)
        raise AssertionError("the migration does not end")

    def end(self):
        self.process.kill()
        self.process.wait()
