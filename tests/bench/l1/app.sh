# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2500M smp=2 timeout=595 kvm=patched
# memcached in a guest, by how much of the guest's memory is local. Times are of
# an emulated machine on a machine that may have been busy: compare rows of one
# run, as ratios.
. /src/tests/bench/vms.sh
SIZE=${HERMIT_ARG_SIZE:-224} ITEMS=${HERMIT_ARG_ITEMS:-1000000} WINDOW=${HERMIT_ARG_WINDOW:-8}
VM_APPEND="job=run -- bench-memcached $ITEMS $WINDOW"
windows() { grep -c '^t ' $W/v.report || true; }
windows_are() { [ "$(windows)" -ge "$1" ]; }

for way in ${HERMIT_ARG_WAYS:-hermit swap}; do
	start_way $way $SIZE
	wait_report v 240 '^filled '
	log "$way: $(report v | grep '^filled')"
	for percent in ${HERMIT_ARG_PERCENTS:-100 75 50 35}; do
		limit_way $way $SIZE $percent
		# after the window that is under way, and one to settle in
		n=$(($(windows) + 3))
		wait_for $((WINDOW * 6 + 60)) windows_are $n
		note "way $way ratio $percent $(grep '^t ' $W/v.report | sed -n "${n}p" | cut -d' ' -f3-) cgroup-mib $(cgroup_mib)"
	done
	stop_way $way
done
teardown
