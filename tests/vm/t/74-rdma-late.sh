# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=300 light
# The fence over RDMA: a WRITE that waited in the network until its queue pair
# was replaced comes to nothing. A router between client and server keeps the
# packets of WRITEs; the link gives up and connects anew; the pages are written
# again, differently; then the router lets the old packets go.
. /src/tests/vm/rdma.sh

load_rdma_test hop
echo 500 > $PARAMS/rdma_deadline_ms
modprobe sch_plug
start_memserver m1 rdma:$ADDR --capacity 256M
ctl connect $ADDR 1 64 || fail "$(stat error)"
ctl put 0 32
ctl get 0 32

# The first byte after IP and UDP is the operation: RC WRITE FIRST, MIDDLE, LAST
# and ONLY. They go to a queue that keeps what it gets.
hop() { ip netns exec hop "$@"; }
hop tc qdisc add dev h1 root handle 1: prio bands 3 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
hop tc qdisc add dev h1 parent 1:3 handle 30: plug limit 4000000
hop tc qdisc change dev h1 parent 1:3 handle 30: plug block
for op in 0x06 0x07 0x08 0x0a; do
	hop tc filter add dev h1 parent 1: protocol ip u32 match ip protocol 17 0xff match ip dport 4791 0xffff \
		match u8 $op 0xff at 28 flowid 1:3
done
kept() { hop tc -s qdisc show dev h1 | sed -n '/qdisc plug/,$s/.*backlog [^ ]* \([0-9]*\)p.*/\1/p'; }
some_kept() { [ "$(kept)" -ge 32 ]; }

reconnects=$(stat reconnects)
ctl put 0 32 &
pid=$!
wait_for 30 some_kept
wait_for 30 stat_above told_reconnecting 0
# Whatever epoch it is by now ends, too: all that is kept is of fenced queue
# pairs. The while is for one that was about to come up.
cut_rdma
hop tc filter del dev h1 parent 1:
sleep 3
wait_for 30 stat_is state $RECONNECTING
old=$(kept)
mend_rdma
wait $pid || fail "the batch was not written after all"
wait_for 30 stat_is state $UP
[ "$(stat reconnects)" -gt "$reconnects" ] || fail "it never connected anew"
ctl put 0 32
ctl get 0 32
right

rx() { cat /sys/class/net/w1/statistics/rx_packets; }
[ "$(kept)" = "$old" ] && [ "$old" -ge 32 ] || fail "$(kept) packets are kept, of $old: this shows nothing"
before=$(rx)
hop tc qdisc change dev h1 parent 1:3 handle 30: plug release_indefinite
came() { [ "$(kept)" = 0 ] && [ $(($(rx) - before)) -ge "$old" ]; }
wait_for 30 came
log "$old packets of fenced queue pairs came late"
note "late packets $old"
ctl get 0 32 || fail "reading back: $(tail -n 2 $W/m1.server.log)"
right
stat_is nodata 0 || fail "nodata=$(stat nodata)"
ctl end
stop_memserver m1
unload_rdma_test
