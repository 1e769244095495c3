# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=400 kvm=patched,stock long
# The smallest VM on a region a quarter of which may be local: random writes
# and reads by vCPUs and host threads, in both address spaces, and every page
# is what it should be. With the hook a batch costs one TLB flush.
load_hermit
value() { awk -v n="$1" '$1 == n { print $2 }' "$2"; }

# ordinary memory first: what fails here is not Hermit
mini --anon --size 16 --vcpus 2 --ops 20000 stress > /out/anon || fail "anonymous memory: $(cat /out/anon)"

mini --size 64 --limit 16 --vcpus 2 --hosts 1 --ops 12000 --rounds 2 --smm stress > /out/mixed 2> /out/err ||
	fail "guest and host threads: $(tail -n 1 /out/err)"
cat /out/mixed
note "$KVM_MODE: $(value evicted /out/mixed) evictions, $(value faults_guest /out/mixed) guest and $(value faults_host /out/mixed) host faults in $(value seconds /out/mixed) s"
[ "$(value evicted /out/mixed)" -gt 20000 ] || fail "only $(value evicted /out/mixed) evictions"

mini --size 64 --limit 16 --vcpus 2 --ops 20000 stress > /out/guest 2> /out/err ||
	fail "guest threads: $(tail -n 1 /out/err)"
cat /out/guest
# Batches hold 32 pages. Creating slots and vCPUs flushes, too, a few times.
one_flush_per_batch()
{
	[ "$(value mode "$1")" = 1 ] || fail "the hook is not used"
	local flushes evicted
	flushes=$(value flushes "$1") evicted=$(value evicted "$1")
	note "$flushes TLB flushes for $evicted pages in $(value zap_batches "$1") batches"
	[ $((flushes * 320)) -le $((evicted * 11 + 20 * 320)) ] || fail "$flushes TLB flushes for $evicted pages"
}
if [ "$KVM_MODE" = patched ]; then
	one_flush_per_batch /out/guest
	one_flush_per_batch /out/mixed
fi

mini --size 32 --limit 8 dirty-log > /out/dirty 2> /out/err || fail "dirty log: $(tail -n 1 /out/err)"
mini --size 32 --limit 8 prefault > /out/prefault 2> /out/err || fail "prefault: $(tail -n 1 /out/err)"
cat /out/dirty /out/prefault
