# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=200 kvm=stock light
# expect: ok
# The check of a VM's budget fails when the budget is exceeded, when a figure has
# another name, when QEMU refuses or does not answer, and when nothing was read.
. /src/tests/vm/must-fail.sh
. /src/tests/vm/vm-tests.sh
WAIT_LEAST=1

# say RESIDENT WHAT-THE-THIRD-FIGURE-IS-CALLED: an answer as QEMU gives it, which
# the monitor of f, that is no QEMU, gives from now on
say() { echo "{\"return\": [{\"resident\": $1, \"limit\": 4096, \"reclaim\": {\"$2\": 1}, \"counters\": {\"evicted-clean\": 1, \"evicted-dirty\": 2, \"evicted-zero\": 3}}]}" > $W/answer; }
cat > $W/monitor <<-END
	echo '{"QMP": {}}'
	read -r capabilities
	echo '{"return": {}}'
	read -r query
	cat $W/answer
END
socat "UNIX-LISTEN:$W/f.qmp,fork" "EXEC:sh $W/monitor" &
MONITOR=$!
: > $W/f.report
right() { say 4096 threads-max; sample f 1; [ "$(evictions_seen f)" = 6 ] && [ "$(evictions f)" = 6 ] || fail "$(evictions_seen f) evictions and not 6"; }
(right) || fail "a budget that holds fails: $(cat /out/reason)"
rm $W/f.samples
high() { say $((4096 + 32 * 4096 + 1)) threads-max; sample f 1; }
must_fail 'resident 135169 above the limit' high
renamed() { say 4096 threads-most; sample f 1; }
must_fail "cannot be read: KeyError: 'threads-max'" renamed
none() { echo '{"return": []}' > $W/answer; sample f 1; }
must_fail 'cannot be read: IndexError' none
over() { echo 'exit 0' > $W/f.report; sample f 1; }
must_fail 'was never read' over
kill $MONITOR

VM_KERNEL=none start_vm v -m 16M
must_fail 'cannot be read' check_budget v		# it has no hermit memory
export QMP_SECONDS=3
kill -STOP "$(vm_pid v)"
must_fail 'cannot be read: .*timed out' check_budget v
kill -CONT "$(vm_pid v)"
# and one that is gone is no failure
stop_vm v
check_budget v
