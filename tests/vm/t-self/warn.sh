# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=60 light
# expect: FAIL .*kernel log: .*WARNING: 
# A kernel warning fails a test that is otherwise content.
modprobe lkdtm 2>/dev/null && echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT ||
	echo "WARNING: CPU: 0 PID: 1 at a line this test wrote" > /dev/kmsg
