# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2500M smp=2 timeout=595 kvm=patched
# memcached in a guest, by how much of the guest's memory is local: hermit over
# TCP, and Linux swap on NBD over TCP, whose server keeps plain pages as ours
# does. QEMU is in a memory cgroup of the same limit both times: the guest's
# share and 64 MiB for QEMU itself. Times are of an emulated machine on a machine
# that may have been busy: compare rows of one run, as ratios.
. /src/tests/vm/vm-tests.sh
. /src/tests/bench/nbd.sh
SIZE=${HERMIT_ARG_SIZE:-224} ITEMS=${HERMIT_ARG_ITEMS:-1000000} WINDOW=${HERMIT_ARG_WINDOW:-12}
OWN=64		# MiB of QEMU
G=/sys/fs/cgroup/vm
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir $G
sysctl -qw vm.page-cluster=0
echo never > /sys/kernel/mm/transparent_hugepage/enabled

local_mib() { echo $((SIZE * $1 / 100)); }

# run WAY: ratios from high to low, in the guest that is up
run()
{
	local way=$1 percent mib seen line
	wait_report v 240 '^filled '
	log "$way: $(report v | grep '^filled')"
	for percent in ${HERMIT_ARG_PERCENTS:-100 80 60 50 40 30}; do
		mib=$(local_mib "$percent")
		[ "$way" != hermit ] || set_limit v $mib
		[ "$percent" = 100 ] || echo $(((mib + OWN) << 20)) > $G/memory.max
		# the window that is under way, and one to settle in
		seen=$(grep -c '^t ' $W/v.report || true)
		wait_for $((WINDOW * 6 + 60)) eval '[ $(grep -c "^t " $W/v.report) -ge '$((seen + 3))' ]'
		line=$(grep '^t ' $W/v.report | sed -n "$((seen + 3))p" | cut -d' ' -f3-)
		note "way $way ratio $percent $line local-mib $mib cgroup-mib $(($(cat $G/memory.current) >> 20))"
	done
	stop_vm v
	echo max > $G/memory.max
}

# in_group COMMAND...: what it starts belongs to the VM's cgroup
in_group()
{
	echo 0 > $G/cgroup.procs
	"$@"
	echo 0 > /sys/fs/cgroup/cgroup.procs
}

export VM_INITRD=/hermit/vm/bench.img VM_APPEND="job=run -- bench-memcached $ITEMS $WINDOW" VM_CPUS=2
for way in ${HERMIT_ARG_WAYS:-hermit swap}; do
	case $way in
	hermit)
		load_hermit
		start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
		in_group hermit_vm v $SIZE $SIZE tcp:127.0.0.1:7471
		run hermit
		stop_memserver m1
		unload_hermit ;;
	swap)
		start_nbd 1024
		mkswap /dev/nbd0 > /dev/null
		swapon /dev/nbd0
		in_group start_vm v -m ${SIZE}M -machine q35,memory-backend=ram0 -object memory-backend-ram,id=ram0,size=${SIZE}M
		run swap
		swapoff /dev/nbd0
		stop_nbd ;;
	esac
done
teardown
