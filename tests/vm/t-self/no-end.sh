# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=60 light
# expect: FAIL .*L1 died after its result
# An L1 that is gone after its result, before it left what it has to leave.
printf '#!/bin/sh\necho b > /proc/sysrq-trigger\nsleep 30\n' > /usr/local/sbin/dmesg
chmod 755 /usr/local/sbin/dmesg
