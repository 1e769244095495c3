# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched,stock
# The main job: a guest with a quarter of its memory local writes and reads a
# pattern {address, version} from four threads. Nothing comes back wrong, the
# budget holds throughout, the limit moves, a batch is one flush.
. /src/tests/vm/vm-tests.sh
load_hermit
VM_APPEND="job=run -- hermit-guest-load --size 150M --threads 4 --write-ratio 0.5 --seconds 1000 --verify" \
	hermit_vm p 256 64 local:plain
wait_report p 120 '^up'
sleep 10
# read so that the flushes' window lies within the batches'
batches=$(hermit_stat p counters.zap-batches) flushes=$(kvm_stat remote_tlb_flush_requests)
sample p 5
# few batches show little beside what others flush
many() { [ $(($(hermit_stat p counters.zap-batches) - batches)) -ge 200 ]; }
[ "$KVM_MODE" = stock ] || until many; do sample p 5; done
flushes=$(($(kvm_stat remote_tlb_flush_requests) - flushes))
batches=$(($(hermit_stat p counters.zap-batches) - batches))
note "flush requests $flushes in $batches batches"
# The limit moves while the load runs, and is reached.
set_limit p 48
reached() { set -- $(fields p resident limit); [ "$1" -le "$2" ]; }
wait_for 60 reached
set_limit p 64
load_for p ${HERMIT_ARG_SECONDS:-5} ${HERMIT_ARG_EVICTIONS:-20000}
end_load p
sample p 200
n=$(evictions_seen p)
note "evictions $n, $(report p | tail -n 2 | head -n 1)"
vm_ok p 60
[ "$n" -ge ${HERMIT_ARG_EVICTIONS:-20000} ] || fail "only $n evictions: this shows nothing"
if [ "$KVM_MODE" = patched ]; then
	# one flush a batch of 32 pages (64 pairs with SMM), and 10 % for others
	[ $batches -ge 200 ] || fail "only $batches batches while flushes were counted"
	[ $((flushes * 10)) -le $((batches * 11)) ] || fail "$flushes flush requests for $batches batches"
fi
teardown
