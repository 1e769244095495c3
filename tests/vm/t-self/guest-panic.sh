# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=120 kvm=stock light
# expect: FAIL .*kernel log: .*Kernel panic
# A guest whose kernel dies after all it had to show: its log is read.
VM_APPEND='job=run -- sh -c "echo shown; sleep 1; echo c > /proc/sysrq-trigger"' start_vm g -m 128M
wait_report g 60 '^shown'
wait_for 60 vm_died g
