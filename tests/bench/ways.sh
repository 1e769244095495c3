# SPDX-License-Identifier: GPL-2.0-or-later
# The ways to have more guest than memory, for benchmarks in L1: each runs mini
# bench in one of them, going through more memory than may be local.
#
#	hook		hermit through the EPT hook, its own pool of plain copies
#	hook-standby	the same, and what leaves is on standby (engine/standby.h)
#	hook-lz4	its default pool, lz4: beside zram
#	host-fault	the first, as if KVM had no hook: through vm_ops->fault
#	hook-tcp	hermit-memserver over loopback
#	hook-tcp-ahead	the same, reading ahead as by default
#	swap-brd	Linux swap on a RAM disk: plain copies, too
#	swap-zram	Linux swap on zram, lz4
#	swap-nbd	Linux swap on NBD, nbdkit's memory plugin over loopback
#	swap-nbd-ahead	the same, reading ahead as by default
#	swap-nbd-thp	the last one with transparent huge pages, as Debian sets them
#	swap-nbd-zswap	the same with zswap in front of the device; these two only by
#			HERMIT_ARG_WAYS
#	uffd		a userfaultfd handler with plain copies
#
# Hermit has 48 of 96 MiB local: with much less, pages go round within the 12 ms
# for which a page just brought is no victim (an instruction is a nanosecond under
# icount), and reclaim looks in vain at most of them. The others have no such
# rule, take longer, and get 8 of 32 MiB.
. /src/tests/bench/swap.sh
SIZE=${HERMIT_ARG_SIZE:-96} LIMIT=${HERMIT_ARG_LIMIT:-48} SWAP_SIZE=${HERMIT_ARG_SWAP_SIZE:-32} BENCH_ARGS=${BENCH_ARGS:-}

# bench WAY MIB LOCAL-MIB ARGS...
bench()
{
	local way=$1 size=$2 limit=$3
	shift 3
	mini --size $size --limit $limit $BENCH_ARGS "$@" bench > /out/$way.txt ||
		fail "$way: $(tail -n 1 /out/$way.txt)"
	# for --profile; addresses of modules change with each way
	[ -z "${HERMIT_ARG_PROFILE:-}" ] || cp /proc/kallsyms /out/kallsyms.$way
	grep '^access ' /out/$way.txt | while read -r line; do note "way $way $line"; done
}

# hermit WAY SERVER [ARGUMENT...]
hermit()
{
	local way=$1 server=$2
	shift 2
	load_hermit
	bench $way $SIZE $LIMIT --server $server "$@"
	unload_hermit
}

# A device is four times as large as what it is for: of one that is half full,
# Linux keeps no copies of pages that are home.
swap() { swapped "$2" max bench "$1" $SWAP_SIZE $((SWAP_SIZE / 4)) --anon "${@:3}"; }

# used WAY COUNTER: of the cgroup's memory.stat, or WAY was not what it says
used() { [ "$(sed -n "s/^$2 //p" $W/swapped.stat)" -gt 0 ] || fail "$1: no $2: this is not what it is to be"; }

way()
{
	case $1 in
	hook) hermit hook local:plain --prefetch 0 ;;
	hook-standby)
		load_hermit standby=1
		bench hook-standby $SIZE $LIMIT --server local:plain --prefetch 0
		unload_hermit ;;
	hook-lz4) hermit hook-lz4 local:lz4 --prefetch 0 ;;
	host-fault)
		insmod "$(module hermit)"
		bench host-fault $SIZE $LIMIT --server local:plain --prefetch 0
		unload_hermit ;;
	hook-tcp|hook-tcp-ahead)
		start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
		[ $1 = hook-tcp ] && args=(--prefetch 0) || args=()
		hermit $1 tcp:127.0.0.1:7471 "${args[@]}"
		stop_memserver m1 ;;
	swap-brd)
		modprobe brd rd_nr=1 rd_size=$((SWAP_SIZE * 4096))
		swap swap-brd /dev/ram0
		rmmod brd ;;
	swap-zram)
		modprobe zram
		echo lz4 > /sys/block/zram0/comp_algorithm
		echo $((SWAP_SIZE * 4))M > /sys/block/zram0/disksize
		swap swap-zram /dev/zram0
		rmmod zram ;;
	swap-nbd|swap-nbd-ahead|swap-nbd-thp|swap-nbd-zswap)
		start_nbd $((SWAP_SIZE * 4))
		[ $1 = swap-nbd ] && PAGE_CLUSTER=0 || PAGE_CLUSTER=3
		case $1 in
		*-thp) THP=always args=(--huge) ;;
		*-zswap) THP=always ZSWAP=Y args=(--huge) ;;
		*) args=() ;;
		esac
		swap $1 /dev/nbd0 "${args[@]}"
		PAGE_CLUSTER=0 THP=never ZSWAP=N
		case $1 in
		*-thp) used $1 thp_fault_alloc ;;
		*-zswap) used $1 thp_fault_alloc && used $1 zswpout && used $1 zswpin ;;
		esac
		stop_nbd ;;
	uffd)	bench uffd $SWAP_SIZE $((SWAP_SIZE / 4)) --uffd ;;
	*)	fail "no way '$1'; see tests/bench/ways.sh" ;;
	esac
}

for w in ${HERMIT_ARG_WAYS:-hook hook-standby host-fault hook-lz4 hook-tcp hook-tcp-ahead swap-brd swap-zram swap-nbd swap-nbd-ahead uffd}; do
	log "$w"
	way $w
done
unload_kvm
