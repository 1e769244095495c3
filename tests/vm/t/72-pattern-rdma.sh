# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=500 kvm=patched kvm-long=stock
# The main job over RDMA: a guest with a third of its memory local writes and
# reads a pattern from four threads, while the link is cut and mended. Nothing
# comes back wrong, and the memory server is asked for no page.
. /src/tests/vm/vm-tests.sh
. /src/tests/vm/rdma.sh
setup_rxe
load_hermit
load_rdma
start_memserver m1 rdma:$ADDR --capacity 1G --metrics 127.0.0.1:9000
VM_APPEND="job=run -- hermit-guest-load --size 90M --threads 4 --write-ratio 0.5 --seconds 1000 --verify" \
	hermit_vm p 192 64 rdma:$ADDR
wait_report p 120 '^up'
sample p 10
hermitctl stat --json > /out/stat.json
grep -q '"doorbells": [1-9]' /out/stat.json || fail "hermitctl stat counts no doorbells"
# who waits looks for the answer itself, also while the queue pairs go
qmp p '{"execute":"qom-set","arguments":{"path":"/objects/ram0","property":"wait","value":"spin"}}' > /dev/null
polled() { [ "$(fields p servers.0.rdma.polled)" -gt 0 ]; }
wait_for 30 polled
cut_rdma
wait_for 30 server_is reconnecting
sleep 3
mend_rdma
wait_for 30 server_is up
sample p 10
note "completions: $(fields p servers.0.rdma.completions servers.0.rdma.polled | sed 's/ /, polled /')"
# while the region is there: it ends with its guest
for m in region_reads_total region_writes_total; do
	metric_is $m 0 || fail "the server's $m is '$(metric $m)': it was asked for pages"
done
metric_is regions 1 || fail "the server has '$(metric regions)' regions"
load_for p ${HERMIT_ARG_SECONDS:-6} ${HERMIT_ARG_EVICTIONS:-2000}
end_load p
sample p 200
note "evictions $(evictions_seen p), $(report p | tail -n 2 | head -n 1)"
vm_ok p 60
[ "$(evictions_seen p)" -ge ${HERMIT_ARG_EVICTIONS:-2000} ] || fail "only $(evictions_seen p) evictions: this shows nothing"
wait_for 10 grep -q 'ended by its client' $W/m1.server.log
teardown
