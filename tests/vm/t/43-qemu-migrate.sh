# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=500 kvm=patched kvm-long=stock
# A guest on hermit memory is saved by a precopy migration to a file and goes
# on from it, on ordinary memory and on hermit memory with a lower limit: what
# it kept is right, and nowhere is more resident than the limit.
. /src/tests/vm/vm-tests.sh
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
JOB='yes hermit | head -c 16777216 > /f; while :; do md5sum < /f; sleep 1; done'
SUM=$(yes hermit | head -c 16777216 | md5sum) || true	# yes ends by SIGPIPE
hermit() { echo "-object hermit-memory,id=ram0,size=128M,limit=$1,server=tcp:127.0.0.1:7471"; }
migrated() { qmp $1 query-migrate | grep -q '"status": "completed"'; }
below() { [ "$(hermit_stat $1 resident-max)" -le $(($2 + 4 * 32 * 4096)) ]; }

VM_APPEND="job=run -- sh -c \"$JOB\"" start_vm a -m 128M -machine q35,memory-backend=ram0 $(hermit 48M)
wait_report a 240 '^[0-9a-f]{32}'
qmp a '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 1000000000}}' \
	"{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"file:$W/state\"}}" || fail "migrate"
wait_for 150 migrated a
below a $((48 << 20)) || fail "while it was saved $(hermit_stat a resident-max) were resident"
stop_vm a
[ "$(report a | grep -c "^$SUM")" -gt 0 ] || fail "before: $(report a | tail -n 1)"

for to in ordinary hermit; do
	case $to in
	ordinary) ram="-object memory-backend-memfd,id=ram0,size=128M" ;;
	hermit) ram=$(hermit 32M) ;;
	esac
	VM_APPEND="job=run -- sh -c \"$JOB\"" start_vm $to -m 128M -machine q35,memory-backend=ram0 $ram \
		-incoming "file:$W/state"
	wait_report $to 240 '^[0-9a-f]{32}'
	[ "$(report $to | grep -Em 1 '^[0-9a-f]{32}')" = "$SUM" ] || fail "on $to memory: $(report $to | tail -n 1), not $SUM"
	[ $to = ordinary ] || below $to $((32 << 20)) || fail "$(hermit_stat $to resident-max) were resident on the way in"
	stop_vm $to
done
