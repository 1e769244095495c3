# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=240 kvm=none
# hermit.ko alone, without any KVM: host threads write, read, pread, punch and
# pin pages of a region a quarter of which may be local, and every byte comes
# back; nothing is left afterwards.
load_hermit
region-stress --size 64 --limit 16 --threads 4 --ops 5000 --dio /run/w/dio --flip || fail "warm-up run"
before=$(free_kib)
region-stress --size 64 --limit 16 --threads 4 --ops 25000 --seed 2 > /out/plain || fail "plain run: $(cat /out/plain)"
region-stress --size 64 --limit 16 --threads 4 --ops 15000 --seed 3 --dio /run/w/dio --flip > /out/dio || fail "O_DIRECT and a moving limit: $(cat /out/dio)"
cat /out/plain /out/dio
note "$(sed 's/ clean.*//' /out/plain)"
wait_given_back "$before" 4096
# Two at once, and one batch at a time on the whole host. Two that were not at it
# at once show nothing: they get more to do.
echo 1 > /sys/module/hermit/parameters/reclaim_max
for ops in 15000 45000 135000; do
	region-stress --size 32 --limit 8 --threads 2 --ops $ops --seed 4 > /out/first &
	region-stress --size 32 --limit 8 --threads 2 --ops $ops --seed 5 > /out/second || fail "second of two: $(cat /out/second)"
	wait $! || fail "first of two: $(cat /out/first)"
	waits=$(cat /out/first /out/second | sed 's/.*turn_waits=//' | awk "{ n += \$1 } END { print n }")
	[ "$waits" = 0 ] || break
done
note "two regions, one batch at a time: $waits waits for a turn"
[ "$waits" -gt 0 ] || fail "no batch ever waited for another: reclaim_max has no effect"
! region-stress --server bogus:1 2> /out/err || fail "unknown scheme accepted"
grep -q 'no such transport' /out/err || fail "unknown scheme: $(cat /out/err)"
! region-stress --limit 0 2> /out/err || fail "limit 0 accepted"
grep -q 'below' /out/err || fail "limit 0: $(cat /out/err)"
! region-stress --limit 65 2> /out/err || fail "limit above size accepted"
grep -q 'at most the size' /out/err || fail "limit above size: $(cat /out/err)"
teardown
