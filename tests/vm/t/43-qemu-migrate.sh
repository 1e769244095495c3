# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=3G timeout=600 kvm=patched kvm-long=stock
# A guest on hermit memory is saved to a file and goes on from it, on hermit
# memory with a lower limit and on ordinary memory; from there it migrates
# while it runs, by multifd and by precopy, to hermit memory and from it. What
# it kept is right everywhere, nowhere is more resident than the limit, and
# what was never touched is neither made by the source nor by the destination.
. /src/tests/vm/vm-tests.sh
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 2G
JOB='yes hermit | head -c 50331648 > /f; while :; do md5sum < /f; done'
SUM=$(yes hermit | head -c 50331648 | md5sum) || true	# yes ends by SIGPIPE
MIB=$((1 << 20))
hermit() { echo "-object hermit-memory,id=ram0,size=256M,limit=$1,server=tcp:127.0.0.1:7471"; }
ordinary="-object memory-backend-memfd,id=ram0,size=256M"
# vm NAME MEMORY ARGS...: it is the same machine on both sides
vm()
{
	local name=$1 memory=$2
	shift 2
	VM_APPEND="page_poison=0 job=run -- sh -c \"$JOB\"" start_vm $name -m 256M -machine q35,memory-backend=ram0 $memory "$@"
}
migrated() { qmp $1 query-migrate | grep -q '"status": "completed"'; }
below() { holds $1 "r['ram0']['resident-max'] <= ($2 << 20) + 4 * 32 * 4096" || fail "$1: $(hermit_stat $1 resident-max) were resident, above $2 MiB"; }
# what the guest said on this side, with more than the first sum
right() { wait_report $1 240 '^[0-9a-f]{32}'; ! grep -E '^[0-9a-f]{32}' $W/$1.report | grep -vqF "${SUM%% *}" || fail "$1: the guest read back $(report $1 | tail -n 1), not $SUM"; }
touched() { hermit_stat $1 counters.first-touch; }
caps() { echo "{\"execute\": \"migrate-set-capabilities\", \"arguments\": {\"capabilities\": [{\"capability\": \"multifd\", \"state\": $1}, {\"capability\": \"events\", \"state\": true}]}}"; }
FAST='{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 1000000000, "downtime-limit": 10000, "multifd-channels": 2}}'
# move FROM TO MULTIFD: TO waits with -incoming defer
move()
{
	local to="\"arguments\": {\"uri\": \"unix:$W/$2.mig\"}}"
	qmp $2 "$(caps $3)" "$FAST" "{\"execute\": \"migrate-incoming\", $to" > $W/answer || fail "$2: $(cat $W/answer)"
	qmp $1 "$(caps $3)" "$FAST" "{\"execute\": \"migrate\", $to" > $W/answer || fail "$1: $(cat $W/answer)"
	wait_for 200 migrated $1
	right $2
}

vm a "$(hermit 64M)"
right a
before=$(touched a)
qmp a "$FAST" "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"file:$W/state\"}}" || fail "migrate"
wait_for 150 migrated a
below a 64
# the guest ran and was not stopped at once, so not quite none
after=$(touched a)
note "saving a guest of 65536 pages: $before touched before, $((after - before)) more; $(($(stat -c %s $W/state) / MIB)) MiB"
[ $((after - before)) -le 4096 ] || fail "saving touched $((after - before)) pages"
stop_vm a

vm h "$(hermit 40M)" -incoming "file:$W/state"
right h
below h 40
note "restored with $(touched h) pages touched"
[ "$(touched h)" -le $((after + 4096)) ] || fail "$(touched h) pages were made by the restore, of a guest with $after"
row 'save (migration to a file)' 'works: remote pages are read without coming home'
row 'restore from a file' 'works: nothing is made of what was never touched'
stop_vm h
vm o "$ordinary" -incoming "file:$W/state"
right o
rm $W/state

vm h1 "$(hermit 40M)" -incoming defer
! qmp h1 '{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "postcopy-ram", "state": true}]}}' > $W/answer ||
	fail "a destination on hermit memory takes postcopy"
grep -q 'Postcopy is not supported' $W/answer || fail "postcopy: $(cat $W/answer)"
row postcopy refused
move o h1 true
below h1 40
stop_vm o
row 'multifd migration from ordinary memory' works

vm h2 "$(hermit 48M)" -incoming defer
move h1 h2 true
below h1 40
below h2 48
stop_vm h1
row 'multifd migration to hermit memory' works

vm h3 "$(hermit 40M)" -incoming defer
move h2 h3 false
below h2 48
below h3 40
note "precopy: h3 has $(touched h3) pages touched"
stop_vm h2
row 'precopy migration to hermit memory' works

vm o2 "$ordinary" -incoming defer
move h3 o2 false
below h3 40
stop_vm h3
row 'precopy migration to ordinary memory' works
stop_vm o2
rows_end
teardown
