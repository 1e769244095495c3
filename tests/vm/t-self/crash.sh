# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=60 light
# expect: FAIL .*L1 died .*panic
# An L1 that panics after it was up is a failure, never retried.
echo c > /proc/sysrq-trigger
sleep 30
