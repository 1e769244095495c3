# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G smp=1 timeout=300 kvm=patched light
# The estimate of the working set, of a guest that has all its memory here: 80
# MiB that were written once grow old, 48 MiB under load stay young, and when
# the load ends they grow old as well.
. /src/tests/vm/vm-tests.sh
MIB=$((1 << 20))
load_hermit idle_period_ms=500
VM_APPEND='page_poison=0 job=run -- sh -c "yes hermit | head -c 83886080 > /f; echo filled; hermit-guest-load --size 48M --threads 1 --write-ratio 0.2 --seconds 1000 --verify; sleep 1000"' \
	hermit_vm p 256 256 local
# working-set, and the rest: not accessed for 16 periods or more
idle() { fields p idle.working-set idle.histogram.{5,6,7,8} idle.sampled idle.busy idle.period remote 2> /dev/null | awk 'NF == 9 { print $1, $2 + $3 + $4 + $5, $6, $7, $8, $9 }'; }
wait_report p 120 '^filled'
# What the boot touched grows old as well, so this takes some periods longer
# than until the 80 MiB are old.
apart() { set -- $(idle); [ $# = 6 ] && [ "$1" -ge $((36 * MIB)) ] && [ "$1" -le $((96 * MIB)) ] && [ "$2" -ge $((64 * MIB)) ]; }
wait_for 100 apart
set -- $(idle)
note "under load: working set $(($1 / MIB)) MiB, older $(($2 / MIB)) MiB, of a sample of $(($3 / MIB)) MiB; $4 ns looking"
[ "$5" = 500000000 ] || fail "the period is $5 ns"
[ "$6" = 0 ] || fail "$6 bytes are remote: this is to be known before that"
[ "$4" -gt 0 ] || fail "looking took no time"
# the load may still be filling its memory
all() { set -- $(idle); total=$(($1 + $2)) touched=$(fields p local); [ $total -ge $((touched * 9 / 10)) ] && [ $total -le $((touched * 11 / 10)) ]; }
(wait_for 60 all) || { all || fail "$total bytes by age, $touched touched"; }
qmp p 'hmp: info hermit' | grep -q 'working set' || fail "info hermit: $(qmp p 'hmp: info hermit')"
end_load p
wait_report p 200 '^verdict'
report p | grep '^verdict' | grep -q ok || fail "the load: $(report p | tail -n 1)"
quiet() { set -- $(idle); [ $# = 6 ] && [ "$1" -le $((24 * MIB)) ]; }
wait_for 60 quiet
set -- $(idle)
note "after it: working set $(($1 / MIB)) MiB, older $(($2 / MIB)) MiB"
stop_vm p
teardown
