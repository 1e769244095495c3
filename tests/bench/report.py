#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a benchmark measured: a table, JSON, and a plot.

    report.py WHAT NOTES JSON META...    META is NAME=TEXT, kept in the JSON
    report.py --add WHAT NOTES JSON META...   keep the rows of JSON that NOTES
                                         does not have
    report.py --tsv WHAT JSON            the data of WHAT.gp

NOTES are lines of NAME FIGURE pairs. Rows that were measured several times
become one with the medians, and the spread of the first figure.
"""
import json
import os
import statistics
import sys

# WHAT: what names a row, what was measured, and the heading of the table
KEYS = {
    "server": ["server", "access", "connections", "depth"],
    "fault": ["way", "access"],
    "fault-smp": ["way", "access"],
    "growth": ["size-mib", "vms", "access"],
    "app": ["server", "way", "ratio", "offered"],
    "batch": ["program", "way", "ratio"],
    "burst": [],
    "wire": ["way", "phase"],
    "wire-delay": ["way", "delay-us"],
    "drill-down": ["load", "with"],
}


def number(text):
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value == int(value) and "." not in text else value


def rows_of(what, lines):
    keys, groups = KEYS[what], {}
    for line in lines:
        words = line.split()
        if words[:1] == [what]:
            words = words[1:]
        row = dict(zip(words[::2], map(number, words[1::2])))
        if not row or len(words) % 2 or any(k not in row for k in keys if k != "depth"):
            continue
        row.pop("round", None)
        groups.setdefault(tuple(row.get(k) for k in keys) if keys else len(groups), []).append(row)
    rows = []
    for same in groups.values():
        row = dict(same[0])
        for name in row:
            if name not in keys:
                row[name] = statistics.median(r[name] for r in same)
        if len(same) > 1:
            first = next(n for n in row if n not in keys)
            row["low"], row["high"] = (f(r[first] for r in same) for f in (min, max))
        rows.append(row)
    return rows


def shown(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else value


def table(what, rows):
    names = []
    for row in rows:
        names += [n for n in row if n not in names]
    cells = [names] + [[shown(r.get(n)) for n in names] for r in rows]
    width = [max(len(line[i]) for line in cells) for i in range(len(names))]
    text = [isinstance(rows[0].get(n), str) for n in names]
    for line in cells:
        print("  ".join(c.ljust(w) if t else c.rjust(w) for c, w, t in zip(line, width, text)).rstrip())


def tsv(what, rows):
    """A block per series for gnuplot, its name as the heading."""
    def block(name, lines):
        print(f'"{name}"')
        for line in lines:
            print("\t".join(f'"{c}"' if isinstance(c, str) else str(c) for c in line))
        print("\n")

    if what == "server":
        points = sorted({(r["access"], r["connections"], r["depth"]) for r in rows if r.get("depth")})
        for server in ("memserver", "nbdkit", "qemu-nbd"):
            by = {(r["access"], r["connections"], r.get("depth")): r for r in rows if r["server"] == server}
            block(server, [[f"{a} {c}x{d}", by[a, c, d]["pages/s"], by[a, c, d]["server-us"]] for a, c, d in points])
    elif what in ("fault", "fault-smp"):
        accesses = []
        for r in rows:
            if r["access"] not in accesses:
                accesses.append(r["access"])
        for way in dict.fromkeys(r["way"] for r in rows):
            by = {r["access"]: r for r in rows if r["way"] == way}
            block(way, [[a, by.get(a, {}).get("all", 0), by.get(a, {}).get("own", 0)] for a in accesses])
    elif what == "growth":
        for access in dict.fromkeys(r["access"] for r in rows):
            block(access, [[r["size-mib"], r["vms"], r["own"], r.get("reclaim", 0)]
                           for r in rows if r["access"] == access and "own" in r])
    elif what == "app":
        # by ratio, for each server and way, then by offered load
        for x in "ratio", "offered":
            some = [r for r in rows if bool(r["offered"]) == (x == "offered") and r["way"] in ("hermit", "swap")]
            for series in dict.fromkeys((r["server"], r["way"]) for r in some):
                block(" ".join(series), [[r[x]] + [r[v] for v in ("ops/s", "p50-us", "p99-us", "p99.9-us")]
                                         for r in some if (r["server"], r["way"]) == series])
    elif what == "wire":
        for column, name in ("host", "compute host"), ("server", "server"), ("rxe", "soft-RoCE"), ("shared", "kworkers' own"):
            block(name, [[f"{r['way']} {r['phase']}", r[column]] for r in rows])
    elif what == "wire-delay":
        for way in dict.fromkeys(r["way"] for r in rows):
            block(way, [[r[v] for v in ("delay-us", "p50-us", "p99-us", "p99.9-us")] for r in rows if r["way"] == way])
    else:
        for way in dict.fromkeys((r.get("program", ""), r["way"]) for r in rows):
            block(" ".join(way).strip(), [[r["ratio"]] + [v for k, v in r.items() if k not in KEYS[what] and not isinstance(v, str)]
                  for r in rows if (r.get("program", ""), r["way"]) == way])


def main():
    if sys.argv[1] == "--tsv":
        tsv(sys.argv[2], json.load(open(sys.argv[3]))["rows"])
        return
    add = sys.argv[1] == "--add"
    if add:
        del sys.argv[1]
    what, notes, out = sys.argv[1:4]
    with open(notes) as f:
        rows = rows_of(what, f)
    if not rows:
        sys.exit(f"report: {notes} has no row of {what}")
    if add and os.path.exists(out):
        now = {tuple(r.get(k) for k in KEYS[what]) for r in rows}
        rows = [r for r in json.load(open(out))["rows"] if tuple(r.get(k) for k in KEYS[what]) not in now] + rows
    table(what, rows)
    meta = dict(m.split("=", 1) for m in sys.argv[4:])
    with open(out, "w") as f:
        json.dump({"benchmark": what, **meta, "rows": rows}, f, indent=1)
        f.write("\n")


main()
