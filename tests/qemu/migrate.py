#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""migrate.py QEMU FAKE-HERMIT.SO: migrate memory without a guest by every way
there is, between ordinary and hermit memory, and take and load a snapshot. All
contents must arrive, and no page be made or read that was never touched."""
import os
import subprocess

from vm import D, FAKE, HERMIT, MIB, ORDINARY, TOUCHED, VM


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


def race():
    """How often the guest wrote behind a read while the main thread synchronized."""
    rom = ["-bios", os.path.dirname(FAKE) + "/race.rom"]
    s = VM("source", HERMIT, *rom, accel="tcg", FAKE_HERMIT_RACE="1")
    d = VM("destination", HERMIT, *rom, "-S", "-incoming", "defer", accel="tcg")
    s.fill()
    for vm in s, d:
        # the first round takes a second, what the guest writes is too much for the
        # last, and it is not throttled for that
        vm.setup(["auto-converge"], {"max-bandwidth": 10 * MIB, "downtime-limit": 1,
                                     "throttle-trigger-threshold": 100})
    d.do("migrate-incoming", uri="unix:" + D + "stream")
    s.do("migrate", uri="unix:" + D + "stream")
    s.wait()
    d.wait()
    for page in range(0x20, 0x80):
        there, here = (vm.memory(f"readw 0x{page:x}000") for vm in (d, s))
        assert there == here, f"page {page:#x}: {there} at the destination, {here} at the source"
    d.check()
    writes = int(s.memory("readw 0x10000")[0], 16)
    s.end()
    d.end()
    if os.path.exists(D + "stream"):
        os.unlink(D + "stream")
    return writes


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
# a guest that had no processor in the first round had nothing to write
writes = next(filter(None, (race() for _ in range(12))), 0)
assert writes, "the main thread never synchronized the dirty bitmap while pages were read"
print(f"race: {writes} writes behind reads while the main thread synchronized")
