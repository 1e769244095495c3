#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which functions the instructions of `tests/bench/run fault` are in.

    profile.py RUN-DIR BLOCKS [TOP]

RUN-DIR has out/notes, whose lines of accesses are the measurements in order,
and out/kallsyms.WAY; BLOCKS is what the plugin profile.so wrote. Per page of
each measurement: instructions, share, calls, function. What is below the kernel
is programs of L1 and the guest.
"""
import bisect
import collections
import sys

KERNEL = 0xffff800000000000


def symbols(path):
    found = []
    with open(path) as f:
        for line in f:
            address, kind, name = line.split()[:3]
            if kind in "tTwW":
                found.append((int(address, 16), name))
    found.sort()
    return [s[0] for s in found], [s[1] for s in found]


def main():
    run, blocks = sys.argv[1:3]
    top = int(sys.argv[3]) if len(sys.argv) > 3 else 15
    tables, insns, calls = {}, collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    with open(f"{run}/out/notes") as f:
        rows = [dict(zip(w[::2], w[1::2])) for w in (line.split() for line in f) if w[:1] == ["way"]]
    with open(blocks) as f:
        for line in f:
            number, address, length, runs = line.split()
            number, address, length, runs = int(number), int(address, 16), int(length), int(runs)
            if number >= len(rows):
                sys.exit(f"profile: {blocks} has more measurements than {run}/out/notes")
            name = "(programs, guest)"
            if address >= KERNEL:
                way = rows[number]["way"]
                if way not in tables:
                    tables[way] = symbols(f"{run}/out/kallsyms.{way}")
                starts, names = tables[way]
                at = bisect.bisect(starts, address) - 1
                name = names[at]
                if starts[at] == address:
                    calls[number][name] += runs
            insns[number][name] += length * runs
    if len(insns) != len(rows):
        sys.exit(f"profile: {len(insns)} measurements in {blocks}, {len(rows)} in {run}/out/notes")
    for number, row in enumerate(rows):
        pages, total = int(row["pages"]), sum(insns[number].values())
        print(f"\n{row['way']} {row['access']}: {total / pages:,.0f} instructions per page, all threads")
        for name, n in insns[number].most_common(top):
            print(f"{n / pages:9,.1f} {100 * n / total:5.1f}% {calls[number][name] / pages:7.2f}x {name}")


main()
