# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=60 log-ok='a line this test wrote' light
# expect: ok
echo "WARNING: CPU: 0 PID: 1 at a line this test wrote" > /dev/kmsg
