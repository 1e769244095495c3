# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=300 kvm=none light
# A region of one server: without replicas there is nothing to change, with them it may move
# to another server, which has a key of its own, and nothing is lost.
A=tcp:127.0.0.1:7475 B=tcp:127.0.0.1:7476
stress() { region-stress --threads 4 --ops 100000000 --size 64 "${@:2}" > "/out/$1" 2>&1 & pid=$!; }
counter() { hermitctl stat stress --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -n 1; }
above() { [ "$(counter "$1")" -gt "$2" ]; }
goes_on() { local n; n=$(counter fetches); wait_for 60 above fetches $((n + 500)); }
# of ADDRESS, as its region is told: its state, or one of its counters
of() { hermitctl server list stress --json | tr -d ' \n' | sed -n "s/.*\"address\":\"$1\",[^{]*\"$2\":\"\{0,1\}\([a-z0-9]*\).*/\1/p"; }
of_is() { [ "$(of "$1" "$2")" = "$3" ]; }
# refused SENTENCE ARGS...
refused()
{
	! hermitctl server "${@:2}" > /out/refused 2>&1 || fail "hermitctl server ${*:2}: nobody refused it"
	grep -q "$1" /out/refused || fail "hermitctl server ${*:2}: $(cat /out/refused)"
}

load_hermit
start_memserver a $A --capacity 128M
echo 0123456789abcdefghi > $W/key
chmod 600 $W/key
start_memserver b $B --capacity 128M --key-file $W/key
stress one --server $A --limit 16
wait_for 60 above fetches 200
refused 'started with one server' add stress $B
end_child region-stress $pid TERM 0
stress moves --server $A --limit 16 --replicas 1
wait_for 60 above fetches 200
refused 'nobody could take its pages' drain stress $A
refused 'this VM has no other one' drop --force stress $A
refused "server $B: " add stress $B
echo abcdefghi0123456789 > $W/wrong
refused "server $B: " add --key-file $W/wrong stress $B
hermitctl server add --key-file $W/key stress $B || fail "add with a key: $B"
hermitctl server drain stress $A || fail "drain: $A"
wait_for 120 of_is $A state drained
hermitctl server drop stress $A || fail "drop: $A"
goes_on
end_child region-stress $pid TERM 0
note "moves: $(sed 's/ clean.*//' /out/moves)"
grep -q 'failures=0 ' /out/moves && grep -q 'read_errors=0 ' /out/moves && grep -q ' lost=0$' /out/moves ||
	fail "one server in the place of another: $(cat /out/moves)"
teardown
