# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched
# Async page faults: while a page is on its way a guest of one CPU runs other
# tasks, whose pages are then on their way as well. The same load without them
# beside it. A VM that is killed while such faults wait for a server that is
# gone leaves nothing behind.
. /src/tests/vm/vm-tests.sh
# page faults of the guest that KVM saw, by way of an exit each
exits()
{
	qmp "$1" '{"execute": "query-stats", "arguments": {"target": "vcpu", "providers": [{"provider": "kvm", "names": ["pf_taken"]}]}}' |
		python3 -I -c 'import json, sys; print(sum(s["value"] for v in json.load(sys.stdin)["return"] for s in v["stats"]))'
}
load_hermit
modprobe sch_netem || skip "this kernel has no netem"
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
ip link set lo up
HERMIT_OBJECT=,async-pf=on \
VM_APPEND="job=run -- hermit-guest-load --size 150M --threads 6 --write-ratio 0.3 --seconds 1000" \
	hermit_vm a 256 112 tcp:127.0.0.1:7471 -smp 1
wait_report a 150 '^t '
# a page takes 20 ms: long beside what the emulator makes of everything else
tc qdisc add dev lo root netem delay 10ms
for way in on off; do
	qmp a "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/objects/ram0\",\"property\":\"async-pf\",\"value\":\"$way\"}}" > /dev/null
	sleep 1
	set -- $(fields a counters.fetches counters.async-faults counters.parked)
	exits=$(exits a)
	enough() { [ "$(fields a counters.fetches)" -ge "$1" ]; }
	wait_for 120 enough $(($1 + 400))
	# the exits' window lies within the fetches'
	exits=$(($(exits a) - exits))
	set -- "$@" $(fields a counters.fetches counters.async-faults counters.parked)
	note "$way: $(($4 - $1)) pages fetched, $(($5 - $2)) async page faults, $(($6 - $3)) parked, $exits exits for a page"
	case $way in
	on)	[ $((($5 - $2) * 2)) -gt $(($4 - $1)) ] || fail "on: $(($5 - $2)) async page faults among $(($4 - $1)) fetches" ;;
	off)	[ "$5" = "$2" ] || fail "off: $(($5 - $2)) async page faults"
		# a page that is there after the sleep is mapped without asking the guest again
		[ $((exits * 10)) -le $((($4 - $1) * 15)) ] || fail "off: $exits exits for $(($4 - $1)) fetches" ;;
	esac
done
tc qdisc del dev lo root
qmp a '{"execute":"qom-set","arguments":{"path":"/objects/ram0","property":"async-pf","value":"on"}}' > /dev/null
sleep 3

# The server is gone for good: faults wait, and nothing waits for them. Nobody
# asks QEMU, whose own thread may want a page of the guest's rings.
waiting() { hermitctl stat ram0 --json | python3 -I -c 'import json, sys; print(json.load(sys.stdin)[0]["in-flight"] // 4096)'; }
# A guest whose kernel wants such a page itself can run no other task.
several()
{
	local i
	cut_link
	for i in $(seq 40); do
		! [ "$(waiting)" -gt 1 ] || return 0
		sleep 0.5
	done
	mend_link
	sleep 2
	return 1
}
wait_for 120 several
note "the server is gone: $(waiting) pages are waited for, by six threads"
grep -q '^t .* mismatches 0 ' $W/a.report || fail "the load says nothing"
! grep '^t ' $W/a.report | grep -v ' mismatches 0 ' || fail "mismatches"
kill_vm a
mend_link
teardown
