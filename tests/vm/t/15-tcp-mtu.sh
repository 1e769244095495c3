# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=300 light
# A path that says nothing and drops packets of more than 1500 bytes, between
# ends that send up to 9000: the handshake passes, and no page. Connecting is
# refused with a sentence about MTU; a link that is up when the path becomes so
# says it once, stays reconnecting, and goes on when the path is mended.
. /src/tests/vm/tcp.sh

narrow()
{
	nft -f - <<-'END'
		table inet narrow {
			chain in {
				type filter hook input priority 0;
				iifname v0 meta length > 1500 drop
			}
			chain out {
				type filter hook output priority 0;
				oifname v0 meta length > 1500 drop
			}
		}
	END
}
widen() { nft delete table inet narrow; }
# not `ip netns exec': that hides debugfs
connect() { nsenter --net=/run/netns/vm sh -c "echo connect $ADDR 1 64 > $CLIENTS/0/ctl" 2> /dev/null; }
sentences() { dmesg | grep -c 'no page comes through' || true; }
# tries N: the server saw N connections
tries() { [ "$(grep -c '10\.9\.0\.2:' $W/m1.server.log)" -ge "$1" ]; }

load_tcp_test
# each try takes as long
echo 5000 > $PARAMS/tcp_deadline_ms
modprobe veth
ip netns add vm
ip link add v0 mtu 9000 type veth peer name v1 mtu 9000 netns vm
ip addr add 10.9.0.1/24 dev v0
ip link set v0 up
ip -n vm addr add 10.9.0.2/24 dev v1
ip -n vm link set v1 up
ADDR=10.9.0.1:7471
start_memserver m1 tcp:$ADDR --capacity 256M

narrow
! connect || fail "connected through a path that passes no page"
case $(stat error) in
*"no page comes through: "*"(MTU)"*) log "$(stat error)" ;;
*) fail "connecting said '$(stat error)'" ;;
esac
widen

connect || fail "$(stat error)"
ctl load 2 100000000
wait_for 30 stat_above ops 1000
was=$(sentences) told=$(stat told_reconnecting)
narrow
wait_for 30 stat_is state $RECONNECTING
wait_for 90 tries $(($(grep -c '10\.9\.0\.2:' $W/m1.server.log) + 3))
said() { [ "$(sentences)" -gt $was ]; }
wait_for 90 said
stat_is state $RECONNECTING || fail "state=$(stat state) with a path that passes no page"
[ "$(sentences)" = $((was + 1)) ] || fail "said $(($(sentences) - was)) times: $(dmesg | grep 'no page comes')"
stat_is told_reconnecting $((told + 1)) || fail "told of $(($(stat told_reconnecting) - told)) times"
widen
wait_for 30 stat_is state $UP
n=$(stat ops)
wait_for 30 stat_above ops "$n"
ctl stop
right
stat_is nodata 0 || fail "nodata=$(stat nodata)"
ctl end
stop_memserver m1
unload_tcp_test
