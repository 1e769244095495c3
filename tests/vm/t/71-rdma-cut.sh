# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 light
# The rdma transport when the server goes away under load: link cut and mended,
# silence, crash, restart, another key. Nothing completes wrongly, and what the
# server lost is told.
. /src/tests/vm/rdma.sh

load_rdma_test
echo 500 > $PARAMS/rdma_deadline_ms
cut_link() { cut_rdma; }
mend_link() { mend_rdma; }
# what needs no server may go on: at most some batches for each worker
ON_ITS_OWN=192
. /src/tests/vm/server-gone.sh

# --- the neighbour's address changes while we connect: it is asked again. The
# way is long, so that there is a while.
tc qdisc add dev w0 root netem delay 500ms
mac=$(cat /sys/class/net/w1/address)
events=/sys/kernel/tracing/events/rdma_cma/cm_event_handler/enable
echo 1 > $events
changed() { grep -Eq 'UNREACHABLE|ADDR_CHANGE' /sys/kernel/tracing/trace; }
# or it was connected before we looked
connecting() { rdma resource show cm_id | grep -q 'state CONNECT' || gone $pid; }
echo 10000 > $PARAMS/rdma_deadline_ms
# each time the moment may be missed
for i in $(seq 20); do
	ctl connect $ADDR 4 64 &
	pid=$!
	wait_for 30 connecting
	ip neigh replace 10.9.0.1 lladdr 02:00:00:00:00:01 dev w0
	ip neigh replace 10.9.0.1 lladdr "$mac" dev w0
	wait $pid || fail "a neighbour that changed ended the connecting: $(stat error)"
	ctl put 0 32
	ctl get 0 32
	right
	ctl end
	! changed || break
done
echo 0 > $events
cp /sys/kernel/tracing/trace /out/cm-events
changed || fail "the neighbour never changed while connecting: this shows nothing"
ip neigh del 10.9.0.1 dev w0
tc qdisc del dev w0 root
echo 500 > $PARAMS/rdma_deadline_ms

# --- our device is removed under load, and comes back (the server's cannot be
# while it is used: deleting a soft-RoCE device waits for its users in userland)
ctl connect $ADDR 3 64 || fail "$(stat error)"
ctl load 2 100000000
going_on
rdma link delete rxe0
wait_for 20 stat_is state $RECONNECTING
rdma link add rxe0 type rxe netdev w0
wait_for 30 stat_is state $UP
going_on
stat_is nodata 0 || fail "a removed device lost contents: nodata=$(stat nodata)"
ctl stop
right
ctl end
stop_memserver m1
unload_rdma_test
