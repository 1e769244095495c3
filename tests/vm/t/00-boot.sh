# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=120 kvm=stock light
# The bed itself: L1 is up with what the other tests count on, KVM has nested
# paging, and a guest can be created.
[ "$(uname -r)" = "$RELEASE" ] || fail "L1 runs $(uname -r), not $RELEASE"
for m in /hermit /src /out /sys/fs/cgroup /sys/kernel/debug /sys/kernel/tracing /sys/kernel/security; do
	mountpoint -q $m || fail "$m is not mounted"
done
for m in /hermit /src; do
	! touch $m/.probe 2>/dev/null || fail "$m is writable in L1"
done
ip -o link show lo | grep -q ,UP || fail "lo is down"
. /etc/os-release
[ "$VERSION_CODENAME" = trixie ] || fail "L1's root is $PRETTY_NAME, not Debian 13"
[ "$(cat /sys/module/kvm_amd/parameters/npt /sys/module/kvm_intel/parameters/ept 2>/dev/null)" = Y ] ||
	fail "no nested paging"
VM_KERNEL=none QEMU=/usr/bin/qemu-system-x86_64 start_vm probe -S -m 64M
qmp probe query-kvm | grep -q '"enabled": true' || fail "QEMU runs without KVM"
stop_vm probe
note boot-seconds "$(cut -d' ' -f1 /proc/uptime)"
