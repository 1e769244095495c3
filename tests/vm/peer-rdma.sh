# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1
# The memory node of 75-rdma-two: a memory server on the cable, to the end.
. /src/tests/vm/rdma.sh
setup_rxe_peer 1
start_memserver m1 rdma:$ADDR --capacity 512M
ip addr add $READY_ADDR/24 dev link0
wait_end
grep -q 'ended by its client' $W/m1.server.log || fail "no region was ended by its client: $(tail -n 1 $W/m1.server.log)"
