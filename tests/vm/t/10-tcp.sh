# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=300 light
# The tcp transport against a memory server: random reads, writes and discards
# come back right, over one connection and several, IPv4 and IPv6, with and
# without a key; whatever is wrong with a server is said in one sentence.
. /src/tests/vm/tcp.sh

load_tcp_test
# no connection is to end here, however long the emulated machine stands still
echo 60000 > $PARAMS/tcp_deadline_ms
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > $W/key
chmod 600 $W/key
KEY=$(cat $W/key)

# load NAME ADDRESS [KEY]: everything right, and nothing left on the server
load()
{
	ctl connect "$2" 1 64 ${3:+"$3"} || fail "$1: $(stat error)"
	ctl load 2 2500
	ctl wait
	right
	stat_is nodata 0 || fail "$1: nodata=$(stat nodata)"
	[ "$(stat ops)" -ge 5000 ] || fail "$1: only $(stat ops) requests"
	stat_is inflight 0 || fail "$1: $(stat inflight) requests in flight when all are done"
	stat_is reconnects 0 || fail "$1: reconnected $(stat reconnects) times"
	[ "$(stat rtt_ns)" -gt 0 ] || fail "$1: no round trip was measured"
	wait_for 10 stat_above bytes_used 0
	log "$1: $(tr '\n' ' ' < $CLIENTS/0/status)"
	ctl end
}

start_memserver m1 tcp:$ADDR --capacity 256M
for n in 2 1 5; do
	echo $n > $PARAMS/tcp_connections
	load "$n connections" $ADDR
done
echo 2 > $PARAMS/tcp_connections

# few slots: the senders wait for replies
echo 2 > $PARAMS/tcp_inflight
load "2 in flight" $ADDR
echo 256 > $PARAMS/tcp_inflight

# Ended each time: another client may have the region, and finds zeros in it.
client 1 connect $ADDR 1 64 || fail "after the end: $(stat error 1)"
refused busy $ADDR 1 64
client 1 load 1 2000
client 1 wait
right 1
# Closed without an end: the memory stays, and belongs to who wrote it.
client 1 close
refused busy $ADDR 1 64

# two clients with a region each
ctl connect $ADDR 2 64
client 1 connect $ADDR 3 64
ctl load 2 3000
client 1 load 2 3000
ctl wait
client 1 wait
right 0
right 1
ctl latency 300
note tcp-read-us $(($(stat latency_ns) / 1000))
ctl end
client 1 end

refused capacity $ADDR 4 512
refused "no key" $ADDR 4 64 "$KEY"
stop_memserver m1

start_memserver m2 tcp:[::1]:7471 --capacity 256M --key-file $W/key
load "IPv6 with a key" "[::1]:7471" "$KEY"
refused "requires a key" "[::1]:7471" 1 64
refused "key differs" "[::1]:7471" 1 64 wrong-key
stop_memserver m2

refused "connection refused" $ADDR 1 64
refused "no route" 203.0.113.1:7471 1 64
echo 2000 > $PARAMS/tcp_deadline_ms
cut_link
refused "no answer" $ADDR 1 64
mend_link
for a in localhost:7471 127.0.0.1 127.0.0.1:0 127.0.0.1:65536 127.1:7471 \
	::1:7471 [::1]7471 [127.0.0.1]:7471 []:1; do
	refused "not an address" $a 1 64
done

unload_tcp_test
