# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G smp=1 timeout=300 light
# The tcp transport against a server filled to the brim by two clients: what is
# refused is not stored, what was there before is, FULL is told, and it goes on
# when the other client gives its memory back.
. /src/tests/vm/tcp.sh

load_tcp_test
start_memserver m1 tcp:$ADDR --capacity 48M --overcommit
ctl connect $ADDR 1 48 || fail "$(stat error)"
client 1 connect $ADDR 2 48 || fail "$(stat error 1)"
ctl load 2 30000
client 1 load 2 30000
ctl wait
client 1 wait
right 0
right 1
[ $(($(stat nospc 0) + $(stat nospc 1))) -gt 0 ] || fail "two clients of 48M each fit into 48M"
[ $(($(stat told_full 0) + $(stat told_full 1))) -gt 0 ] || fail "nobody was told that the server is full"
log "full: $(tr '\n' ' ' < $CLIENTS/0/status)"
client 1 end
wait_for 10 stat_is state $UP
before=$(stat nospc)
ctl load 2 10000
ctl wait
right
stat_is nospc "$before" || fail "still full after the other client ended: nospc=$(stat nospc)"
ctl end
stop_memserver m1
unload_tcp_test
