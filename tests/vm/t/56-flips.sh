# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched
# Every technique is switched on and off at random while a guest checks its
# pattern: over the local pool, where most pages move, and over TCP, where
# reads are asynchronous. Nothing comes back wrong, refused values change
# nothing, and the scheduler's marks follow the limit.
. /src/tests/vm/vm-tests.sh
policy() { qmp "$1" "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/objects/ram0\",\"property\":\"$2\",\"value\":$3}}"; }
policy_of() { qmp "$1" "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/objects/ram0\",\"property\":\"$2\"}}"; }
# one random switch
flip()
{
	case $((RANDOM % 7)) in
	0) set -- "$1" eager-fetch $([ $((RANDOM % 2)) = 0 ] && echo true || echo false) ;;
	1) set -- "$1" async-io $([ $((RANDOM % 2)) = 0 ] && echo true || echo false) ;;
	2) set -- "$1" prefetch $((RANDOM % 33)) ;;
	3) set -- "$1" batch $((RANDOM % 32 + 1)) ;;
	4) set -- "$1" fixed-threads $((RANDOM % 5)) ;;
	5) modes=(auto spin park); set -- "$1" wait "\"${modes[RANDOM % 3]}\"" ;;
	6) modes=(auto on off); set -- "$1" async-pf "\"${modes[RANDOM % 3]}\"" ;;
	esac
	# QEMU closes its monitor a moment before it ends.
	policy "$@" > /dev/null || (wait_for 10 over_with "$1") || fail "$*"
	flips=$((flips + 1))
}

RANDOM=${HERMIT_ARG_SEED:-1}
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
for run in "local 256 64 150M local:plain" "tcp 192 112 100M tcp:127.0.0.1:7471"; do
	set -- $run
	flips=0
	VM_APPEND="job=run -- hermit-guest-load --size $4 --threads 4 --write-ratio 0.5 --seconds 1000 --verify" \
		hermit_vm $1 $2 $3 $5 -action reboot=shutdown
	wait_report $1 120 '^up'
	for bad in "batch 0" "batch 33" "prefetch 33" "fixed-threads 5" 'wait "often"' 'async-pf "often"'; do
		! policy $1 $bad > /dev/null || fail "$1: $bad was accepted"
	done
	policy_of $1 batch | grep -q '"return": 32' || fail "a refused batch changed it: $(policy_of $1 batch)"
	# enough over the local pool, however slow this machine is
	[ $1 = local ] && enough=${HERMIT_ARG_EVICTIONS:-50000} || enough=0
	load_for $1 ${HERMIT_ARG_SECONDS:-12} $enough flip $1
	end_load $1
	sample $1 200
	n=$(evictions_seen $1)
	note "$1: $n evictions under $flips flips, $(report $1 | tail -n 2 | head -n 1)"
	vm_ok $1 60
	[ "$n" -ge $enough ] || fail "only $n evictions: this shows nothing"
done
teardown
