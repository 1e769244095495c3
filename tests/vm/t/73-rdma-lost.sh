# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched
# A guest over RDMA whose memory server is killed and comes back empty: what it
# held is told as LOST and the VM is stopped, alive for the monitor. No page
# that was not lost is wrong, and the VM's end ends the region on the server.
. /src/tests/vm/vm-tests.sh
. /src/tests/vm/rdma.sh
setup_rxe
load_hermit
load_rdma
start_memserver m1 rdma:$ADDR --capacity 1G
# It says what is wrong, and not how far it is each second: QEMU's main thread, which
# takes that, would want a page of the guest while there is no server.
LOAD="hermit-guest-load --size 40M --threads 2 --write-ratio 0.5 --verify --seconds 1000"
VM_APPEND="job=run -- sh -c \"$LOAD | while read -r line; do case \$line in t*) ;; *) echo \$line ;; esac; done\"" \
	HERMIT_OBJECT=,fault-timeout=60000 hermit_vm l 136 64 rdma:$ADDR
wait_report l 150 '^up'
EVICTIONS=${HERMIT_ARG_EVICTIONS:-1000}
busy() { [ "$(hermit_stat l counters.fetches)" -gt 500 ] && [ "$(evictions l)" -ge $EVICTIONS ]; }
wait_for $((60 + EVICTIONS / 100)) busy
note "killed after $(evictions l) evictions"
kill_memserver m1
wait_for 30 server_is reconnecting
start_memserver m2 rdma:$ADDR --capacity 1G
stopped() { qmp l query-status | grep -q '"status": "io-error"'; }
wait_for 60 stopped
[ "$(hermit_stat l lost)" -gt 0 ] || fail "lost is $(hermit_stat l lost)"
note "lost $(hermit_stat l lost) bytes"
! report l | grep -Eq '^mismatch:|MISMATCH|mismatches [1-9]' || fail "the guest saw wrong pages: $(report l | tail -n 2)"
stop_vm l
wait_for 20 grep -q 'ended by its client' $W/m2.server.log
teardown
