# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched
# 50-pattern over the compressed pool: a guest's pages are compressed and come
# back right, and the queries of QEMU tell what they take.
. /src/tests/vm/vm-tests.sh
load_hermit
VM_APPEND="job=run -- hermit-guest-load --size 150M --threads 4 --write-ratio 0.5 --seconds 1000 --verify" \
	hermit_vm p 288 96 local
wait_report p 120 '^up'
pool() { fields p servers.0.local-pool.{stored,same-filled,incompressible,compressed,ratio,compress-time,decompress-time} servers.0.used; }
stored() { set -- $(pool); [ "$1" -gt $((16 << 20)) ] && [ "$7" -gt 0 ]; }
wait_for 60 stored
set -- $(pool)
note "pool: stored $1 same-filled $2 incompressible $3 compressed $4 ratio $5 used $8"
[ "$4" -lt "$1" ] || fail "$1 bytes are stored as $4"
awk "BEGIN { exit !($5 > 1) }" || fail "ratio $5: nothing is saved"
qmp p 'hmp: info hermit' | grep -q 'local pool: ratio' || fail "info hermit: $(qmp p 'hmp: info hermit')"
load_for p ${HERMIT_ARG_SECONDS:-8} 2000
end_load p
sample p 200
n=$(evictions_seen p)
note "evictions $n, $(report p | tail -n 2 | head -n 1)"
vm_ok p 60
[ "$n" -ge 2000 ] || fail "only $n evictions: this shows nothing"
teardown
