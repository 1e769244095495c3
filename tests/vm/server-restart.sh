# SPDX-License-Identifier: GPL-2.0-or-later
# The server is restarted under load and keeps its memory: each next one takes
# over from the one before. After tcp.sh or rdma.sh and what loads the transport,
# with a deadline of 500 ms.
CONTROL=$W/memserver.control
RESTARTS=${HERMIT_ARG_RESTARTS:-5}

going_on() { local n; n=$(stat ops); wait_for 30 stat_above ops "$n"; }

# ended_itself NAME: with 0, after it gave its memory away
ended_itself()
{
	local pid rc=0
	pid=$(cat "$W/$1.memserver")
	wait_for 30 gone "$pid"
	rm "$W/$1.memserver"
	cp "$W/$1.server.log" /out/ 2>/dev/null || true
	wait "$pid" || rc=$?
	[ $rc = 0 ] || fail "$1 gave its memory away and ended with $rc: $(tail -n 1 "$W/$1.server.log")"
}

start_memserver m0 $SCHEME:$ADDR --capacity 256M --control "$CONTROL"
ctl connect $ADDR 1 64 || fail "$(stat error)"
incarnation=$(stat incarnation)
ctl load 2 100000000
going_on
for i in $(seq $RESTARTS); do
	reconnects=$(stat reconnects)
	start_memserver m$i $SCHEME:$ADDR --capacity 256M --control "$CONTROL" --take-over
	ended_itself m$((i - 1))
	wait_for 30 stat_above reconnects "$reconnects"
	wait_for 30 stat_is state $UP
	going_on
	grep -q 'taken over' "$W/m$i.server.log" || fail "m$i began with nothing"
done
ctl stop
right
stat_is nodata 0 || fail "a restart lost contents: nodata=$(stat nodata)"
stat_is told_failed 0 || fail "the server was said to have failed: $(dmesg | grep 'trying again each second' | head -n 3)"
stat_is incarnations 1 || fail "a loss was told"
stat_is incarnation "$incarnation" || fail "a new incarnation after a restart that kept everything"
note "$RESTARTS restarts, back after at most $(longest_stall) ms"
log "restarts: $(tr '\n' ' ' < $CLIENTS/0/status)"
ctl end
stop_memserver m$RESTARTS
