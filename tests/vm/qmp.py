#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qmp.py SOCKET COMMAND...: send each command, print each answer on a line.
qmp.py SOCKET --fields FIELD...: of query-hermit-memory's first object, in one line.
qmp.py SOCKET --over EXPRESSION: an integer, of all its objects: "r" by id, "every" in a list.

A command is a JSON object, a bare command name, or "hmp: text".  Events that
arrive meanwhile go to standard error.  Exits 1 when an answer is an error, 2
when the socket cannot be talked to, or has said nothing for QMP_SECONDS (240).
"""
import json
import os
import socket
import sys
import time


def connect(path, seconds=20):
    end = time.monotonic() + seconds
    while True:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(float(os.environ.get("QMP_SECONDS", 240)))
        try:
            s.connect(path)
            return s.makefile("rw")
        except OSError:
            s.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def answer(f):
    while True:
        line = f.readline()
        if not line:
            raise OSError("QEMU closed the connection")
        m = json.loads(line)
        if "event" not in m:
            return m
        print("event", line.strip(), file=sys.stderr)


def ask(f, command):
    if command.startswith("hmp: "):
        command = {"execute": "human-monitor-command",
                   "arguments": {"command-line": command[5:]}}
    elif command.startswith("{"):
        command = json.loads(command)
    else:
        command = {"execute": command}
    f.write(json.dumps(command) + "\n")
    f.flush()
    return answer(f)


def open_qmp(path):
    f = connect(path)
    f.readline()
    ask(f, "qmp_capabilities")
    return f


def field(v, path):
    for k in path.split("."):
        v = v[int(k)] if isinstance(v, list) else v[k]
    return v


def figures(f, what, args):
    reply = ask(f, "query-hermit-memory")
    if "error" in reply:
        print(json.dumps(reply), file=sys.stderr)
        return 1
    objects = reply["return"]
    if what == "--over":
        r = {o["id"]: o for o in objects}
        print(int(eval(args[0], {"r": r, "every": list(r.values())})))
    else:
        print(*(field(objects[0], path) for path in args))
    return 0


def main():
    bad = 0
    try:
        f = open_qmp(sys.argv[1])
        if sys.argv[2] in ("--fields", "--over"):
            return figures(f, sys.argv[2], sys.argv[3:])
        for command in sys.argv[2:]:
            reply = ask(f, command)
            print(json.dumps(reply), flush=True)
            if "error" in reply:
                bad = 1
            elif command == "quit":
                break
    except OSError as e:
        print(f"qmp.py: {sys.argv[1]}: {e}", file=sys.stderr)
        return 2
    return bad


if __name__ == "__main__":
    sys.exit(main())
