# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=1200 kvm=patched
# Every technique off, then on one after the other, while the same load runs in
# the same guest over TCP: uniform accesses of four threads, and one that goes
# through the memory in order. In the end everything is off again: what that row
# differs by from the first is the drift of the run, no technique's merit.
. /src/tests/vm/vm-tests.sh
WINDOW=${HERMIT_ARG_WINDOW:-12}
policy() { qmp "$1" "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/objects/ram0\",\"property\":\"$2\",\"value\":$3}}" > /dev/null || fail "$*"; }
now() { fields v counters.fetches counters.prefetches counters.prefetch-hits counters.direct-reclaims counters.room-waits counters.zap-batches counters.zapped counters.parked counters.spun counters.conflicts counters.async-faults; }
# one window: the median of the seconds' figures, and what was counted
window()
{
	local step=$1 first last
	sleep 3			# the last policy's requests are through
	set -- $(now)
	first=$(grep -c '^t ' "$W/v.report")
	sleep "$WINDOW"
	last=$(grep -c '^t ' "$W/v.report")
	set -- "$@" $(now)
	note "load $pattern with $step $(grep '^t ' "$W/v.report" | sed -n "$((first + 1)),${last}p" | python3 -I -c '
import statistics, sys
lines = [l.split() for l in sys.stdin]
def median(key):
    return statistics.median(float(l[l.index(key) + 1]) for l in lines)
print("ops/s %.0f p50-us %.0f p99-us %.0f" % (median("ops/s"), median("p50-us"), median("p99-us")))') fetches $((${12} - $1)) prefetches $((${13} - $2)) hits $((${14} - $3)) direct $((${15} - $4)) room-waits $((${16} - $5)) per-batch $(((${18} - $7) / (${17} - $6 + 1))) parked $((${19} - $8)) spun $((${20} - $9)) conflicts $((${21} - ${10})) async-pf $((${22} - ${11}))"
}
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
for pattern in uniform seq; do
	[ $pattern = uniform ] && threads=4 || threads=1
	HERMIT_OBJECT=,eager-fetch=off,async-io=off,prefetch=0,batch=1,fixed-threads=1,wait=park,async-pf=off \
	VM_APPEND="job=run -- hermit-guest-load --size 120M --threads $threads --pattern $pattern --write-ratio 0.3 --seconds 100000" \
		hermit_vm v 224 112 tcp:127.0.0.1:7471
	wait_report v 120 '^up'
	wait_report v 120 '^t '
	sleep ${HERMIT_ARG_WARM_UP:-30}	# the load takes the limit over from the boot
	window none
	policy v batch 32
	window batch
	policy v async-io true
	window async-io
	policy v eager-fetch true
	window eager-fetch
	policy v wait '"auto"'
	window wait
	policy v fixed-threads 0
	window scheduler
	policy v prefetch ${HERMIT_ARG_PREFETCH:-32}
	window prefetch
	policy v async-pf '"auto"'
	window async-pf
	for off in eager-fetch=false async-io=false prefetch=0 batch=1 fixed-threads=1 wait='"park"' async-pf='"off"'; do
		policy v "${off%%=*}" "${off#*=}"
	done
	window none-again
	stop_vm v
done
teardown
