# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=120 kvm=stock light
# expect: FAIL .*kernel log: .*WARNING: CPU: 0 PID: 1 at a line this test wrote
# A warning of a guest's kernel fails a test, as one of L1 does.
VM_APPEND="job=run -- sh -c \"echo '<4>WARNING: CPU: 0 PID: 1 at a line this test wrote' > /dev/kmsg\"" start_vm g -m 128M
wait_report g 60 '^exit 0'
wait_vm_end g 60
