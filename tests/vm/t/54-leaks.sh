# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=350 kvm=patched kvm-long=stock
# After a shutdown, a killed QEMU, and a killed QEMU with its server gone: no
# page, session or extent is left, and the modules unload.
. /src/tests/vm/vm-tests.sh
load="job=run -- hermit-guest-load --size 50M --threads 2 --write-ratio 0.5 --seconds"
run()	# run NAME SECONDS: a guest under load
{
	VM_APPEND="$load $2 --verify" hermit_vm "$1" 160 104 tcp:127.0.0.1:7471
	wait_report "$1" 120 '^up'
	wait_for 60 busy "$1"
	[ "$(metric backed_bytes)" -gt 0 ] || fail "$1: nothing is on the server: this shows nothing"
}
busy() { [ "$(hermit_stat "$1" counters.fetches)" -gt 500 ]; }
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 512M --metrics 127.0.0.1:9000
# empty WHEN: the server has nothing of it any more
empty()
{
	wait_for 20 metric_is regions 0
	metric_is backed_bytes 0 || fail "$1: the server still has $(metric backed_bytes) bytes"
}
run warm 300
end_load warm
vm_ok warm 150
empty "after a shutdown"
before=$(free_kib)
run quit 300
stop_vm quit
empty "after quit"
run killed 300
kill_vm killed
empty "after QEMU was killed"
wait_given_back "$before" 8192
# The server goes first, then QEMU.
run orphan 300
kill_memserver m1
sleep 2
kill_vm orphan
teardown
