# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 light
# The tcp transport when the server goes away under load: link cut and given
# back, crash, restart, silence, another key. Nothing completes wrongly, and
# what the server lost is told.
. /src/tests/vm/tcp.sh

load_tcp_test
echo 500 > $PARAMS/tcp_deadline_ms
ON_ITS_OWN=64
. /src/tests/vm/server-gone.sh

# --- silent before anybody notices: END is sent and not answered
echo 8000 > $PARAMS/tcp_deadline_ms
ctl connect $ADDR 3 64 || fail "$(stat error)"
kill -STOP "$(cat $W/m1.memserver)"
timeout -s KILL 120 sh -c "echo end > $CLIENTS/0/ctl" || fail "END without an answer: close did not end"
kill -CONT "$(cat $W/m1.memserver)"
stop_memserver m1
unload_tcp_test
