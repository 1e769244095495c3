#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""spoil.py SOCKET ADDRESS: change a bit of the guest's memory at that physical
address, by QEMU's gdb stub, which is at SOCKET. The guest stands still meanwhile.
"""
import socket
import sys


def ask(s, text):
    s.sendall(f"${text}#{sum(text.encode()) % 256:02x}".encode())
    data = b""
    # what stopped it is told as well, at any time
    while True:
        more = s.recv(4096)
        if not more:
            raise OSError("QEMU closed the connection")
        data += more
        while b"#" in data and len(data) >= data.index(b"#") + 3:
            end = data.index(b"#")
            answer, data = data[data.index(b"$") + 1:end].decode(), data[end + 3:]
            s.sendall(b"+")
            if not answer.startswith(("T", "S")):
                return answer


with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(60)
    s.connect(sys.argv[1])
    address = int(sys.argv[2], 0)
    if ask(s, "Qqemu.PhyMemMode:1") != "OK":
        sys.exit("spoil.py: the stub knows no physical addresses")
    byte = int(ask(s, f"m{address:x},1"), 16) ^ 0x10
    if ask(s, f"M{address:x},1:{byte:02x}") != "OK":
        sys.exit(f"spoil.py: {address:#x} cannot be written")
    ask(s, "D")
