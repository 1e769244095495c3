# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2500M icount timeout=3000 kvm=patched
# Programs that run for a while and end, by how much of the guest's memory is
# local: sort, xz and sqlite. What they make must be the same every time. Times
# are of an emulated machine: compare rows of one run, as ratios.
. /src/tests/bench/vms.sh
SIZE=${HERMIT_ARG_SIZE:-192}
VM_APPEND="job=run -- bench-batch"
ran_are() { [ "$(grep -c '^ran ' $W/v.report)" -ge "$1" ]; }

declare -A sum
for way in ${HERMIT_ARG_WAYS:-hermit swap}; do
	rm -f $W/control.{in,out}
	mkfifo $W/control.{in,out}
	start_way $way $SIZE -chardev "pipe,id=control,path=$W/control" -device virtserialport,chardev=control,name=control
	wait_report v 240 '^ready'
	n=0
	for percent in ${HERMIT_ARG_PERCENTS:-100 80 60 50 40 30 20}; do
		limit_way $way $SIZE $percent
		for program in ${HERMIT_ARG_PROGRAMS:-sort xz sqlite}; do
			n=$((n + 1))
			echo $program > $W/control.in
			wait_for 300 ran_are $n
			set -- $(grep '^ran ' $W/v.report | sed -n "${n}p")
			[ "${sum[$program]:=$4}" = "$4" ] || fail "$way at $percent %: $program made something else"
			note "program $program way $way ratio $percent seconds $3 guest-mib $(guest_mib $way $SIZE) cgroup-mib $(cgroup_mib)"
		done
	done
	stop_way $way
done
teardown
