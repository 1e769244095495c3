# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=300 kvm=none
# hermit.ko and hermit-memserver over TCP, without KVM: a plain run, the link
# cut for 20 s and given back, and a server that is full. Every byte comes back
# each time, the server ends empty, and nothing stays in the kernel.
S=tcp:127.0.0.1:7471
load_hermit
start_memserver m1 $S --capacity 256M
region-stress --server $S --size 64 --limit 16 --threads 4 --ops 2500 > /out/plain ||
	fail "plain run: $(cat /out/plain)"
note "plain: $(sed 's/ clean.*//' /out/plain)"

cut_link() { nft add table inet cut; nft add chain inet cut in '{ type filter hook input priority 0; }'; nft add rule inet cut in tcp dport 7471 drop; nft add rule inet cut in tcp sport 7471 drop; }
give_link() { nft delete table inet cut; }
region-stress --server $S --size 64 --limit 16 --threads 4 --ops 12000 --seed 5 > /out/cut 2>&1 &
pid=$!
sleep 2
cut_link
sleep 20
[ -d /proc/$pid ] || fail "the run ended before the link came back: $(cat /out/cut)"
give_link
wait $pid || fail "link cut for 20 s: $(cat /out/cut)"
note "cut: $(sed 's/ clean.*//' /out/cut)"
grep -q 'read_errors=0 ' /out/cut || fail "reads failed across the cut: $(cat /out/cut)"

# A process that dies while its pages are out.
region-stress --server $S --size 64 --limit 16 --threads 4 --ops 100000000 > /out/killed 2>&1 &
pid=$!
sleep 2
end_child region-stress $pid KILL 137
stop_memserver m1
grep -q 'end' /out/m1.server.log || fail "the server did not see a region end: $(cat /out/m1.server.log)"

# Without reservation, and with room for half of what goes out: writes are
# refused, the region stays right within what it has until it is given room.
start_memserver m2 tcp:127.0.0.1:7472 --capacity 24M --overcommit
timeout 60 region-stress --server tcp:127.0.0.1:7472 --size 64 --limit 56 --threads 2 --ops 1500 > /out/full 2>&1 ||
	fail "within what the server has: $(cat /out/full)"
stop_memserver m2

! region-stress --server tcp:127.0.0.1:7473 2> /out/err || fail "nobody listens there"
cat /out/err
! region-stress --server tcp:nonsense 2> /out/err || fail "nonsense accepted"
cat /out/err
teardown
