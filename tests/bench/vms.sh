# SPDX-License-Identifier: GPL-2.0-or-later
# A guest under hermit over TCP, or under Linux swap on NBD over TCP, whose
# server keeps plain pages as ours does: for benchmarks in L1. QEMU is in a
# memory cgroup both times, and as much of the guest is here. Both read ahead as
# they do by default. Or in plain memory, without huge pages or with them.
. /src/tests/vm/vm-tests.sh
. /src/tests/bench/swap.sh
G=/sys/fs/cgroup/vm
export VM_INITRD=/hermit/vm/bench.img VM_CPUS=${VM_CPUS:-1}

# start_way hermit|swap|ram|thp SIZE-MIB ARGS...: guest v, all of it local
start_way()
{
	local way=$1 size=$2
	shift 2
	echo +memory > /sys/fs/cgroup/cgroup.subtree_control
	mkdir -p $G
	echo never > /sys/kernel/mm/transparent_hugepage/enabled
	case $way in
	hermit)
		load_hermit
		start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G ;;
	swap)
		start_nbd 1024
		mkswap /dev/nbd0 > /dev/null
		swapon /dev/nbd0 ;;
	thp)	echo always > /sys/kernel/mm/transparent_hugepage/enabled ;;
	esac
	echo 0 > $G/cgroup.procs	# what is started now belongs to it
	if [ "$way" = hermit ]; then
		hermit_vm v "$size" "$size" tcp:127.0.0.1:7471 "$@"
	else
		start_vm v -m "${size}M" -machine q35,memory-backend=ram0 -object "memory-backend-ram,id=ram0,size=${size}M" "$@"
	fi
	echo 0 > /sys/fs/cgroup/cgroup.procs
}

# limit_way WAY SIZE-MIB PERCENT: so much of the guest's memory may be here. The
# kernel cannot reclaim hermit's pages: it would kill QEMU if the cgroup's limit
# came before they have left. Swap takes QEMU's own pages and the cache of its
# files, too, all but some 8 MiB, so its cgroup has just these on top.
at_limit() { set -- $(fields v resident limit); [ "$1" -le "$2" ]; }
limit_way()
{
	local mib=$(($2 * $3 / 100)) own=8
	if [ "$3" = 100 ]; then
		echo max > $G/memory.max
		return
	fi
	if [ "$1" = hermit ]; then
		set_limit v $mib
		wait_for 60 at_limit
		own=64
	fi
	echo $(((mib + own) << 20)) > $G/memory.max
}

stop_way()
{
	echo max > $G/memory.max
	stop_vm v
	case $1 in
	hermit)
		stop_memserver m1
		unload_hermit ;;
	swap)
		swapoff /dev/nbd0
		stop_nbd ;;
	esac
}

# guest_mib WAY SIZE-MIB: what of the guest is here, whoever limits it
resident_kib()
{
	awk -v size="$1" '/^[0-9a-f]+-/ { ours = 0 } $1 == "Size:" { ours = $2 == size } $1 == "Rss:" && ours { print $2; exit }' "/proc/$(vm_pid v)/smaps"
}
guest_mib()
{
	case $1 in
	hermit) set -- $(fields v resident); echo $(($1 >> 20)) ;;
	*) echo $(($(resident_kib $(($2 << 10))) >> 10)) ;;
	esac
}
cgroup_mib() { echo $(($(cat $G/memory.current) >> 20)); }

# traffic WAY: pages brought, pages that left, and of the brought those that
# would not have left had reclaim kept no room, since the guest began
traffic()
{
	case $1 in
	hermit)
		set -- $(fields v counters.fetches counters.prefetches counters.evicted-clean counters.evicted-dirty counters.evicted-zero counters.early-refaults)
		echo $(($1 + $2)) $(($3 + $4 + $5)) $6 ;;
	swap)	awk '$1 == "pswpin" { i = $2 } $1 == "pgsteal_anon" { o = $2 } END { print i, o, 0 }' /proc/vmstat ;;
	*)	echo 0 0 0 ;;
	esac
}
