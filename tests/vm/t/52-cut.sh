# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=600 kvm=patched
# The link to the server is cut under load, for 20 s at least, and given back. The
# guest stalls and goes on, nothing is wrong afterwards, and meanwhile QMP answers,
# stop and cont work, and QEMU maps and unmaps memory: with an idle QEMU always.
# With disk traffic QEMU's main thread, which answers QMP, may want a page of the
# guest itself (docs/architecture.md, section 5): then it is reported.
. /src/tests/vm/vm-tests.sh
# milliseconds that one QMP command takes
answer_ms()
{
	local t=$(date +%s%N)
	qmp "$@" > /dev/null || fail "QMP: $*"
	echo $((($(date +%s%N) - t) / 1000000))
}
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
PLUG='{"execute": "object-add", "arguments": {"qom-type": "memory-backend-ram", "id": "x", "size": 1048576}}'
UNPLUG='{"execute": "object-del", "arguments": {"id": "x"}}'
for traffic in none disk; do
	case $traffic in
	# cont looks into every queue that QEMU's main thread serves, unless it has
	# no ioeventfd: that page of the guest may be at the server.
	none) set -- -global virtio-serial-pci.ioeventfd=off ;;
	disk)	hermit-guest-load --make $W/disk --size 8M || fail "cannot make the pattern disk"
		set -- -object iothread,id=io -drive "file=$W/disk,format=raw,if=none,id=d,cache=none,aio=threads" \
			-device virtio-blk-pci,drive=d,iothread=io ;;
	esac
	load="hermit-guest-load --size 70M --threads 2 --write-ratio 0.5 --seconds 1000 --verify"
	case $traffic in
	# An idle QEMU has no report to take from the guest either, nor a port of its
	# that is opened: the load has both behind it.
	none) load="sh -c \"echo begins; $load > /log || { tail /log; false; }\"" ;;
	disk) load="$load --dio /dev/vda" ;;
	esac
	VM_APPEND="job=run -- $load" HERMIT_OBJECT=,fault-timeout=600000,other-memory=x hermit_vm $traffic 160 72 tcp:127.0.0.1:7471 "$@"
	# The disk's traffic begins with the load.
	case $traffic in
	none) wait_report $traffic 120 '^begins' ;;
	disk) wait_report $traffic 220 '^t ' ;;
	esac
	busy() { [ "$(hermit_stat $traffic counters.fetches)" -gt 500 ]; }
	wait_for 100 busy
	waits=$(hermit_stat $traffic counters.waits-in-kvm)
	cut_link
	stalled() { [ "$(hermit_stat $traffic servers.0.state)" = reconnecting ]; }
	case $traffic in
	none)
		wait_for 60 stalled
		before=$(hermit_stat $traffic counters.fetches)
		worst=0 answers=0 begin=$(cut -d. -f1 /proc/uptime)
		# enough answers, however long that takes: one that waited for the
		# link would wait for ever
		while [ $answers -lt 12 ] || [ "$(cut -d. -f1 /proc/uptime)" -lt $((begin + 20)) ]; do
			for command in query-hermit-memory "$PLUG" stop query-status cont "$UNPLUG"; do
				ms=$(answer_ms $traffic "$command")
				answers=$((answers + 1))
				[ $ms -le $worst ] || worst=$ms
			done
			stalled || fail "the server is $(hermit_stat $traffic servers.0.state), not reconnecting"
			sleep 1
		done
		mend_link
		note "none: $answers QMP answers while stalled, the slowest after $worst ms" ;;
	disk)
		( sleep 20; mend_link ) &
		link=$!
		before=$(hermit_stat $traffic counters.fetches)
		note "disk: QMP answered after $(answer_ms $traffic query-status) ms while stalled, or when the link was back"
		wait $link ;;
	esac
	qmp $traffic cont > /dev/null || fail "$traffic: cont"
	note "$traffic: $(($(hermit_stat $traffic counters.waits-in-kvm) - waits)) waits inside KVM, mmap_lock over 100 ms: $(hermit_stat $traffic counters.waits-mmap-long)"
	went_on() { grep -q '^exit' "$W/$traffic.report" || [ "$(hermit_stat $traffic counters.fetches)" -gt "$before" ]; }
	wait_for 60 went_on
	end_load $traffic
	vm_ok $traffic 150
done
teardown
