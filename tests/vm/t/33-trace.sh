# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=240 kvm=none
# The tracepoints, through tracefs: what they tell of faults, evictions and the
# scheduler agrees with the counters, nothing is told while they are off, and
# the module unloads afterwards.
T=/sys/kernel/tracing
load_hermit
run() { region-stress --server local:plain --size 64 --limit 16 --threads 4 --ops "$1" > /out/stress || fail "$(cat /out/stress)"; }
counter() { sed -n "s/.*\b$1=\([0-9]*\).*/\1/p" /out/stress; }
# sum EVENT FIELD: over all events, the field count is 1 each
sum() { awk -v e="$1:" -v f="$2=" '$0 ~ " " e " " { n++; if ((i = index($0, " " f))) { s += substr($0, i + 1 + length(f)) + 0 } } END { print (f == "count=" ? n : s) + 0 }' /out/trace; }
same() { [ "$2" = "$3" ] || fail "$1: the trace says $2, the counter $3"; }
# reclaim may go on until the region ends, after the counters were read
about() { [ "$2" -ge "$3" ] && [ "$2" -le $(($3 + 1024)) ] || fail "$1: the trace says $2, the counter $3"; }

for e in hermit_fault hermit_first_touch hermit_evict hermit_sched; do
	[ "$(cat $T/events/hermit/$e/enable)" = 0 ] || fail "$e is on after loading"
done
echo 32768 > $T/buffer_size_kb
echo > $T/trace
run 500
! grep -q ': hermit_' $T/trace || fail "events while all is off: $(grep -m1 ': hermit_' $T/trace)"

echo 1 > $T/events/hermit/enable
run 6000
echo 0 > $T/events/hermit/enable
cat $T/trace > /out/trace
for s in $T/per_cpu/cpu*/stats; do
	grep -q '^overrun: 0' $s || fail "the trace buffer was too small: $(cat $s)"
done
grep -m3 hermit_fault: /out/trace
grep -m3 hermit_evict: /out/trace
grep -m3 hermit_sched: /out/trace
cat /out/stress

same first_touch "$(sum hermit_first_touch count)" "$(counter first_touch)"
same "timed faults" "$(sum hermit_fault count)" "$(counter timed)"
[ "$(counter timed)" -gt 100 ] || fail "only $(counter timed) faults: this shows nothing"
[ "$(counter clean)" -gt 100 ] && [ "$(counter zero)" -gt 100 ] || fail "too few evictions to show anything: $(cat /out/stress)"
about clean "$(sum hermit_evict clean)" "$(counter clean)"
about zero "$(sum hermit_evict zero)" "$(counter zero)"
# some are touched again while they are written
about written "$(sum hermit_evict written)" "$(counter dirty)"
about scanned "$(($(sum hermit_evict scanned) / 64))" "$(($(counter scanned) / 64))"
kept=$(sum hermit_evict kept) total=$(($(sum hermit_evict clean) + $(sum hermit_evict zero) + $(sum hermit_evict written)))
same "victims less those that went" "$(($(sum hermit_evict victims) - total))" "$kept"
note "$(sum hermit_fault count) faults, $(sum hermit_evict count) batches, $(sum hermit_sched count) decisions"

[ "$(sum hermit_sched count)" -gt 1 ] || fail "the scheduler decided nothing"
# from what was to what is wanted, within what there is
awk -v max="$(counter threads_max)" '/ hermit_sched: / {
	for (i = 1; i <= NF; i++) { split($i, f, "="); v[f[1]] = f[2] }
	if (v["before"] == v["threads"] || v["threads"] > max || v["limit"] != 4096 ||
	    v["low"] > v["high"] || v["high"] > v["limit"] || v["used"] > v["limit"]) { print; bad = 1 }
	} END { exit bad }' /out/trace || fail "scheduler decisions that cannot be"
# a page outside the region, or another region, would be a wrong field
awk '/ hermit_(fault|first_touch): / && ($0 !~ / region=stress / || !match($0, / page=[0-9]+/) || substr($0, RSTART + 6, RLENGTH - 6) + 0 >= 16384) { print; bad = 1 } END { exit bad }' /out/trace ||
	fail "events of a page that is not there"
rm /out/trace
teardown
