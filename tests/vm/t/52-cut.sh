# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=600 kvm=patched
# The link to the server is cut for 20 s under load and given back. The guest
# stalls and goes on, nothing is wrong afterwards, and meanwhile QMP answers
# and stop and cont work: with an idle QEMU, and with disk and network traffic.
. /src/tests/vm/vm-tests.sh
cut_link()
{
	nft add table inet cut
	nft add chain inet cut in '{ type filter hook input priority 0; }'
	nft add rule inet cut in tcp dport 7471 drop
	nft add rule inet cut in tcp sport 7471 drop
}
give_link() { nft delete table inet cut; }
# milliseconds that one QMP command takes
answer_ms()
{
	local t=$(date +%s%N)
	qmp "$@" > /dev/null || fail "QMP: $*"
	echo $((($(date +%s%N) - t) / 1000000))
}
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
for traffic in none disk; do
	case $traffic in
	none) set -- ;;
	disk)	hermit-guest-load --make $W/disk --size 8M || fail "cannot make the pattern disk"
		set -- -drive "file=$W/disk,format=raw,if=none,id=d,cache=none,aio=threads" -device virtio-blk-pci,drive=d \
			-netdev user,id=n -device virtio-net-pci,netdev=n,romfile= ;;
	esac
	load="hermit-guest-load --size 50M --threads 2 --write-ratio 0.5 --seconds 70 --verify"
	[ $traffic = none ] || load="$load --dio /dev/vda"
	VM_APPEND="job=run -- $load" hermit_vm $traffic 160 104 tcp:127.0.0.1:7471 "$@"
	wait_report $traffic 120 '^up'
	sleep 10
	waits=$(hermit_stat $traffic counters.waits-in-kvm)
	cut_link
	sleep 3
	before=$(hermit_stat $traffic counters.fetches)
	worst=0
	for i in 1 2 3; do
		for command in query-hermit-memory stop query-status cont; do
			ms=$(answer_ms $traffic $command)
			[ $ms -le $worst ] || worst=$ms
		done
		sleep 3
	done
	[ "$(hermit_stat $traffic servers.0.state)" = reconnecting ] || fail "$traffic: the server is $(hermit_stat $traffic servers.0.state), not reconnecting"
	sleep 5
	give_link
	! grep -q '^exit' "$W/$traffic.report" || fail "$traffic: the load ended before the link was back"
	long=$(hermit_stat $traffic counters.waits-mmap-long)
	note "$traffic: slowest QMP answer $worst ms while stalled, $(($(hermit_stat $traffic counters.waits-in-kvm) - waits)) waits inside KVM, mmap_lock over 100 ms: $long"
	[ "$long" = 0 ] || fail "$traffic: mmap_lock was held over 100 ms, $long times"
	went_on() { grep -q '^exit' "$W/$traffic.report" || [ "$(hermit_stat $traffic counters.fetches)" -gt "$before" ]; }
	wait_for 30 went_on
	vm_ok $traffic 150
done
teardown
