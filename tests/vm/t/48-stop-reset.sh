# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=500 kvm=patched long light log-ok='potentially unexpected fatal signal 7'
# A stall while QEMU's main loop waits for a page itself, in a command that
# reads the guest's memory: the event comes, and the virtual CPUs are out of the
# guest, before there is a page again. Then pages are lost, and a reset gives a
# machine that boots, with none lost: q35 and i440fx, whose firmware had a copy
# of itself in the guest's memory. A disk that the main loop serves is warned of.
# The one with an iothread is given up by the guest's driver: an iothread that
# finds its queue in a lost page ends QEMU (docs/operators.md).
. /src/tests/vm/vm-tests.sh

# start NAME OPTION...: a loaded guest of 2 CPUs and a disk that is all zeros;
# what its second monitor says goes to $W/NAME.events
start()
{
	local name=$1
	shift
	HERMIT_OBJECT=,fault-timeout=20000 VM_CPUS=2 \
	VM_APPEND="job=run -- sh -c \"$UNBIND exec hermit-guest-load --size 72M --threads 2 --write-ratio 0.5 --verify --seconds 1000\"" \
		hermit_vm $name 160 64 tcp:127.0.0.1:7471 -blockdev null-co,node-name=null,size=1048576,read-zeroes=on \
		-action reboot=reset -chardev socket,id=qmp2,path=$W/$name.qmp2,server=on,wait=off -mon chardev=qmp2,mode=control "$@"
	wait_for 20 test -S $W/$name.qmp2
	echo '{"execute": "qmp_capabilities"}' > $W/hello
	socat -,ignoreeof UNIX-CONNECT:$W/$name.qmp2 < $W/hello > $W/$name.events &
}
loaded() { [ "$(hermit_stat $1 counters.fetches)" -gt $2 ]; }
status() { qmp $1 query-status | grep -q "\"status\": \"$2\""; }
# ups NAME N: it booted N times
ups() { [ "$(grep -c '^up' $W/$1.report)" -ge $2 ]; }
# in_guest NAME: a thread of a virtual CPU is in KVM_RUN, or runs
in_guest()
{
	local t
	for t in $(cat $W/$1.threads); do
		! grep -Eq '^16 0x[0-9a-f]+ 0xae80 |^running' "/proc/$(vm_pid $1)/task/$t/syscall" || return 0
	done
	return 1
}
outside() { ! in_guest $1; }

trap 'cp $W/*.events /out/ 2>/dev/null || true' EXIT
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
SERVER=$(cat $W/m1.memserver)
UNBIND=
start q -device virtio-blk-pci,drive=null,id=disk0
UNBIND='cd /sys/bus/virtio/drivers/virtio_blk && echo virtio* > unbind && echo unbound;'
start p -machine pc -object iothread,id=io -device virtio-blk-pci,drive=null,id=disk0,iothread=io
for n in q p; do
	wait_report $n 150 '^up'
	wait_for 60 loaded $n 500
done
report p | grep -q '^unbound' || fail "the driver of p's disk is still there: $(report p | head -n 3)"
grep -q "hermit-memory 'ram0': disk 'disk0' has no iothread" $W/q.qemu || fail "no word of a disk without an iothread: $(cat $W/q.qemu)"
! grep 'has no iothread' $W/p.qemu || fail "it has one"

# --- the main loop waits for a page
qmp q query-cpus-fast | python3 -I -c 'import json, sys; print(*(c["thread-id"] for c in json.load(sys.stdin)["return"]))' > $W/q.threads
wait_for 20 in_guest q		# or the check below cannot fail
kill -STOP $SERVER
qmp q "{\"execute\": \"pmemsave\", \"arguments\": {\"val\": $((32 << 20)), \"size\": $((64 << 20)), \"filename\": \"$W/dump\"}}" > $W/dumped 2>&1 &
DUMP=$!
for n in q p; do
	wait_for 60 told $n HERMIT_MEMORY_STALL '"action": "stop"'
done
wait_for 20 outside q
! told q STOP || fail "the main loop did not wait: this shows nothing"
kill -CONT $SERVER
wait_for 60 gone $DUMP
wait $DUMP || fail "pmemsave: $(cat $W/dumped)"
rm $W/dump
for n in q p; do
	wait_for 30 told $n STOP
	status $n io-error || fail "after a stall $n is $(qmp $n query-status)"
	qmp $n cont > /dev/null
	wait_for 60 loaded $n $(($(hermit_stat $n counters.fetches) + 100))
done

# --- pages are lost
kill_memserver m1
start_memserver m2 tcp:127.0.0.1:7471 --capacity 1G
for n in q p; do
	wait_for 60 told $n HERMIT_MEMORY_PAGES_LOST '"action": "stop"'
	stopped() { status $n io-error; }
	wait_for 20 stopped
	note "$n: $(hermit_stat $n lost) pages lost"
	holds $n 'every[0]["lost"] > 0' || fail "$n: no page lost"
	qmp $n system_reset cont > /dev/null
done
for n in q p; do
	wait_for 150 ups $n 2
	holds $n 'every[0]["lost"] == 0' || fail "$n: $(hermit_stat $n lost) pages are lost after the reset"
	wait_for 60 loaded $n $(($(hermit_stat $n counters.fetches) + 100))
	! grep '^t ' $W/$n.report | grep -v ' mismatches 0 ' || fail "$n: mismatches"
done
