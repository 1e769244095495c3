# SPDX-License-Identifier: GPL-2.0-or-later
"""Sum up what hermit-count.ko counted, as lines for report.py: wire.py OUT-FOLDER [--rows].

With --rows each counter: its way, phase, side, name, instructions and entries per page:
that was fetched, or in the phase `evict`, where none is, that was evicted.

Every row is put to one side. What a NIC and its driver would do instead is
soft-RoCE's: calls into its driver, its work items, and every packet.
"""
import os
import sys

WAYS = ["tcp", "tcp-set", "nbd-swap", "rdma", "nvme-swap"]

# row -> where, by its beginning; the first that fits. "host" counts.
SIDES = [
    ("overhead", "counting"),
    ("many", "unknown"),
    ("swapper", "idle"),
    ("verbs:", "rxe"),
    ("work:do_work[rdma_rxe]", "rxe"),
    ("work:do_work_[rdma_rxe]", "rxe"),
    ("net:w0", "net-host"),
    ("net:w1", "net-server"),
    ("softirq:NET_RX", "net-shared"),
    ("softirq:NET_TX", "net-shared"),
    ("hermit-memserve", "server"),
    ("keeper", "server"),                    # has slots ready for what is written
    ("nbdkit", "server"),
    ("conn", "server"),
    ("work:ib_cq_poll_work", "server"),      # nvmet's completions; ours are in softirqs
    ("work:nvmet", "server"),
    ("kworker", "shared"),                   # between work items, mostly soft-RoCE's
    ("ksoftirqd", "shared"),
]


def side(row):
    for prefix, where in SIDES:
        if row.startswith(prefix):
            return where
    return "host"


def read(path):
    phases = {}
    with open(path) as f:
        for line in f:
            w = line.split()
            if w[0] == "phase":
                # a page of it: fetched, or evicted where none is fetched
                pages = int(w[7]) if w[1] == "evict" else int(w[5])
                if not pages:
                    continue    # swap, whose evictions nobody counts
                phases[w[1]] = {"pages": pages, "accesses": int(w[3]), "rows": {}}
            elif w[0] == "row" and w[1] in phases:
                phases[w[1]]["rows"][w[2]] = (int(w[3]), int(w[4]))
    return phases


def summary(way, phase):
    """Instructions per page, by side."""
    sides = {}
    for row, (ticks, _) in phase["rows"].items():
        if row == "confused":
            continue
        where = side(row)
        # With RDMA, every packet is soft-RoCE's; over TCP it is the side's that gets it.
        if way not in ("tcp", "tcp-set", "nbd-swap") and where.startswith("net-"):
            where = "rxe"
        elif where == "net-host":
            where = "host"
        elif where == "net-server":
            where = "server"
        sides[where] = sides.get(where, 0) + ticks
    n = phase["pages"]
    return {k: round(v / n) for k, v in sides.items()}


def main():
    out, keys = sys.argv[1], ["host", "thread", "shared", "net-shared", "server", "rxe", "counting"]
    for way in WAYS:
        if not os.path.exists(f"{out}/{way}.txt"):
            continue
        for name, phase in read(f"{out}/{way}.txt").items():
            n, rows = phase["pages"], phase["rows"]
            if rows.get("confused", (0, 0))[0]:
                print(f"{way} {name}: {rows['confused'][0]} events did not nest: do not trust this", file=sys.stderr)
            if "--rows" in sys.argv:
                for row, (ticks, entries) in sorted(rows.items(), key=lambda r: -r[1][0]):
                    print(f"{way:10} {name:6} {side(row):10} {row:36} {ticks / n:9.0f} {entries / n:7.2f}")
                continue
            sums = {**summary(way, phase), "thread": round(rows.get("wire-load", (0, 0))[0] / n)}
            print(f"way {way} phase {name} fetched {n}", *(f"{k} {sums.get(k, 0)}" for k in keys))


main()
