# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=600 kvm=patched long
# A server that stops answering: with on-stall=stop the VM is stopped by an
# event that says why, and cont goes on once the server is back; with kill
# QEMU ends. A server that comes back empty: the lost pages are told and the
# VM is stopped, alive for the monitor.
. /src/tests/vm/vm-tests.sh
LOAD='hermit-guest-load --size 40M --threads 2 --write-ratio 0.5 --verify --seconds'

# start NAME SECONDS OPTIONS: a loaded guest; what its second monitor says goes
# to $W/NAME.events
start()
{
	local name=$1 seconds=$2
	# Silent once it has begun, and no queue that QEMU's main thread serves: that
	# would want a page of the guest while there is no server, as 52-cut says.
	VM_APPEND="job=run -- sh -c \"echo begins; $LOAD $seconds > /log || { tail /log; false; }\"" VM_CPUS=2 start_vm $name -global virtio-serial-pci.ioeventfd=off -m 136M -machine q35,memory-backend=ram0 \
		-object hermit-memory,id=ram0,size=136M,limit=64M,server=tcp:127.0.0.1:7471,fault-timeout=8000$3 \
		-chardev socket,id=qmp2,path=$W/$name.qmp2,server=on,wait=off -mon chardev=qmp2,mode=control
	wait_for 20 test -S $W/$name.qmp2
	echo '{"execute": "qmp_capabilities"}' > $W/hello
	socat -,ignoreeof UNIX-CONNECT:$W/$name.qmp2 < $W/hello > $W/$name.events &
	wait_for 20 grep -q '"return"' $W/$name.events
	wait_report $name 150 '^begins'
	busy() { [ "$(hermit_stat $name counters.fetches)" -gt 500 ]; }
	wait_for 60 busy
}
# told NAME EVENT REGEX
told() { grep "\"$2\"" $W/$1.events | grep -Eq "${3:-.}"; }
status() { qmp $1 query-status | grep -q "\"status\": \"$2\""; }

trap 'cp $W/*.events /out/ 2>/dev/null || true' EXIT
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
SERVER=$(cat $W/m1.memserver)

start s 30 ''
kill -STOP $SERVER
wait_for 60 told s HERMIT_MEMORY_STALL '"action": "stop"'
wait_for 10 told s STOP
status s io-error || fail "after a stall the VM is $(qmp s query-status)"
wait_for 30 told s HERMIT_MEMORY_SERVER_STATE reconnecting
qmp s "hmp: info hermit" | grep -q reconnecting || fail "info hermit: $(qmp s "hmp: info hermit")"
kill -CONT $SERVER
back() { [ "$(hermit_stat s servers.0.state)" = up ]; }
wait_for 30 back
wait_for 10 told s HERMIT_MEMORY_STALL '"ended"'
qmp s cont > /dev/null || fail cont
wait_report s 150 '^exit'
report s | grep -q '^exit 0' || fail "the load after a stall: $(report s | tail -n 2)"
grep -v '"return"' $W/s.events
wait_vm_end s 60

start k 1000 ,on-stall=kill
kill -STOP $SERVER
wait_for 60 vm_died k
kill -CONT $SERVER
told k HERMIT_MEMORY_STALL '"action": "kill"' || fail "QEMU was killed without an event: $(cat $W/k.events)"
[ "$(cat $W/k.exit)" = 1 ] && grep -q "hermit-memory 'ram0': no page arrived for .* on-stall=kill" $W/k.qemu ||
	fail "QEMU ended with $(cat $W/k.exit): $(cat $W/k.qemu)"
wait_vm_end k 10 1

start l 1000 ''
kill_memserver m1
start_memserver m2 tcp:127.0.0.1:7471 --capacity 1G
wait_for 60 told l HERMIT_MEMORY_PAGES_LOST '"action": "stop"'
wait_for 10 told l STOP
status l io-error || fail "after pages were lost the VM is $(qmp l query-status)"
[ "$(hermit_stat l lost)" -gt 0 ] || fail "lost is $(hermit_stat l lost)"
grep -v '"return"' $W/l.events
stop_vm l
