# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=300 kvm=none light long
# An earlier version's server and client over TCP, as `tests/older` built them,
# and today's: the client with today's server, and hermit.ko with its server,
# which know nothing of keys' tags, checksums, pages that are not stored, and
# draining. With a key and without; every page comes back right.
. /src/tests/vm/tcp.sh
OLDER=/hermit/older
requires $OLDER/hermit-tcp-test.ko "run tests/older"
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > $W/key
chmod 600 $W/key
older_server()
{
	start_daemon older $OLDER/hermit-memserver --listen tcp:$ADDR --capacity 256M "$@"
	wait_for 20 grep -q ":$(printf %04X "${ADDR##*:}") .* 0A " /proc/net/tcp
}

# ask_all WHO [KEY]: random requests, and nothing left
ask_all()
{
	ctl connect $ADDR 1 64 ${2:+"$2"} || fail "$1: $(stat error)"
	ctl load 2 2500
	ctl wait
	right
	[ "$(stat ops)" -ge 5000 ] || fail "$1: only $(stat ops) requests"
	stat_is reconnects 0 || fail "$1: reconnected $(stat reconnects) times"
	ctl end || fail "$1: not ended"
}

# its client
insmod $OLDER/hermit-tcp-test.ko
echo 60000 > $PARAMS/tcp_deadline_ms
older_server --key-file $W/key
ask_all "both older" "$(cat $W/key)"
stop_daemon older 0
start_memserver m1 tcp:$ADDR --capacity 256M --key-file $W/key --metrics 127.0.0.1:9000 --control $W/m1.control
ask_all "older client" "$(cat $W/key)"
refused "key differs" $ADDR 1 64 another-key-of-16-bytes-and-more
# it is told nothing that it does not know
ctl connect $ADDR 1 64 "$(cat $W/key)"
ctl put 0 32
hermit-memserver --control $W/m1.control drain > /out/drain
sleep 2
ctl get 0 32
stat_is state $UP || fail "an older client is in state $(stat state)"
right
ctl end
[ "$(metric regions)" = 0 ] || fail "today's server still has $(metric regions) regions"
stop_memserver m1
start_memserver m2 tcp:$ADDR --capacity 256M
ask_all "older client without a key"
stop_memserver m2
unload_tcp_test

# its server
load_tcp_test
echo 60000 > $PARAMS/tcp_deadline_ms
older_server --key-file $W/key
ctl connect $ADDR 1 64 "$(cat $W/key)" || fail "older server: $(stat error)"
for i in $(seq 0 32 2016); do ctl put "$i" 32; done
for i in $(seq 0 32 2016); do ctl get "$i" 32; done
right
ctl end
refused "key differs" $ADDR 1 64 another-key-of-16-bytes-and-more
stop_daemon older 0
unload_tcp_test

load_hermit
older_server
region-stress --server tcp:$ADDR --size 64 --limit 16 --threads 4 --ops 2500 > /out/stress || fail "hermit.ko: $(cat /out/stress)"
grep -q 'failures=0 ' /out/stress && grep -q 'read_errors=0 ' /out/stress || fail "hermit.ko: $(cat /out/stress)"

# A set of it and today's: it reserves all of the region, today's a share.
start_memserver m3 tcp:127.0.0.1:7499 --capacity 60M --control $W/m3.control
region-stress --server tcp:$ADDR --server tcp:127.0.0.1:7499 --replicas 1 --size 64 --limit 16 --threads 4 --ops 2500 > /out/set || fail "a set with an older server: $(cat /out/set)"
grep -q 'failures=0 ' /out/set && grep -q 'read_errors=0 ' /out/set || fail "a set with an older server: $(cat /out/set)"
stop_memserver m3
stop_daemon older 0
note "with $(cut -c 1-7 $OLDER/commit): $(sed 's/ clean.*//' /out/stress)"
