# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400
# The rdma transport when the server goes away under load: link cut and mended,
# silence, crash, restart, another key. Nothing completes wrongly, and what the
# server lost is told.
. /src/tests/vm/rdma.sh

load_rdma_test
echo 500 > $PARAMS/rdma_deadline_ms
start_memserver m1 rdma:$ADDR --capacity 256M
ctl connect $ADDR 1 64 || fail "$(stat error)"
epoch=$(stat epoch)
incarnation=$(stat incarnation)

going_on() { local n; n=$(stat ops); wait_for 30 stat_above ops "$n"; }

# --- the link is cut for 6 s, twice
ctl load 2 100000000
going_on
for i in 1 2; do
	cut_rdma
	wait_for 20 stat_is state $RECONNECTING
	stat_is inflight 0 || fail "requests are on a connection that is gone"
	before=$(stat ops)
	sleep 6
	# what needs no server may go on: at most a batch for each worker
	[ "$(stat ops)" -le $((before + 64)) ] || fail "requests completed while the link was cut"
	mend_rdma
	wait_for 30 stat_is state $UP
	going_on
	log "cut $i: $(tr '\n' ' ' < $CLIENTS/0/status)"
done
right
stat_is nodata 0 || fail "a cut link lost contents: nodata=$(stat nodata)"
stat_is incarnation "$incarnation" || fail "a new incarnation after a cut"
stat_above reconnects 1 || fail "only $(stat reconnects) reconnects"
stat_above epoch "$epoch" || fail "the epoch is still $epoch"
stat_above told_reconnecting 1 || fail "told_reconnecting=$(stat told_reconnecting)"

# --- the server is silent for a while: pages come and go without it, until
# control requests are not answered; it still has the connections
kill -STOP "$(cat $W/m1.memserver)"
wait_for 30 stat_is state $RECONNECTING
sleep 2
kill -CONT "$(cat $W/m1.memserver)"
wait_for 30 stat_is state $UP
going_on
right
stat_is nodata 0 || fail "a silent server lost contents: nodata=$(stat nodata)"

# --- it crashes and comes back empty
kill_memserver m1
wait_for 20 stat_is state $RECONNECTING
start_memserver m1 rdma:$ADDR --capacity 256M
wait_for 30 stat_is state $UP
stat_is incarnations 2 || fail "the loss was told $(($(stat incarnations) - 1)) times"
stat_above nodata 0 || fail "no request completed with -ENODATA"
going_on
right

# --- it is stopped, and started again: contents gone, too
stop_memserver m1
wait_for 20 stat_is state $RECONNECTING
start_memserver m1 rdma:$ADDR --capacity 256M
wait_for 30 stat_is state $UP
stat_is incarnations 3 || fail "the loss was told $(($(stat incarnations) - 1)) times"
going_on
right

# --- it comes back with a key: refused until it has none again
stop_memserver m1
printf 'secret-of-the-server' > $W/key
chmod 600 $W/key
start_memserver m1 rdma:$ADDR --capacity 256M --key-file $W/key
wait_for 30 stat_is state $FAILED
stop_memserver m1
start_memserver m1 rdma:$ADDR --capacity 256M
wait_for 30 stat_is state $UP
going_on
ctl stop
right
log "at the end: $(tr '\n' ' ' < $CLIENTS/0/status)"

# --- everything is still what it should be: read it all, quietly
ctl load 2 8000
ctl wait
right
ctl end

# --- closing while the server is silent, while the link is cut, and with
# requests queued: bounded, and every request completes
for how in STOP cut; do
	ctl connect $ADDR 2 64 || fail "$(stat error)"
	ctl load 2 100000000
	going_on
	if [ $how = cut ]; then cut_rdma; else kill -STOP "$(cat $W/m1.memserver)"; fi
	wait_for 30 stat_is state $RECONNECTING
	timeout -s KILL 30 sh -c "echo end > $CLIENTS/0/ctl" || fail "$how: close did not end"
	stat_above canceled 0 || fail "$how: no request was cancelled"
	stat_is running 0 || fail "$how: workers still wait"
	right
	if [ $how = cut ]; then mend_rdma; else kill -CONT "$(cat $W/m1.memserver)"; fi
	# The server could not be told: the memory is still that client's.
	stop_memserver m1
	start_memserver m1 rdma:$ADDR --capacity 256M
done

# --- the neighbour's address changes while we connect: it is asked again. The
# way is long, so that there is a while.
tc qdisc add dev w0 root netem delay 500ms
mac=$(cat /sys/class/net/w1/address)
events=/sys/kernel/tracing/events/rdma_cma/cm_event_handler/enable
echo 1 > $events
changed() { grep -Eq 'UNREACHABLE|ADDR_CHANGE' /sys/kernel/tracing/trace; }
connecting() { rdma resource show cm_id | grep -q 'state CONNECT'; }
echo 10000 > $PARAMS/rdma_deadline_ms
for i in 1 2 3 4 5 6; do
	ctl connect $ADDR 4 64 &
	pid=$!
	wait_for 10 connecting
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
