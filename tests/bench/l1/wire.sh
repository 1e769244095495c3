# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1200M icount timeout=600 kvm=patched
# Instructions of one fetch over one wire, and of one eviction: hermit over TCP, to
# one server and to two of which each has each page, and over RDMA, and
# Linux swap on NBD and on NVMe-oF/RDMA with its target on a RAM disk. Both ends
# are in this machine, on the two soft-RoCE devices of rdma.sh; hermit-count.ko
# says whose instructions they are.
. /src/tests/vm/rdma.sh
. /src/tests/bench/swap.sh
SIZE=${HERMIT_ARG_SIZE:-64} LIMIT=${HERMIT_ARG_LIMIT:-16}
WAYS=${HERMIT_ARG_WAYS:-tcp tcp-set nbd-swap rdma nvme-swap}
requires "$(module hermit-count)" "run tests/vm/modules/build"
wanted() { case " $WAYS " in *" $1 "*) ;; *) return 1 ;; esac; }

# load WAY ARGUMENT...: the load, with its rows as /out/WAY.txt
load()
{
	local way=$1
	shift
	wire-load --size $SIZE "$@" > /out/$way.txt || fail "$way: $(tail -n 1 /out/$way.txt)"
	sed -n "s/^phase/note $way/p" /out/$way.txt | while read -r line; do note "${line#note }"; done
}

setup_rxe
load_hermit
load_rdma
insmod "$(module hermit-count)" devices=rxe0,rxe1
# Idle time passes at once here: what has to be done takes its time all the same, and
# what is read of the programs most of all, on a machine that has others to serve.
echo 600000 > $PARAMS/rdma_deadline_ms
echo 600000 > /sys/module/hermit/parameters/tcp_deadline_ms

if wanted tcp; then
	start_memserver t tcp:$ADDR --capacity 256M
	load tcp --server tcp:$ADDR --limit $LIMIT
	stop_memserver t
fi

# two servers, each page on both
if wanted tcp-set; then
	start_memserver t tcp:$ADDR --capacity 256M
	start_memserver u tcp:${ADDR%:*}:7473 --capacity 256M
	load tcp-set --server tcp:$ADDR --server tcp:${ADDR%:*}:7473 --replicas 2 --limit $LIMIT
	stop_memserver t
	stop_memserver u
fi

if wanted rdma; then
	start_memserver r rdma:$ADDR --capacity 256M
	load rdma --server rdma:$ADDR --limit $LIMIT
	stop_memserver r
fi

# the process itself needs a few MiB as well
if wanted nbd-swap; then
	start_nbd $((SIZE * 2)) ${ADDR%:*}
	swapped /dev/nbd0 $((LIMIT + 4)) load nbd-swap --cgroup /sys/fs/cgroup/vm
	stop_nbd
fi

if wanted nvme-swap; then
	start_nvme $((SIZE * 2)) ${ADDR%:*}
	swapped /dev/nvme0n1 $((LIMIT + 4)) load nvme-swap --cgroup /sys/fs/cgroup/vm
	stop_nvme
fi
rmmod hermit_count
