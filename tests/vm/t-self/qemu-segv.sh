# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=120 kvm=stock log-ok='potentially unexpected fatal signal|segfault at' light
# expect: FAIL .*QEMU of g ended with 139
# A QEMU that crashes after the last assertion.
VM_KERNEL=none start_vm g -m 16M
qmp g query-status
kill -SEGV "$(vm_pid g)"
