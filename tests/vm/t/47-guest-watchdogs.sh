# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched long light
# A server that is silent for 35 s, which is more than Linux lets pass as a
# slow CPU: guests with the watchdogs as they are by default, and a panic when
# they bite, notice nothing. With async page faults, and without. The log of a
# guest is looked at as every guest's is.
. /src/tests/vm/vm-tests.sh
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
SERVER=$(cat $W/m1.memserver)
for async in on off; do
	HERMIT_OBJECT=,async-pf=$async VM_CPUS=2 \
	VM_APPEND="watchdog_thresh=10 rcupdate.rcu_cpu_stall_timeout=21 softlockup_panic=1 job=run -- hermit-guest-load --size 72M --threads 2 --write-ratio 0.5 --verify --seconds 1000" \
		hermit_vm $async 160 64 tcp:127.0.0.1:7471
done
for async in on off; do
	wait_report $async 150 '^up'
	busy() { [ "$(hermit_stat $async counters.fetches)" -gt 500 ]; }
	wait_for 60 busy
done
kill -STOP $SERVER
# QMP would be asked through QEMU's own thread, which may want a page itself
sleep 35
kill -CONT $SERVER
for async in on off; do
	n=$(grep -c "^t " $W/$async.report) || true
	goes_on() { [ "$(grep -c '^t ' $W/$async.report)" -gt $((n + 3)) ]; }
	wait_for 60 goes_on
	! grep '^t ' $W/$async.report | grep -v ' mismatches 0 ' || fail "$async: mismatches"
done
# or nothing was shown
holds off 'any(v["stall-time"] > 30e9 for v in every[0]["vcpus"])' || fail "no vCPU waited for 30 s: $(qmp off query-hermit-memory)"
