# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=600 kvm=patched
# The link to the server is cut for 20 s under load and given back. The guest
# stalls and goes on, nothing is wrong afterwards, and meanwhile QMP answers
# and stop and cont work: with an idle QEMU always. With disk and network traffic
# QEMU's main thread, which answers QMP, may want a page of the guest itself
# (docs/architecture.md, section 5): then it is reported.
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
		set -- -object iothread,id=io -drive "file=$W/disk,format=raw,if=none,id=d,cache=none,aio=threads" \
			-device virtio-blk-pci,drive=d,iothread=io \
			-netdev user,id=n -device virtio-net-pci,netdev=n,romfile= ;;
	esac
	load="hermit-guest-load --size 50M --threads 2 --write-ratio 0.5 --seconds 70 --verify"
	[ $traffic = none ] || load="$load --dio /dev/vda"
	VM_APPEND="job=run -- $load" hermit_vm $traffic 160 104 tcp:127.0.0.1:7471 "$@"
	wait_report $traffic 120 '^up'
	sleep 10
	waits=$(hermit_stat $traffic counters.waits-in-kvm)
	cut_link
	( sleep 20; give_link ) &
	link=$!
	sleep 3
	before=$(hermit_stat $traffic counters.fetches)
	worst=0 answers=0 late=0 state=
	while kill -0 $link 2> /dev/null; do
		for command in query-hermit-memory stop query-status cont; do
			ms=$(answer_ms $traffic $command)
			kill -0 $link 2> /dev/null || { late=$ms; break; }
			answers=$((answers + 1))
			[ $ms -le $worst ] || worst=$ms
		done
		last=$(hermit_stat $traffic servers.0.state)
		! kill -0 $link 2> /dev/null || state=$last
		sleep 2
	done
	qmp $traffic cont > /dev/null || fail "$traffic: cont"
	! grep -q '^exit' "$W/$traffic.report" || fail "$traffic: the load ended before the link was back"
	long=$(hermit_stat $traffic counters.waits-mmap-long)
	note "$traffic: $answers QMP answers while stalled, the slowest after $worst ms, $late ms for the one that saw it come back; $(($(hermit_stat $traffic counters.waits-in-kvm) - waits)) waits inside KVM, mmap_lock over 100 ms: $long"
	if [ $traffic = none ]; then
		# one that waits for a page waits until the link is back
		[ $answers -ge 8 ] || fail "only $answers answers while the link was cut: this shows nothing"
		[ "$state" = reconnecting ] || fail "the server is $state, not reconnecting"
	fi
	[ "$long" = 0 ] || fail "$traffic: mmap_lock was held over 100 ms, $long times"
	went_on() { grep -q '^exit' "$W/$traffic.report" || [ "$(hermit_stat $traffic counters.fetches)" -gt "$before" ]; }
	wait_for 30 went_on
	vm_ok $traffic 150
done
teardown
