# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=60 light
# expect: FAIL .*L1 left no kernel log
# A kernel log that is not there cannot be looked at.
printf '#!/bin/sh\n' > /usr/local/sbin/dmesg
chmod 755 /usr/local/sbin/dmesg
