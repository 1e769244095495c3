# SPDX-License-Identifier: GPL-2.0-or-later
"""
Which functions of our modules this run enters: /out/functions.all and
/out/functions.entered, a "MODULE FUNCTION" line each. In L1, in the background,
before any module is loaded; ended by SIGTERM.

A function tracer instance of its own, over the functions of the modules alone.
Each function is taken out of it once it was seen, so that after the first
moments there is nothing left to slow down but what was never entered. Two
functions of one module that share a name count as one.
"""
import os
import re
import select
import signal
import sys
import time

TRACING = "/sys/kernel/tracing/"
T = TRACING + "instances/functions/"
OUT = sys.argv[1] if len(sys.argv) > 1 else "/out/"
MODULES = ("hermit", "hermit_kvm", "hermit_rdma")

every = {}          # address: (module, function)
entered = set()     # (module, function)
stop = False


def write(path, text, mode="w"):
    with open(path, mode) as f:
        f.write(text)


def learn():
    """The functions of the modules that are loaded now."""
    with open(TRACING + "available_filter_functions_addrs") as f:
        for line in f:
            if not line.endswith("]\n") or "[hermit" not in line:
                continue
            address, name, module = line.split()[:3]
            module = module.strip("[]")
            if module in MODULES:
                every[int(address, 16)] = (module, name)


def forget(functions):
    """Trace them no more; of a name that a module has twice, either will do."""
    fd = os.open(T + "set_ftrace_filter", os.O_WRONLY | os.O_APPEND)
    for module, name in functions:
        try:
            os.write(fd, b"!%s:mod:%s\n" % (name.encode(), module.encode()))
        except OSError:
            pass        # its module has gone
    os.close(fd)        # now it takes effect


def main():
    global stop
    os.makedirs(T, exist_ok=True)
    write(T + "current_tracer", "nop")
    write(T + "options/overwrite", "0")
    write(T + "options/sym-addr", "1")
    write(T + "buffer_size_kb", "8192")
    # one that stays: an empty filter would mean all of the kernel
    write(T + "set_ftrace_filter", "panic\n")
    for module in MODULES:
        # kept until the module is loaded
        write(T + "set_ftrace_filter", "*:mod:%s\n" % module, "a")
    write(T + "current_tracer", "function")
    pipe = os.open(T + "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
    signal.signal(signal.SIGTERM, lambda *_: globals().__setitem__("stop", True))
    write(OUT + "functions.ready", "")
    rest, loaded_before, unknown = b"", None, set()
    while True:
        ending = stop
        loaded = [m for m in MODULES if os.path.exists("/sys/module/" + m)]
        if loaded != loaded_before or unknown:
            learn()
            loaded_before = loaded
        data = rest
        # a page at a time, and no more than some: at first there is no end to it
        for _ in range(300):
            try:
                more = os.read(pipe, 1 << 20)
            except BlockingIOError:
                break
            except InterruptedError:
                continue
            if not more:
                break
            data += more
        lines = data.split(b"\n")
        rest = lines.pop()
        new = set()
        # what came before its module was looked at is known the next time
        for address in set(re.findall(rb"<([0-9a-f]{16})> <-", b"\n".join(lines))) | unknown:
            what = every.get(int(address, 16))
            if what:
                unknown.discard(address)
                if what not in entered:
                    new.add(what)
            else:
                unknown.add(address)
        entered.update(new)
        if new and not ending:
            forget(new)
        if new or ending:
            with open(OUT + "functions.entered", "w") as f:
                f.writelines("%s %s\n" % e for e in sorted(entered))
            with open(OUT + "functions.all", "w") as f:
                f.writelines("%s %s\n" % e for e in sorted(set(every.values())))
        if ending:
            break
        select.select([], [], [], 0.3)
    lost = 0
    for cpu in os.listdir(T + "per_cpu"):
        with open(T + "per_cpu/" + cpu + "/stats") as f:
            lost += sum(int(line.split(":")[1]) for line in f if line.startswith(("overrun", "dropped")))
    write(OUT + "functions.lost", "%d\n" % lost)
    write(T + "current_tracer", "nop")
    os.close(pipe)
    os.rmdir(T)


main()
