# SPDX-License-Identifier: GPL-2.0-or-later
# The server goes away under load, by whatever transport: after tcp.sh or rdma.sh
# and what loads the transport, with a deadline of 500 ms.
#
#   cut_link, mend_link   the cable, in both directions
#   ON_ITS_OWN            how many requests may complete without a server; counted
#                         late is a batch for each worker, 64
start_memserver m1 $SCHEME:$ADDR --capacity 256M
ctl connect $ADDR 1 64 || fail "$(stat error)"
epoch=$(stat epoch)
incarnation=$(stat incarnation)

going_on() { local n; n=$(stat ops); wait_for 30 stat_above ops "$n"; }

# --- the link is cut for 6 s, twice, and given back
ctl load 2 100000000
going_on
for i in 1 2; do
	cut_link
	wait_for 30 stat_is state $RECONNECTING
	stat_is inflight 0 || fail "requests are on a connection that is gone"
	before=$(stat ops)
	sleep 6
	[ "$(stat ops)" -le $((before + ON_ITS_OWN)) ] || fail "requests completed while the link was cut"
	mend_link
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

# --- the server is silent for a while: it still has the connections (by RDMA
# pages come and go without it, until a control request is not answered)
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
wait_for 30 stat_is state $RECONNECTING
start_memserver m1 $SCHEME:$ADDR --capacity 256M
wait_for 30 stat_is state $UP
stat_is incarnations 2 || fail "the loss was told $(($(stat incarnations) - 1)) times"
# They have completed by now; who waits for them counts them.
wait_for 30 stat_above nodata 0
going_on
right

# --- it is stopped, and started again: contents gone, too
stop_memserver m1
wait_for 30 stat_is state $RECONNECTING
start_memserver m1 $SCHEME:$ADDR --capacity 256M
wait_for 30 stat_is state $UP
stat_is incarnations 3 || fail "the loss was told $(($(stat incarnations) - 1)) times"
going_on
right

# --- it comes back with a key: refused until it has none again
stop_memserver m1
printf 'secret-of-the-server' > $W/key
chmod 600 $W/key
start_memserver m1 $SCHEME:$ADDR --capacity 256M --key-file $W/key
wait_for 30 stat_is state $FAILED
stop_memserver m1
start_memserver m1 $SCHEME:$ADDR --capacity 256M
wait_for 30 stat_is state $UP
going_on

# --- and smaller than the region
stop_memserver m1
start_memserver m1 $SCHEME:$ADDR --capacity 32M
wait_for 30 stat_is state $FAILED
stop_memserver m1
start_memserver m1 $SCHEME:$ADDR --capacity 256M
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
	if [ $how = cut ]; then cut_link; else kill -STOP "$(cat $W/m1.memserver)"; fi
	wait_for 30 stat_is state $RECONNECTING
	timeout -s KILL 120 sh -c "echo end > $CLIENTS/0/ctl" || fail "$how: close did not end"
	stat_above canceled 0 || fail "$how: no request was cancelled"
	stat_is running 0 || fail "$how: workers still wait"
	right
	if [ $how = cut ]; then mend_link; else kill -CONT "$(cat $W/m1.memserver)"; fi
	# The server could not be told: the memory is still that client's.
	stop_memserver m1
	start_memserver m1 $SCHEME:$ADDR --capacity 256M
done
