# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=600 kvm=none light long
# Servers of a region come and go under load, over TCP: one that is drained is read until
# all it has is on others, is dropped with nothing lost, and ends empty; an empty one that
# is added gets pages. What cannot be is refused by a sentence, and the region goes on.
# A server that its own operator drains is left by itself, so that a memory node gets its
# update: docs/operators.md, Maintenance.
A=tcp:127.0.0.1:7475 B=tcp:127.0.0.1:7476 D=tcp:127.0.0.1:7477
stress() { region-stress --threads 4 --ops 100000000 --size 64 "${@:2}" > "/out/$1" 2>&1 & pid=$!; }
counter() { hermitctl stat stress --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -n 1; }
above() { [ "$(counter "$1")" -gt "$2" ]; }
goes_on() { local n; n=$(counter fetches); wait_for 60 above fetches $((n + 500)); }
none_short() { [ "$(counter short-copies)" = 0 ]; }
# of ADDRESS, as its region is told: its state, or one of its counters
of() { hermitctl server list stress --json | tr -d ' \n' | sed -n "s/.*\"address\":\"$1\",[^{]*\"$2\":\"\{0,1\}\([a-z0-9]*\).*/\1/p"; }
of_is() { [ "$(of "$1" "$2")" = "$3" ]; }
of_above() { [ "$(of "$1" "$2")" -gt "$3" ]; }
servers_are() { [ "$(hermitctl server list stress --json | grep -c '"address"')" = "$1" ]; }
# refused SENTENCE ARGS...
refused()
{
	! hermitctl server "${@:2}" > /out/refused 2>&1 || fail "hermitctl server ${*:2}: nobody refused it"
	grep -q "$1" /out/refused || fail "hermitctl server ${*:2}: $(cat /out/refused)"
}
# memserver NAME ARGS...: what the operator of a server asks it
memserver() { hermit-memserver --control "$W/$1.control" "${@:2}"; }
# fetches a second, over so many of them
rate() { local n; n=$(counter fetches); sleep "$1"; echo $((($(counter fetches) - n) / $1)); }
ends_empty() { grep -q 'ended by its client' "$W/$1.server.log"; }

load_hermit
start_memserver a $A --capacity 128M --control $W/a.control
start_memserver b $B --capacity 128M --control $W/b.control
stress comes --server $A --server $B --limit 16
wait_for 60 above fetches 500
refused 'it is not drained' drop stress $A
refused 'this VM has no such server' drain stress $D
refused 'this VM has it already' add stress $B
refused "server $D: " add stress $D
refused 'memory of this host' add stress local:
goes_on

# One that is too small for what leaves: that is known before.
start_memserver small $D --capacity 8M --overcommit
hermitctl server add stress $D || fail "add: $D"
refused 'bytes of its pages would have to go to 1 other' drain stress $A
note "no room: $(cat /out/refused)"
hermitctl server drop --force stress $D || fail "drop: $D"
stop_memserver small
wait_for 120 none_short

# A third one is added, and gets its share of what leaves.
start_memserver d $D --capacity 128M
hermitctl server add stress $D || fail "add: $D"
wait_for 60 of_above $D writes 100

# The first one is drained. Each of its pages gets on both of the others.
before=$(rate 8)
n=$(counter fetches) since=$(date +%s%N)
hermitctl server drain stress $A || fail "drain: $A"
wait_for 120 of_is $A state drained
during=$((($(counter fetches) - n) * 1000 / (($(date +%s%N) - since) / 1000000)))
note "fetches a second: $before before the drain, $during while it went on: $((during * 100 / before)) %"
moved=$(counter moved)
[ "$moved" -gt 0 ] || fail "it is drained, and nothing was moved"
writes=$(of $A writes)
goes_on
[ "$(of $A writes)" = "$writes" ] || fail "a server that is drained got pages: $writes writes, and then $(of $A writes)"
hermitctl server drain stress $B || fail "drain: $B, the second of three"
refused 'add one or undrain one of them first' drop --force stress $D
hermitctl server undrain stress $B || fail "undrain: $B"
hermitctl server drop stress $A || fail "drop: $A"
wait_for 20 ends_empty a
stop_memserver a
servers_are 2 || fail "servers: $(hermitctl server list stress)"
[ "$(counter lost)" = 0 ] || fail "$(counter lost) pages are lost"
goes_on
note moved "$moved"

# With one that could take the pages gone there is nobody, and the region goes on.
kill_memserver d
wait_for 60 of_is $D state reconnecting
refused 'nobody could take its pages' drain stress $B
start_memserver d $D --capacity 128M
wait_for 60 of_is $D state up
wait_for 120 none_short
goes_on

# An empty one in the place of the first.
start_memserver a $A --capacity 128M --control $W/a.control
hermitctl server add stress $A || fail "add: $A"
wait_for 60 of_above $A writes 100

# A memory node is updated: its operator drains the server, waits, ends it, and starts it
# anew. No command for the VM, and nothing of it is lost.
memserver a drain --wait > /out/maintenance || fail "drain --wait: $(cat /out/maintenance)"
grep -q ', 0 of which need it' /out/maintenance || fail "drain --wait: $(cat /out/maintenance)"
of_is $A state drained || fail "its operator was told that it is drained, and it is $(of $A state)"
goes_on
stop_memserver a
start_memserver a $A --capacity 128M --control $W/a.control
wait_for 60 of_is $A state up
wait_for 120 none_short
[ "$(counter lost)" = 0 ] || fail "$(counter lost) pages are lost by the update of $A"
# It is called off.
memserver a drain > /out/drain || fail "drain: $(cat /out/drain)"
wait_for 60 of_is $A state drained
memserver a drain off > /out/drain || fail "drain off: $(cat /out/drain)"
wait_for 60 of_is $A state up
goes_on
# With nobody to take them they stay, and both sides are told.
kill_memserver d
wait_for 60 of_is $D state reconnecting
hermitctl server drain stress $B || fail "drain: $B"
memserver a drain > /out/drain || fail "drain: $(cat /out/drain)"
wait_for 60 of_is $A state stuck
wait_for 20 grep -q 'its pages do not leave this server' $W/a.server.log
memserver a drain off > /out/drain || fail "drain off: $(cat /out/drain)"
hermitctl server undrain stress $B || fail "undrain: $B"
wait_for 60 of_is $A state up
start_memserver d $D --capacity 128M
wait_for 60 of_is $D state up
wait_for 120 none_short

# Back and forth.
hermitctl server drain stress $B || fail "drain: $B"
hermitctl server undrain stress $B || fail "undrain: $B"
wait_for 60 of_is $B state up
wait_for 60 of_above $A writes 100
hermitctl server drain stress $B || fail "drain: $B, once more"
wait_for 120 of_is $B state drained
hermitctl server drop stress $B || fail "drop: $B"
wait_for 20 ends_empty b
goes_on
end_child region-stress $pid TERM 0
note "comes: $(sed 's/ clean.*//' /out/comes)"
grep -q 'failures=0 ' /out/comes && grep -q 'read_errors=0 ' /out/comes && grep -q ' lost=0$' /out/comes ||
	fail "servers came and went: $(cat /out/comes)"
stop_memserver a
stop_memserver b
stop_memserver d
teardown
