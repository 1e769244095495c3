# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched
# Reading ahead: a guest that goes through its memory in order finds most pages
# already there, and one that jumps about is left alone. So does a host thread.
. /src/tests/vm/vm-tests.sh
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
# over the time of the load; the fill before it goes in order as well
for pattern in seq uniform; do
	VM_APPEND="job=run -- hermit-guest-load --size 120M --threads 1 --pattern $pattern --write-ratio 0.2 --seconds 1000 --verify" \
		hermit_vm $pattern 224 112 tcp:127.0.0.1:7471
	wait_report $pattern 150 '^t '
	set -- $(fields $pattern counters.fetches counters.prefetches counters.prefetch-hits)
	enough() { [ $(($(fields $pattern counters.fetches counters.prefetches | sed 's/ / + /'))) -ge "$1" ]; }
	wait_for 100 enough $(($1 + $2 + 1000))
	set -- "$@" $(fields $pattern counters.fetches counters.prefetches counters.prefetch-hits)
	fetches=$(($4 - $1)) ahead=$(($5 - $2)) hits=$(($6 - $3))
	note "$pattern: $fetches waited for, $ahead read ahead, $hits of them used"
	[ $((fetches + ahead)) -ge 500 ] || fail "$pattern: only $fetches fetches and $ahead pages ahead: this shows nothing"
	case $pattern in
	seq)	[ $hits -gt $fetches ] || fail "in order: only $hits pages were there in time, $fetches were waited for"
		[ $((hits * 2)) -gt $ahead ] || fail "in order: only $hits of $ahead pages read ahead were used" ;;
	uniform) [ $((ahead * 5)) -lt $fetches ] || fail "at random: $ahead pages were read ahead for $fetches that were waited for" ;;
	esac
	if [ $pattern = uniform ]; then
		set -- $(fields $pattern counters.fetches counters.prefetches counters.prefetch-hits)
		qmp $pattern stop > /dev/null
		qmp $pattern "{\"execute\": \"pmemsave\", \"arguments\": {\"val\": $((16 << 20)), \"size\": $((192 << 20)), \"filename\": \"$W/memory\"}}" > /dev/null || fail pmemsave
		set -- "$@" $(fields $pattern counters.fetches counters.prefetches counters.prefetch-hits)
		qmp $pattern cont > /dev/null
		note "QEMU reads the memory: $(($4 - $1)) waited for, $(($5 - $2)) read ahead, $(($6 - $3)) of them used"
		[ $(($6 - $3)) -gt $(($4 - $1)) ] || fail "QEMU waited for $(($4 - $1)) pages, and $(($6 - $3)) were there in time"
		rm $W/memory
	fi
	end_load $pattern
	vm_ok $pattern 120
done
teardown
