#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A header for each <linux/...> that the sources name: it includes shim.h.

    headers.py DIRECTORY SOURCE...

The C library reads a few of the kernel's headers itself; those it gets, too.
"""
import pathlib
import re
import sys

LIBRARY = {'linux/errno.h', 'linux/types.h'}
out = pathlib.Path(sys.argv[1])
names = {'linux/tracepoint.h', 'trace/define_trace.h'}
for source in sys.argv[2:]:
    text = pathlib.Path(source).read_text()
    names |= set(re.findall(r'#include <((?:linux|asm|trace)/[\w/-]+\.h)>', text))
# A source itself: of the patched KVM.
names -= {n for n in names for s in sys.argv[2:] if s.endswith('include/' + n)}
for name in sorted(names):
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f'#include_next <{name}>\n' if name in LIBRARY else ''
    if name != 'trace/define_trace.h':
        text += '#include "shim.h"\n'
    path.write_text(text)
(out.parent / "stamp").touch()
