# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=120 kvm=stock light
# expect: FAIL .*kernel log: .*potentially unexpected fatal signal 11
# So does a program of the guest that crashes.
VM_APPEND="job=run -- sh -c \"sh -c 'kill -SEGV \$\$'; echo went on\"" start_vm g -m 128M
wait_report g 60 '^exit 0'
report g | grep -q '^went on'
wait_vm_end g 60
