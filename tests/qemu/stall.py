#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""stall.py QEMU FAKE-HERMIT.SO: what becomes of a stall while the main loop
stands still, of lost pages and of the firmware's copy of itself in a reset; of
what a newer module says; and which disks are warned of."""
import os
import struct
import time

from vm import D, HERMIT, MIB, TOUCHED, VM

STALL_BEGIN, PAGE_MISMATCH, SHORT_COPIES = 2, 7, 8     # enum hermit_event_type


def stand_still(vm):
    """The main loop opens a FIFO that nobody reads, with the BQL held, as if it
    waited for a page."""
    os.mkfifo(D + "blocked")
    vm.send("pmemsave", val=0, size=4096, filename=D + "blocked")
    for _ in range(300):
        with open(f"/proc/{vm.process.pid}/syscall") as f:
            if f.read().split()[0] == "257":    # openat
                return
        time.sleep(0.1)
    raise AssertionError("the main loop goes on")


def tell(events, kind, arg0, arg1):
    os.write(events, struct.pack("=IIQQQ", kind, 0, time.monotonic_ns(), arg0, arg1))


def begin_stall(events):
    tell(events, STALL_BEGIN, 8000, 0)


def with_events(on_stall):
    if not os.path.exists(D + "events"):
        os.mkfifo(D + "events")
    events = os.open(D + "events", os.O_RDWR)
    return events, VM("stall", f"{HERMIT},on-stall={on_stall}", FAKE_HERMIT_EVENTS=D + "events")


def stop():
    events, vm = with_events("stop")
    stand_still(vm)
    begin_stall(events)
    told = vm.event("HERMIT_MEMORY_STALL")
    assert told["data"]["action"] == "stop", told
    assert not vm.events, vm.events
    with open(D + "blocked", "rb") as f:
        assert len(f.read()) == 4096
    os.unlink(D + "blocked")
    answer = vm.answer()
    assert "return" in answer, answer
    vm.event("STOP")
    assert vm.do("query-status")["status"] == "io-error"
    # a wrong answer stops nobody, and a kind that is not known is passed over
    tell(events, 1000, 1, 2)
    tell(events, PAGE_MISMATCH, 0, 3)
    told = vm.event("HERMIT_MEMORY_PAGE_MISMATCH")["data"]
    assert told["server"] == 0 and told["offset"] == 3 * 4096, told
    tell(events, SHORT_COPIES, 2, 0)
    told = vm.event("HERMIT_MEMORY_SHORT_COPIES")["data"]
    assert told["short-copies"] == 2 * 4096, told
    # the thread still listens, also to the main loop that ends it
    begin_stall(events)
    vm.event("HERMIT_MEMORY_STALL")
    vm.do("quit")
    assert vm.process.wait(60) == 0
    os.close(events)
    print("stop: told while the main loop stood still, and stopped as soon as it went on")


def kill():
    events, vm = with_events("kill")
    stand_still(vm)
    begin_stall(events)
    assert vm.process.wait(60) == 1
    assert "on-stall=kill" in vm.said(), vm.said()
    os.unlink(D + "blocked")
    os.close(events)
    print("kill: ended while the main loop stood still")


def operator(vm):
    vm.do("system_reset")


def guest(vm):
    vm.memory("outb 0xcf9 6")


def watchdog(vm):
    """Armed by the guest, which then does nothing more."""
    vm.memory(f"outl 0xcf8 0x{0x80000000 | 5 << 11 | 0x60:x}")
    vm.memory("outw 0xcfc 4")           # counts microseconds
    vm.memory(f"outl 0xcf8 0x{0x80000000 | 5 << 11 | 0x68:x}")
    vm.memory("outb 0xcfc 2")
    for _ in range(2):                  # its two stages
        vm.memory("clock_step 2000000000")
    assert vm.event("WATCHDOG")["data"]["action"] == "reset"


def panic(vm):
    """As libvirt does it for on_crash=restart."""
    vm.memory("outb 0x505 1")
    assert vm.event("GUEST_PANICKED")["data"]["action"] == "pause"
    vm.event("STOP")
    vm.do("system_reset")
    vm.event("RESET")
    assert vm.do("query-status")["status"] != "running"
    vm.do("cont")


def heal(who):
    first, nr = MIB // 4096 + 100, 4 * MIB // 4096
    vm = VM("heal", HERMIT, "-device", "i6300esb,addr=5", "-device", "pvpanic", "-action",
            "watchdog=reset,panic=pause,reboot=reset", FAKE_HERMIT_LOST=f"{first}:{nr}")
    vm.fill()
    lost = vm.do("query-hermit-memory")[0]["lost"] >> 12
    assert lost, "nothing is lost"
    who(vm)
    if who is not panic:
        vm.event("RESET")
    assert vm.do("query-hermit-memory")[0]["lost"] == 0
    assert vm.do("query-status")["status"] == "running"
    for a in TOUCHED:
        for at in range(a, a + 0x80000, 4096):
            got = int(vm.memory(f"readb 0x{at:x}")[0], 16)
            want = 0 if 0 <= at // 4096 - first < nr else a // MIB
            assert got == want, f"{got:#x} at {at:#x}, not {want:#x}"
    assert f"{lost} lost pages are zeros" in vm.said(), vm.said()
    vm.end()
    print(f"reset by {who.__name__}: {lost} lost pages are zeros, the others as they were")


def rom(machine, pam):
    vm = VM("rom", HERMIT, machine=machine)

    def config(reg, value=None):
        vm.memory(f"outl 0xcf8 0x{0x80000000 | reg & ~3:x}")
        port = 0xcfc + (reg & 3)
        if value is not None:
            vm.memory(f"outb 0x{port:x} 0x{value:x}")
        return int(vm.memory(f"inb 0x{port:x}")[0], 16)

    was = vm.memory("readq 0xffff0")
    assert config(pam, 0x30) == 0x30            # 0xf0000 to 0xfffff is RAM
    assert vm.memory("readq 0xffff0") != was, "there is no RAM below the ROM"
    vm.do("system_reset")
    vm.event("RESET")
    assert config(pam) == 0, f"PAM0 is {config(pam):#x} after the reset"
    assert vm.memory("readq 0xffff0") == was, "the ROM is not back"
    vm.end()
    print(f"{machine}: a reset starts in the ROM")


def newer():
    vm = VM("newer", HERMIT, FAKE_HERMIT_WAIT="9")
    vm.send("qom-get", path="/objects/r", property="wait")
    answer = vm.answer()
    assert "matching versions" in answer.get("error", {}).get("desc", ""), answer
    vm.do("query-status")
    vm.end()
    print("newer module: " + answer["error"]["desc"])


def disks():
    null = "null-co,node-name=n,size=1048576,read-zeroes=on"
    for device, warned in (
            ("virtio-blk-pci,drive=n,id=d", True),
            ("virtio-blk-pci,drive=n,id=d,iothread=io", False),
            ('{"driver": "virtio-blk-pci", "drive": "n", "id": "d", '
             '"iothread-vq-mapping": [{"iothread": "io"}]}', False),
            ("ide-hd,drive=n,id=d", True)):
        vm = VM("disks", HERMIT, "-object", "iothread,id=io", "-blockdev", null, "-device", device)
        vm.do("query-status")
        said = "disk 'd' has no iothread" in vm.said()
        assert said == warned, (device, vm.said())
        vm.end()
    for scsi, warned in ("virtio-scsi-pci", True), ("virtio-scsi-pci,iothread=io", False):
        vm = VM("disks", HERMIT, "-object", "iothread,id=io", "-blockdev", null,
                "-device", scsi, "-device", "scsi-hd,drive=n,id=d")
        vm.do("query-status")
        assert ("disk 'd' has no iothread" in vm.said()) == warned, (scsi, vm.said())
        vm.end()
    print("disks: those without an iothread are warned of")


stop()
kill()
for who in operator, guest, watchdog, panic:
    heal(who)
rom("q35", 0x90)
rom("pc", 0x59)
newer()
disks()
