# SPDX-License-Identifier: GPL-2.0-or-later
# For the tests of a transport: two clients in hermit-tcp-test.ko, whose
# head says what `ctl` and `status` know. Client 0 is meant if none is named.
SCHEME=tcp
ADDR=127.0.0.1:7471
CLIENTS=/sys/kernel/debug/hermit_tcp_test
PARAMS=/sys/module/hermit_tcp_test/parameters

load_tcp_test()
{
	requires "$(module hermit-tcp-test)" "run tests/vm/modules/build"
	insmod "$(module hermit-tcp-test)" "$@"
	echo $DEADLINE_MS > $PARAMS/tcp_deadline_ms
}

# tell_client N COMMAND...: fails with the command
tell_client() { local n=$1; shift; echo "$*" > $CLIENTS/$n/ctl; }

# client N COMMAND...: the same, of a server that is there: a short deadline, which
# is for servers that go, is no measure of how soon it has taken or freed a region
client()
{
	local deadline was rc=0
	case $2 in
	connect|end) ;;
	*) tell_client "$@"; return ;;
	esac
	deadline=$(echo $PARAMS/*_deadline_ms)
	was=$(cat "$deadline")
	[ "$was" -ge 20000 ] || echo 20000 > "$deadline"
	tell_client "$@" || rc=$?
	echo "$was" > "$deadline"
	return $rc
}
ctl() { client 0 "$@"; }

# stat NAME [N]
stat() { sed -n "s/^$1=//p" $CLIENTS/${2:-0}/status; }
stat_is() { [ "$(stat "$1" "${3:-0}")" = "$2" ]; }
stat_above() { [ "$(stat "$1" "${3:-0}")" -gt "$2" ]; }

# longest_stall: how long the server was away at most, in ms, as the kernel said it
longest_stall() { dmesg | sed -n 's/.* is back after \([0-9]*\) ms.*/\1/p' | sort -n | tail -n 1; }

UP=1 RECONNECTING=2 FULL=3 FAILED=4 DRAINING=5	# enum hermit_server_state

# refused 'TEXT' CONNECT-ARGS...: connect fails, and its sentence has TEXT
refused()
{
	local text=$1
	shift
	if tell_client 0 connect "$@" 2>/dev/null; then
		fail "connect $* succeeded, but was to be refused: $text"
	fi
	log "connect $*: $(stat error)"
	case $(stat error) in
	"server $SCHEME:$1: "*"$text"*) ;;
	*) fail "connect $* said '$(stat error)', not '$text'" ;;
	esac
}

# Nothing wrong so far with client N. What a test provokes it counts itself.
right()
{
	local n=${1:-0} s
	for s in mismatches doubles other; do
		[ "$(stat $s "$n")" = 0 ] || fail "client $n: $s=$(stat $s "$n"); $(dmesg | tail -n 2)"
	done
}

unload_tcp_test() { rmmod hermit_tcp_test || fail "hermit_tcp_test does not unload"; }
