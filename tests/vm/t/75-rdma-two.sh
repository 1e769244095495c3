# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=500 kvm=patched peer=peer-rdma long
# A compute host and a memory node that share nothing but a cable: a guest with
# a third of its memory local writes and reads a pattern over RDMA.
. /src/tests/vm/vm-tests.sh
. /src/tests/vm/rdma.sh
SECONDS_OF_LOAD=${HERMIT_ARG_SECONDS:-30}
setup_rxe_peer 0
load_hermit
load_rdma
wait_for 120 ping -c 1 -W 1 $READY_ADDR
VM_APPEND="job=run -- hermit-guest-load --size 60M --threads 2 --write-ratio 0.5 --seconds $SECONDS_OF_LOAD --verify" \
	hermit_vm p 160 64 rdma:$ADDR
wait_report p 180 '^up'
sample p $((SECONDS_OF_LOAD + 200))
note "evictions $(evictions_seen p), $(report p | tail -n 2 | head -n 1)"
vm_ok p 60
[ "$(evictions_seen p)" -ge ${HERMIT_ARG_EVICTIONS:-1000} ] || fail "only $(evictions_seen p) evictions: this shows nothing"
teardown
