# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=240 kvm=none
# hermit.ko alone, without any KVM: host threads write, read, pread, punch and
# pin pages of a region a quarter of which may be local, and every byte comes
# back; nothing is left afterwards.
load_hermit
# compaction drains the per-CPU lists, which MemFree leaves out
free_kib() { sync; echo 3 > /proc/sys/vm/drop_caches; echo 1 > /proc/sys/vm/compact_memory; sleep 1; sed -n 's/^MemFree: *\([0-9]*\).*/\1/p' /proc/meminfo; }
region-stress --size 64 --limit 16 --threads 4 --ops 5000 --dio /run/w/dio --flip || fail "warm-up run"
before=$(free_kib)
region-stress --size 64 --limit 16 --threads 4 --ops 25000 --seed 2 > /out/plain || fail "plain run: $(cat /out/plain)"
region-stress --size 64 --limit 16 --threads 4 --ops 15000 --seed 3 --dio /run/w/dio --flip > /out/dio || fail "O_DIRECT and a moving limit: $(cat /out/dio)"
cat /out/plain /out/dio
note "$(sed 's/ clean.*//' /out/plain)"
after=$(free_kib)
[ $((before - after)) -lt 4096 ] || fail "$((before - after)) KiB not given back"
! region-stress --server bogus:1 2> /out/err || fail "unknown scheme accepted"
grep -q 'no such transport' /out/err || fail "unknown scheme: $(cat /out/err)"
! region-stress --limit 0 2> /out/err || fail "limit 0 accepted"
grep -q 'below' /out/err || fail "limit 0: $(cat /out/err)"
! region-stress --limit 65 2> /out/err || fail "limit above size accepted"
grep -q 'at most the size' /out/err || fail "limit above size: $(cat /out/err)"
teardown
