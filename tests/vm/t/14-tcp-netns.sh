# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G smp=1 timeout=200 light
# The tcp transport of a VM in a network namespace: it connects from there, also
# when it reconnects later, keeps the namespace while the link lives, and lets
# it go, with all its sockets, when the link is closed.
. /src/tests/vm/tcp.sh

load_tcp_test
modprobe veth
ip netns add vm
ip link add v0 type veth peer name v1 netns vm
ip addr add 10.9.0.1/24 dev v0
ip link set v0 up
ip -n vm addr add 10.9.0.2/24 dev v1
ip -n vm link set v1 up
ADDR=10.9.0.1:7471
start_memserver m1 tcp:$ADDR --capacity 256M

# not `ip netns exec': that hides debugfs
nsenter --net=/run/netns/vm sh -c "echo connect $ADDR 1 64 > $CLIENTS/0/ctl" || fail "$(stat error)"
wait_for 10 grep -q '10\.9\.0\.2:' $W/m1.server.log
ctl load 2 100000000
# The name goes away, as when a container ends: the link still holds it.
ip netns del vm
wait_for 30 stat_above ops 1000
ip link set v0 down
wait_for 20 stat_is state $RECONNECTING
ip link set v0 up
wait_for 30 stat_is state $UP
n=$(stat ops)
wait_for 30 stat_above ops "$n"
ctl stop
right
stat_is nodata 0 || fail "nodata=$(stat nodata)"
ip link show v0 > /dev/null || fail "the namespace went away with a link in it"
ctl end
gone_v0() { ! ip link show v0; }
wait_for 30 gone_v0
stop_memserver m1
unload_tcp_test
