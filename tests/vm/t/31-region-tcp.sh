# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=300 kvm=none light
# hermit.ko and hermit-memserver over TCP, without KVM: a plain run, the link
# cut for 20 s and given back, a process that is killed, and a server that is full
# until there is room at home, one that is drained for a while, one whose memory is
# damaged for a while, one that forgets a page, and one of two that dies, with each page
# on both. Every other byte comes back each time, the server ends empty, and nothing stays in the kernel.
S=tcp:127.0.0.1:7471
# stress NAME ARGS...: in the background, to be told to end
stress() { region-stress --threads 4 --ops 100000000 --size 64 "${@:2}" > "/out/$1" 2>&1 & pid=$!; }
# what hermitctl says of its counter NAME
counter() { hermitctl stat stress --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -n 1; }
above() { [ "$(counter "$1")" -gt "$2" ]; }
server_is() { hermitctl stat stress --json | grep -q "\"state\": \"$1\""; }
ended() { grep -c 'ended by its client' $W/m1.server.log || true; }
ended_is() { [ "$(ended)" = "$1" ]; }

load_hermit
start_memserver m1 $S --capacity 256M --metrics 127.0.0.1:9000 --control $W/m1.control
region-stress --server $S --size 64 --limit 16 --threads 4 --ops 2500 > /out/plain ||
	fail "plain run: $(cat /out/plain)"
note "plain: $(sed 's/ clean.*//' /out/plain)"

stress cut --server $S --limit 16 --seed 5
wait_for 60 above fetches 500
cut_link
sleep 20
! gone $pid || fail "the run ended before the link came back: $(cat /out/cut)"
fetches=$(counter fetches)
mend_link
wait_for 60 above fetches $((fetches + 500))

# It is drained: the host is told, and goes on with what is there.
hermit-memserver --control $W/m1.control drain > /out/drain || fail "drain: $(cat /out/drain)"
wait_for 60 server_is draining
fetches=$(counter fetches)
wait_for 60 above fetches $((fetches + 200))
hermit-memserver --control $W/m1.control drain off > /out/drain || fail "drain off: $(cat /out/drain)"
wait_for 60 server_is up
end_child region-stress $pid TERM 0
note "cut: $(sed 's/ clean.*//' /out/cut)"
grep -q 'failures=0 ' /out/cut && grep -q 'read_errors=0 ' /out/cut || fail "link cut for 20 s: $(cat /out/cut)"

# A process that dies while its pages are out: its region ends all the same.
wait_for 20 ended_is 2
stress killed --server $S --limit 16
wait_for 60 above fetches 500
[ "$(metric regions)" = 1 ] || fail "the server has $(metric regions) regions, and there is one"
end_child region-stress $pid KILL 137
wait_for 20 ended_is 3
[ "$(metric regions)" = 0 ] || fail "the server has $(metric regions) regions of a process that was killed"
[ "$(metric backed_bytes)" = 0 ] || fail "the server has $(metric backed_bytes) bytes of a process that was killed"

# A word of each page that the server has is wrong, until it is put right.
region-read --server $S --server-pid "$(cat $W/m1.memserver)" --wrong > /out/wrong 2>&1 ||
	fail "a server that answers with wrong pages: $(tail -n 3 /out/wrong | tr '\n' ' ')"
note "wrong: $(tail -n 1 /out/wrong)"
stop_memserver m1

# A server that says of a page that it does not have it: that is lost, at once.
start_daemon hostile python3 -I /src/tests/vm/tools/tcp-hostile.py 7474 forgets
wait_for 30 grep -q ':1D32 .* 0A ' /proc/net/tcp
region-read --server tcp:127.0.0.1:7474 --forgets > /out/forgets 2>&1 ||
	fail "a server that forgets a page: $(tail -n 3 /out/forgets | tr '\n' ' ')"
note "forgets: $(tail -n 1 /out/forgets)"
dmesg | grep -q 'it says that it does not have page 7,' || fail "no word of the page that the server forgot"
stop_daemon hostile 143

# Without reservation, and with room for three quarters of what goes out: writes
# are refused, and the region waits until it is given room at home.
start_memserver m2 tcp:127.0.0.1:7472 --capacity 24M --overcommit
stress full --server tcp:127.0.0.1:7472 --limit 32
wait_for 120 above write-errors 0
hermitctl set stress --limit 56M || fail "hermitctl set"
fetches=$(counter fetches)
wait_for 60 above fetches $((fetches + 200))
end_child region-stress $pid TERM 0
grep -q 'failures=0 ' /out/full || fail "a server that was full: $(cat /out/full)"
note "full: $(sed 's/.*\(write_errors=[0-9]*\).*/\1/' /out/full)"
stop_memserver m2

# Two servers, each page on both: one that has pages dies under load and begins anew with
# nothing, and no page is lost.
A=tcp:127.0.0.1:7475 B=tcp:127.0.0.1:7476
all_copied() { [ "$(counter short-copies)" = 0 ]; }
both() { [ "$(hermitctl stat stress --json | grep -c "$1")" = 2 ]; }
start_memserver a $A --capacity 128M
start_memserver b $B --capacity 128M
stress two --server $A --server $B --limit 16
wait_for 60 above fetches 500
wait_for 60 both '"reads": [1-9]'
kill_memserver a
fetches=$(counter fetches)
wait_for 60 above fetches $((fetches + 500))
wait_for 60 above short-copies 0
start_memserver a $A --capacity 128M
wait_for 60 both '"state": "up"'
# What the other one alone has comes to it again.
wait_for 60 above moved 0
wait_for 120 all_copied
note moved "$(counter moved)"
fetches=$(counter fetches)
wait_for 60 above fetches $((fetches + 500))
end_child region-stress $pid TERM 0
note "two: $(sed 's/ clean.*//' /out/two)"
grep -q 'failures=0 ' /out/two && grep -q 'read_errors=0 ' /out/two && grep -q ' lost=0$' /out/two ||
	fail "one of two servers died: $(cat /out/two)"
dmesg | grep -q "$A came back without its contents: 0 pages lost" || fail "nobody saw that $A had lost its contents"
stop_memserver a
stop_memserver b

! region-stress --server tcp:127.0.0.1:7473 2> /out/err || fail "nobody listens there"
cat /out/err
! region-stress --server tcp:nonsense 2> /out/err || fail "nonsense accepted"
cat /out/err
teardown
