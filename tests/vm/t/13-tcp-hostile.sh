# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 light
# The tcp transport against servers that misbehave: in the handshake, which must
# end with a sentence, and with requests, which must end the connection and
# damage nothing. One answers writes before it has their pages, and one has all
# but pages, which is told of once and not each time.
. /src/tests/vm/tcp.sh

load_tcp_test
echo 2000 > $PARAMS/tcp_deadline_ms

start_hostile()
{
	start_daemon hostile python3 -I /src/tests/vm/tools/tcp-hostile.py 7471 "$1"
	wait_for 30 grep -q ':1D2F .* 0A ' /proc/net/tcp
}

stop_hostile()
{
	stop_daemon hostile 143
	if grep -q Traceback $W/hostile.log; then
		fail "the hostile server broke: $(tail -n 1 $W/hostile.log)"
	fi
}

while read -r mode text; do
	start_hostile $mode
	refused "$text" $ADDR 1 64
	stop_hostile
done <<'END'
silent does not answer
hangup closed the connection during the handshake
http does not speak the hermit protocol
version it refuses us (version): only version 7 [2J
future speaks version 9
trickle does not answer
nothing grants nothing
END

for mode in tag slot next twice long page type half mute; do
	start_hostile $mode
	ctl connect $ADDR 1 64 || fail "$mode: $(stat error)"
	ctl load 2 400
	ctl wait
	right
	stat_is nodata 0 || fail "$mode: nodata=$(stat nodata)"
	stat_above reconnects 0 || fail "$mode: the connections were kept"
	log "$mode: $(dmesg | grep 'connecting anew' | tail -n 1)"
	ctl end
	stop_hostile
done

# its connections are to stay
echo 10000 > $PARAMS/tcp_deadline_ms
start_hostile early
ctl connect $ADDR 1 64 || fail "early: $(stat error)"
ctl load 2 2000
ctl wait
right
stat_is reconnects 0 || fail "early: reconnected $(stat reconnects) times"
ctl end
stop_hostile

# shorter than the time between two PINGs, which it answers
echo 500 > $PARAMS/tcp_deadline_ms
start_hostile barren
ctl connect $ADDR 1 64 || fail "barren: $(stat error)"
ctl load 2 400
# It is so for 20 epochs: some may be of handshakes that came to nothing.
wait_for 120 stat_above reconnects 7
[ "$(stat told_reconnecting)" = 3 ] || fail "barren: $(stat reconnects) reconnects, told of $(stat told_reconnecting)"
[ "$(dmesg | grep -c 'no page came through 3 connections')" = 1 ] || fail "barren: $(dmesg | grep 'no page came')"
wait_for 120 stat_is state $UP
ctl wait
right
wait_for 30 stat_is state $UP
ctl end
stop_hostile
unload_tcp_test
