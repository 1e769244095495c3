# SPDX-License-Identifier: GPL-2.0-or-later
# For the tests of the rdma transport: as tcp.sh, with soft-RoCE.
. /src/tests/vm/tcp.sh
SCHEME=rdma
ADDR=10.9.0.1:7471
CLIENTS=/sys/kernel/debug/hermit_rdma_test
PARAMS=/sys/module/hermit_rdma/parameters

# setup_rxe_peer END: this end of the cable between two machines
#
#   10.9.0.2  link0, rxe0 of the test's machine (0) ─── link0, rxe0 of its peer (1)  10.9.0.1
#
# The peer takes READY_ADDR as well when its server listens.
READY_ADDR=10.9.0.9
setup_rxe_peer()
{
	local m
	for m in rdma_rxe ib_uverbs rdma_ucm; do
		modprobe $m || skip "no module $m in this kernel"
	done
	start_link 10.9.0.$((2 - $1))/24
	rdma link add rxe0 type rxe netdev link0
	wait_for 20 rxe_ready 0
}

# setup_rxe: two ends of a cable in one machine, an RDMA device each:
#
#   10.9.0.2, fd09::2   w0 ─── w1   10.9.0.1, fd09::1
#   hermit-rdma.ko     rxe0     rxe1     hermit-memserver
#
# What goes to an address of our own takes the cable only if the rules say so:
# the local table counts for what comes in, and after ours for what goes out.
#
# setup_rxe hop: with a router between them, IPv4 only. A packet that waits there
# has left soft-RoCE for good, which otherwise counts it and waits for it.
#
#   w0 ─── h0 10.9.0.3  netns hop  10.9.0.4 h1 ─── w1
setup_rxe()
{
	local m i via=()
	for m in veth rdma_rxe ib_uverbs rdma_ucm; do
		modprobe $m || skip "no module $m in this kernel"
	done
	ip link set lo up
	if [ "${1:-}" = hop ]; then
		ip netns add hop
		for i in 0 1; do
			ip link add w$i type veth peer name h$i netns hop
			ip -n hop addr add 10.9.0.$((3 + i))/32 dev h$i
			ip -n hop link set h$i up
			ip -n hop route add 10.9.0.$((2 - i)) dev h$i
			via[i]="via 10.9.0.$((3 + i)) onlink"
		done
		ip netns exec hop sysctl -qw net.ipv4.ip_forward=1
	else
		ip link add w0 type veth peer name w1
	fi
	for i in 0 1; do
		echo 0 > /proc/sys/net/ipv4/conf/w$i/rp_filter
		echo 1 > /proc/sys/net/ipv4/conf/w$i/accept_local
		ip addr add 10.9.0.$((2 - i))/32 dev w$i
		ip addr add fd09::$((2 - i))/128 dev w$i nodad
		ip link set w$i up
	done
	echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
	for i in -4 -6; do
		ip $i rule add pref 10 iif w0 lookup local
		ip $i rule add pref 10 iif w1 lookup local
		ip $i rule add pref 20 lookup 100
		ip $i rule add pref 30 lookup local
		ip $i rule del pref 0
	done
	# shellcheck disable=SC2086 # words
	for i in 0 1; do
		ip route add 10.9.0.$((1 + i)) ${via[i]:-} dev w$i src 10.9.0.$((2 - i)) table 100
		ip -6 route add fd09::$((1 + i)) dev w$i src fd09::$((2 - i)) table 100
	done
	for i in 0 1; do
		rdma link add rxe$i type rxe netdev w$i
		wait_for 20 rxe_ready $i
	done
}
rxe_ready() { rdma link show rxe$1/1 | grep -q 'state ACTIVE'; }

load_rdma()
{
	requires "$(module hermit-rdma)" "run kvm-module/build"
	[ -d /sys/module/hermit ] || load_hermit
	modprobe rdma_cm
	insmod "$(module hermit-rdma)" rdma_deadline_ms=$DEADLINE_MS
}

load_rdma_test()
{
	requires "$(module hermit-rdma-test)" "run tests/vm/modules/build"
	setup_rxe "$@"
	load_rdma
	insmod "$(module hermit-rdma-test)"
}

unload_rdma_test() { rmmod hermit_rdma_test || fail "hermit_rdma_test does not unload"; }

# server_is STATE: of the only VM's server, and not by QEMU, whose own thread may want
# a page of the guest while there is none
server_is()
{
	hermitctl stat ram0 --json | python3 -I -c '
import json, sys
sys.exit(json.load(sys.stdin)[0]["servers"][0]["state"] != sys.argv[1])' "$1"
}

# Drop all packets, in both directions, as if the cable was cut.
cut_rdma()
{
	nft -f - <<-'END'
		table netdev cut {
			chain w0 { type filter hook ingress device w0 priority 0; policy drop; }
			chain w1 { type filter hook ingress device w1 priority 0; policy drop; }
		}
	END
}
mend_rdma() { nft delete table netdev cut; }

# A failed test leaves where everybody stands.
rdma_debug()
{
	local rc=$? t
	[ $rc != 0 ] && [ $rc != 77 ] || return $rc
	cp $W/*.server.log /out/ 2>/dev/null || true
	for t in /proc/[0-9]*/task/*; do
		case $(cat "$t/comm") in
		hermit*|conn|kworker*hermit*) echo "$t $(cat "$t/comm")"; cat "$t/stack" ;;
		esac
	done > /out/stacks 2>/dev/null
	{ rdma resource show; rdma resource show qp; ip -s addr; ip rule; ip route show table all; ip neigh; } > /out/rdma 2>&1
	cat $CLIENTS/0/status > /out/status 2>/dev/null
	return $rc
}
trap rdma_debug EXIT
