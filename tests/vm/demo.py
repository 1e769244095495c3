#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's script, in L1: watch a guest under redis while its limit moves.

demo.py VERDICT QMP-SOCKET REPORT-FILE CONTROL-SOCKET SIZE RATIO LOW-RATIO

Everything shown goes to the verdict port as "tell" lines; ends with 0 when
the limit took effect and every value of the guest was right.
"""
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import qmp  # noqa: E402

MIB = 1 << 20
PERIOD = 2.0


class Stop(Exception):
    pass


class Demo:
    def __init__(self, argv):
        self.verdict, self.qmp_path, self.report_path, self.control_path = argv[:4]
        self.size = int(argv[4])
        self.ratio = float(argv[5])
        self.low = float(argv[6])
        self.start = time.monotonic()
        self.qmp = qmp.open_qmp(self.qmp_path)
        self.report = open(self.report_path, errors="replace")
        self.partial = ""
        self.guest = "booting"
        self.done = set()
        self.mismatches = 0
        self.values = 0
        self.exit_code = None
        self.before = None
        self.rows = 0
        self.highest_over = 0

    def say(self, text=""):
        # one opener at a time, so the port is opened for each line
        with open(self.verdict, "w") as f:
            f.write("tell " + text + "\n")

    def ask(self, command, **arguments):
        reply = qmp.ask(self.qmp, json.dumps({"execute": command,
                                              "arguments": arguments}))
        if "error" in reply:
            raise Stop(f"{command}: {reply['error']['desc']}")
        return reply["return"]

    def query(self):
        return self.ask("query-hermit-memory")[0]

    # --- what the guest says -------------------------------------------------

    def listen(self):
        text = self.partial + self.report.read()
        lines = text.split("\n")
        self.partial = lines.pop()
        for line in lines:
            word, *rest = line.split()[:4] or [""]
            if word == "load":
                self.guest = f"loading, {rest[0]} %"
            elif word == "loaded":
                self.guest = f"{rest[0]} values loaded"
                self.values = int(rest[0])
            elif word == "work":
                self.guest = f"redis: {rest[0]} requests, {rest[1]} checked"
                self.mismatches = int(rest[2])
            elif word == "check":
                self.guest = f"checking, {rest[0]} %"
            elif word == "verified":
                self.guest = f"{rest[0]} values checked"
                self.mismatches = int(rest[1])
            elif word in ("error", "mismatch"):
                self.say("guest: " + line)
            elif word == "exit":
                self.exit_code = int(rest[0])
            self.done.add(word)
        if self.exit_code not in (None, 0):
            raise Stop(f"redis-verify in the guest ended with {self.exit_code}")

    # --- the table -----------------------------------------------------------

    def head(self):
        self.say(" time  resident   limit  remote   faults  reclaimed"
                 "   p50      p99   guest")
        self.say("    s       MiB     MiB     MiB       /s         /s"
                 "    us       us")

    @staticmethod
    def quantile(hist, q):
        """Within the bucket [2^i, 2^(i+1)) ns, as if evenly spread."""
        total = sum(hist)
        if not total:
            return None
        want = total * q
        for i, n in enumerate(hist):
            if n and want <= n:
                return (1 << i) * (1 + want / n) / 1000
            want -= n
        return None

    def row(self):
        info = self.query()
        t = time.monotonic()
        c = info["counters"]
        now = {
            "time": t,
            # every fault that had to fetch or make a page was measured
            "faults": info["fault-latency"]["count"],
            "reclaimed": c["evicted-clean"] + c["evicted-dirty"] + c["evicted-zero"],
            "hist": info["fault-latency"]["histogram"],
        }
        b = self.before or now
        dt = max(now["time"] - b["time"], 0.001)
        hist = [x - y for x, y in zip(now["hist"], b["hist"])]

        def us(q):
            v = self.quantile(hist, q)
            return "-" if v is None else f"{v:.0f}"

        if self.rows % 20 == 0:
            self.head()
        self.rows += 1
        self.say(f"{t - self.start:5.0f} {info['resident'] / MIB:9.1f}"
                 f" {info['limit'] / MIB:7.1f} {info['remote'] / MIB:7.1f}"
                 f" {(now['faults'] - b['faults']) / dt:8.0f}"
                 f" {(now['reclaimed'] - b['reclaimed']) / dt:10.0f}"
                 f" {us(0.5):>6} {us(0.99):>8}   {self.guest}")
        self.before = now
        return info

    def watch(self, seconds=None, until=None, patience=180):
        """Rows for so long, or until the guest said a word; not for ever when
        it says nothing new."""
        begin = time.monotonic()
        last = (self.guest, begin)
        while True:
            self.listen()
            if until and until in self.done:
                self.row()
                return
            self.row()
            spent = time.monotonic() - begin
            if seconds and spent >= seconds:
                return
            if self.guest != last[0]:
                last = (self.guest, time.monotonic())
            if time.monotonic() - last[1] > patience:
                raise Stop(f"the guest said nothing new for {patience} s; "
                           f"it was at: {self.guest}")
            end = time.monotonic() + PERIOD
            while time.monotonic() < end and not (until and until in self.done):
                time.sleep(0.1)
                self.listen()

    # --- the story -----------------------------------------------------------

    def set_limit(self, ratio):
        limit = int(self.size * ratio) & ~4095
        self.ask("qom-set", path="/objects/ram0", property="limit", value=limit)
        return limit

    def run(self):
        info = self.query()
        server = info["servers"][0]["address"] if info["servers"] else "none"
        self.say()
        self.say(f"The guest has {self.size // MIB} MiB; at most {info['limit'] // MIB}"
                 f" MiB of it may be in this host's memory, the rest goes to {server}.")
        self.say("KVM reaches it through "
                 + ("the EPT hook (patched KVM)." if info["mode"] == "ept-hook"
                    else "host page tables (stock KVM)."))
        self.say()
        self.watch(until="loaded")
        self.watch(seconds=6)

        self.say(f"--- limit lowered to {self.low * 100:.0f} % over QMP,"
                 " redis goes on")
        limit = self.set_limit(self.low)
        begin = time.monotonic()
        while True:
            self.listen()
            resident = self.query()["resident"]
            if resident <= limit:
                break
            if time.monotonic() - begin > 60:
                raise Stop(f"the limit was not reached within 60 s: "
                           f"{resident // MIB} MiB resident, {limit // MIB} MiB allowed")
            time.sleep(0.05)
        reached = time.monotonic() - begin
        self.say(f"--- reached after {reached:.1f} s")
        self.watch(seconds=8)

        self.say(f"--- limit raised to {self.ratio * 100:.0f} % again")
        self.set_limit(self.ratio)
        self.watch(seconds=6)

        self.say(f"--- every one of the {self.values} values is read and compared")
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.control_path)
            s.sendall(b"finish\n")
            self.watch(until="verified")
        info = self.query()
        c = info["counters"]
        with open("/out/stats.json", "w") as f:
            json.dump(info, f, indent=1)
        self.say()
        self.say(f"{self.values} values verified, {self.mismatches} mismatches;"
                 f" {c['fetches']} pages fetched,"
                 f" {c['evicted-dirty'] + c['evicted-clean'] + c['evicted-zero']} evicted,"
                 f" {c['conflicts']} fetched twice,"
                 f" {c['zapped']} pages taken with {c['zap-batches']} TLB flushes")
        if self.mismatches or not self.values:
            raise Stop(f"{self.mismatches} values differ")


def main():
    demo = Demo(sys.argv[1:])
    try:
        demo.run()
    except (Stop, OSError) as e:
        demo.say(f"demo: {e}")
        print(e)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
