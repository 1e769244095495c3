# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=120 kvm=stock light
# expect: FAIL reset: guest g was reset
# A guest that ends by a triple fault: told apart, and failed.
start_vm g -m 128M
wait_report g 60 '^ready'
rm -f "$W/g.quit"
qmp g quit > /dev/null 2>&1 || true
wait_report g 20 '^never'
