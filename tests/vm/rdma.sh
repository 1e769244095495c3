# SPDX-License-Identifier: GPL-2.0-or-later
# For the tests of the rdma transport: as tcp.sh, with soft-RoCE on a dummy
# interface, which both ends share: packets to itself go through the device.
. /src/tests/vm/tcp.sh
SCHEME=rdma
ADDR=10.9.0.1:7471
CLIENTS=/sys/kernel/debug/hermit_rdma_test
PARAMS=/sys/module/hermit_rdma/parameters

# setup_rxe: 10.9.0.1 and fd09::1, with an RDMA device
setup_rxe()
{
	local m
	for m in dummy rdma_rxe ib_uverbs rdma_ucm; do
		modprobe $m || skip "no module $m in this kernel"
	done
	ip link set lo up
	ip link add d0 type dummy
	ip addr add 10.9.0.1/24 dev d0
	ip addr add fd09::1/64 dev d0 nodad
	ip link set d0 up
	rdma link add rxe0 type rxe netdev d0
	wait_for 20 rxe_ready
}
rxe_ready() { rdma link show rxe0/1 | grep -q 'state ACTIVE'; }

load_rdma()
{
	requires "$(module hermit-rdma)" "run kvm-module/build"
	[ -d /sys/module/hermit ] || load_hermit
	modprobe rdma_cm
	insmod "$(module hermit-rdma)"
}

load_rdma_test()
{
	requires "$(module hermit-rdma-test)" "run tests/vm/modules/build"
	setup_rxe
	load_rdma
	insmod "$(module hermit-rdma-test)" "$@"
	# The emulated machine stands still at times; a second is still short.
	echo 2000 > $PARAMS/rdma_deadline_ms
}

unload_rdma_test() { rmmod hermit_rdma_test || fail "hermit_rdma_test does not unload"; }

# both ways, as if the cable was pulled
cut_rdma() { ip link set d0 down; }
mend_rdma()
{
	ip link set d0 up
	ip addr add fd09::1/64 dev d0 nodad 2>/dev/null || true
}
