# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 light
# The rdma transport against a memory server on soft-RoCE: random reads, writes
# and discards come back right, over one queue pair and several, with few work
# requests and many, IPv4 and IPv6, with and without a key; the server's
# processors see no page; a batch of writes takes one doorbell; whatever is wrong with a server is said in one
# sentence.
. /src/tests/vm/rdma.sh

load_rdma_test
# no connection is to end here, however long the emulated machine stands still
echo 60000 > $PARAMS/rdma_deadline_ms
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
	stat_above bytes_used 0 || fail "$1: nothing is stored"
	log "$1: $(tr '\n' ' ' < $CLIENTS/0/status)"
	ctl end
}

start_memserver m1 rdma:$ADDR --capacity 256M --metrics 127.0.0.1:9000 --control $W/m1.control
for n in 2 1 5; do
	echo $n > $PARAMS/rdma_queue_pairs
	load "$n queue pairs" $ADDR
done
echo 0 > $PARAMS/rdma_queue_pairs

# few work requests: submitters wait for completions; and extents one by one
echo 2 > $PARAMS/rdma_depth
echo 1 > $PARAMS/rdma_grant_ahead
load "2 in flight" $ADDR
echo 128 > $PARAMS/rdma_depth
echo 4 > $PARAMS/rdma_grant_ahead
[ "$(metric regions)" = 0 ] || fail "the server still has $(metric regions) regions"
[ "$(metric backed_bytes)" = 0 ] || fail "the server still has $(metric backed_bytes) bytes"

# Ended each time: another client may have the region, and finds zeros in it.
client 1 connect $ADDR 1 64 || fail "after the end: $(stat error 1)"
refused busy $ADDR 1 64
client 1 load 1 2000
client 1 wait
right 1
# What is discarded is freed on the server, as a whole: nothing is stored.
[ "$(metric backed_bytes)" -gt 0 ] || fail "nothing is backed: $(metric backed_bytes)"
[ "$(metric region_reads_total)" = 0 ] || fail "the server was asked for pages"
[ "$(metric region_writes_total)" = 0 ] || fail "the server was sent pages"
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
# A batch of 32 writes, as reclaim posts it: one doorbell and one completion.
# The first one has its extent granted.
client 1 put 0 32
doorbells=$(stat doorbells 1) completions=$(stat completions 1) writes=$(stat link_writes 1)
client 1 put 0 32
[ $(($(stat link_writes 1) - writes)) = 32 ] || fail "$(($(stat link_writes 1) - writes)) writes of 32"
doorbells=$(($(stat doorbells 1) - doorbells)) completions=$(($(stat completions 1) - completions))
[ $doorbells = 1 ] || fail "32 writes took $doorbells doorbells"
[ $completions -le 1 ] || fail "32 writes took $completions completions"
client 1 get 0 32
right 1
# Each of these reads goes over the wire, and the server does not wake up for
# any: what it does is answer a ping each second.
switches() { cat /proc/$(cat $W/m1.memserver)/task/*/status | awk '/ctxt_switches/ { n += $2 } END { print n }'; }
n=$(switches) begin=$(cut -d. -f1 /proc/uptime)
before=$(stat link_reads)
ctl latency 2000
[ $(($(stat link_reads) - before)) = 2000 ] || fail "$(($(stat link_reads) - before)) reads of 2000"
n=$(($(switches) - n)) took=$(($(cut -d. -f1 /proc/uptime) - begin))
note rdma-read-us $(($(stat latency_ns) / 1000)), server woken $n times for 2000 reads
[ $n -lt $((500 + 10 * took)) ] || fail "the server was woken $n times in $took s, for 2000 reads"
[ "$(metric region_reads_total | awk '{ n += $1 } END { print n + 0 }')" = 0 ] || fail "the server was asked for pages"
ctl end
client 1 end

# A server that is drained lends no new extent, and its client is told. Who asks
# for one has the link look now, not when the deadline says.
ask() { hermit-memserver --control $W/m1.control "$@" > /out/ask || fail "$*: $(cat /out/ask)"; }
asked_and_is() { ctl put $((512 * (RANDOM % 32))) 1; stat_is state "$1"; }
ctl connect $ADDR 6 64 || fail "$(stat error)"
ctl put 0 32
ask drain
wait_for 60 asked_and_is $DRAINING
stat_above nospc 0 || fail "it lends new extents while it is drained"
ctl get 0 32
right
ask drain off
wait_for 60 asked_and_is $UP
ctl end

refused capacity $ADDR 4 512
refused "no key" $ADDR 4 64 "$KEY"
stop_memserver m1

start_memserver m2 rdma:[fd09::1]:7471 --capacity 256M --key-file $W/key
load "IPv6 with a key" "[fd09::1]:7471" "$KEY"
refused "requires a key" "[fd09::1]:7471" 1 64
refused "key differs" "[fd09::1]:7471" 1 64 wrong-key
stop_memserver m2

# A server that lends less than it promised: refused writes are -ENOSPC, and
# nothing else is wrong.
start_memserver m3 rdma:$ADDR --capacity 16M --overcommit
ctl connect $ADDR 5 64 || fail "overcommitted: $(stat error)"
ctl load 2 4000
ctl wait
right
stat_above nospc 0 || fail "16M held all of it"
stat_above told_full 0 || fail "FULL was not told"
ctl end
stop_memserver m3

# Nobody, who may lock enough memory for the devices; and who may not.
MEMSERVER_AS="prlimit --memlock=134217728 setpriv --reuid=65534 --regid=65534 --clear-groups" \
	start_memserver m4 rdma:$ADDR --capacity 256M
load "server without root" $ADDR
stop_memserver m4
MEMSERVER_AS="prlimit --memlock=131072 setpriv --reuid=65534 --regid=65534 --clear-groups" \
	start_memserver m5 rdma:$ADDR --capacity 256M
ctl connect $ADDR 5 64 || fail "without locked memory: $(stat error)"
ctl load 2 200
ctl wait
right
stat_above nospc 0 || fail "memory was registered beyond the limit"
grep -q 'raise the limit of locked memory' $W/m5.server.log || fail "the server's log does not say what to do: $(tail -n 2 $W/m5.server.log)"
ctl end
stop_memserver m5

refused "connection refused" $ADDR 1 64
refused "no route" 203.0.113.1:7471 1 64
refused "no RDMA device" 127.0.0.1:7471 1 64
for a in localhost:7471 127.0.0.1 127.0.0.1:0 [127.0.0.1]:7471; do
	refused "not an address" $a 1 64
done

# An address without a device, on the server's side.
! hermit-memserver --listen rdma:203.0.113.1:7471 --capacity 1M --insecure > $W/bad 2>&1 || fail "the server listens on an address it does not have"
grep -q 'cannot listen on rdma:203.0.113.1:7471' $W/bad || fail "it said: $(cat $W/bad)"

unload_rdma_test
