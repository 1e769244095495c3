# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1200M icount timeout=1500 kvm=patched
# How long an access of the guest takes over a wire that takes its time: hermit
# over TCP, Linux swap on NBD over the same, hermit over RDMA, Linux swap on
# NVMe-oF over the same soft-RoCE devices. netem delays what the server's end
# sends. One processor that does an instruction in a nanosecond.
. /src/tests/vm/rdma.sh
. /src/tests/bench/swap.sh
SIZE=${HERMIT_ARG_SIZE:-64} LIMIT=${HERMIT_ARG_LIMIT:-16} ACCESSES=${HERMIT_ARG_ACCESSES:-16000}
DELAYS=${HERMIT_ARG_DELAYS:-0 10 50 200}

# loads WAY ARGUMENT...: the same load with each delay
loads()
{
	local way=$1 delay
	shift
	for delay in $DELAYS; do
		tc qdisc replace dev w1 root netem limit 10000 delay ${delay}us
		wire-load --size $SIZE --latency $ACCESSES "$@" > /out/$way.txt || fail "$way: $(tail -n 1 /out/$way.txt)"
		note "way $way delay-us $delay $(sed -n 's/^latency accesses [0-9]* //p' /out/$way.txt)"
	done
	tc qdisc del dev w1 root
}

modprobe sch_netem || skip "no module sch_netem in this kernel"
setup_rxe
load_hermit
load_rdma
# Idle time passes at once here: what has to be done takes its time all the same.
echo 10000 > $PARAMS/rdma_deadline_ms
echo 10000 > /sys/module/hermit/parameters/tcp_deadline_ms

# the process itself needs a few MiB as well
for way in ${HERMIT_ARG_WAYS:-tcp nbd-swap rdma nvme-swap}; do
	log $way
	case $way in
	tcp|rdma)
		start_memserver m $way:$ADDR --capacity 256M
		loads $way --server $way:$ADDR --limit $LIMIT ${HERMIT_ARG_BATCH:+--batch $HERMIT_ARG_BATCH}
		stop_memserver m ;;
	nbd-swap)
		start_nbd $((SIZE * 4)) ${ADDR%:*}
		swapped /dev/nbd0 $((LIMIT + 4)) loads nbd-swap --cgroup /sys/fs/cgroup/vm
		stop_nbd ;;
	nvme-swap)
		start_nvme $((SIZE * 4)) ${ADDR%:*}
		swapped /dev/nvme0n1 $((LIMIT + 4)) loads nvme-swap --cgroup /sys/fs/cgroup/vm
		stop_nvme ;;
	*)	fail "no way '$way'" ;;
	esac
done
teardown
