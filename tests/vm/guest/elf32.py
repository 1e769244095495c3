#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A 64-bit kernel for multiboot as one of 32 bits, which is all that QEMU's
-kernel takes: its segments, at their physical addresses, and where it begins, which
is 32-bit code.

    elf32.py KERNEL > OUT
"""
import struct
import sys

data = open(sys.argv[1], "rb").read()
if data[:6] != b"\x7fELF\x02\x01":
    sys.exit(f"elf32: {sys.argv[1]} is no 64-bit little-endian ELF file")
entry, at = struct.unpack_from("<QQ", data, 24)
size, count = struct.unpack_from("<HH", data, 54)
segments = []
for n in range(count):
    kind, flags, offset, _, address, in_file, in_memory, align = struct.unpack_from("<IIQQQQQQ", data, at + n * size)
    if kind == 1:
        segments.append((offset, address, in_file, in_memory, flags, align))

header = 52 + 32 * len(segments)
# the header of multiboot has to be within the first 8 KiB: so all is moved alike
first = min(s[0] for s in segments)
shift = (-(first - header)) % 4096 if first < header else 0
out = bytearray(struct.pack("<4s5B7xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 0, 0, 2, 3, 1, entry, 52, 0, 0,
                            52, 32, len(segments), 0, 0, 0))
for offset, address, in_file, in_memory, flags, align in segments:
    out += struct.pack("<8I", 1, offset + shift, address, address, in_file, in_memory, flags, align)
for offset, address, in_file, *_ in segments:
    out.extend(bytes(offset + shift + in_file - len(out)) if len(out) < offset + shift + in_file else b"")
    out[offset + shift:offset + shift + in_file] = data[offset:offset + in_file]
sys.stdout.buffer.write(out)
