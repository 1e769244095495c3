# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=300 kvm=none light
# No memory for hermit.ko: each allocation of a create refused once, and from each
# on all of them, then one of three under load, and one of twenty while regions come and go; over the local
# pool and over TCP with a key. Creates that fail say why
# and leave nothing, the rest goes on with every byte right, nothing is leaked.
# With no memory at all for three seconds nobody spins, and afterwards all goes
# on; for good, the stall is told, and SIGKILL ends who waits.
SHORT=/sys/kernel/debug/hermit_shortage
load_hermit
requires "$(module hermit-shortage)" "a kernel with the function tracer, and tests/vm/modules/build"
# The text of our modules, as START,END pairs.
text() { awk '$4 ~ /^\[hermit(_kvm|_rdma)?\]$/ && $2 ~ /[tT]/ { print $4, $1 }' /proc/kallsyms | sort |
	awk '$1 != m { if (m) printf "0x%s,", last; printf "0x%s,", $2; m = $1 } { last = $2 } END { print "0x" last }'; }
text=$(text)
[ -n "$text" ] || fail "no text of hermit.ko in /proc/kallsyms"
insmod "$(module hermit-shortage)" text="$text"
short()	# short NAME ARGS...
{
	local name=$1
	shift
	# all of it is tried before the test fails
	region-shortage "$@" > /out/$name 2> /out/$name.err ||
		wrong="${wrong:-}$name ($1): exit code $?: $(head -n 5 /out/$name.err | tr '\n' ';') "
	cat /out/$name /out/$name.err
	note "$name: $(grep -E '^(create|cliff|interrupted|rate|dry|storm):' /out/$name || true)"
}
echo 0123456789abcdef0123456789abcdef > $W/key
chmod 600 $W/key
start_memserver m1 tcp:127.0.0.1:7471 --capacity 256M --key-file $W/key --control $W/m1.control

short warm --seconds 1 storm
before=$(free_kib)
short local steps
short local-rate --seconds ${HERMIT_ARG_SECONDS:-5} rate
short local-plain --server local:plain --seconds 3 rate
short local-storm --seconds ${HERMIT_ARG_SECONDS:-4} storm
short tcp --server tcp:127.0.0.1:7471 --key "$(cat $W/key)" steps
# with no memory left from some moment of a create on, the server still hears of its end
short tcp-cliff --server tcp:127.0.0.1:7471 --key "$(cat $W/key)" cliff
forgotten() { hermit-memserver --control $W/m1.control list > /out/list && [ ! -s /out/list ]; }
(wait_for 10 forgotten) || wrong="${wrong:-}the server keeps $(grep -c . /out/list) regions: $(head -n 2 /out/list | tr '\n' ';') "
short tcp-signals --server tcp:127.0.0.1:7471 --key "$(cat $W/key)" interrupted
short tcp-rate --server tcp:127.0.0.1:7471 --key "$(cat $W/key)" --seconds ${HERMIT_ARG_SECONDS:-5} rate
short tcp-storm --server tcp:127.0.0.1:7471 --key "$(cat $W/key)" --seconds ${HERMIT_ARG_SECONDS:-4} storm
short local-dry dry
short tcp-dry --server tcp:127.0.0.1:7471 --key "$(cat $W/key)" dry
for server in local: tcp:127.0.0.1:7471; do
	: > /out/stuck
	region-shortage --server $server --key "$(cat $W/key)" stuck >> /out/stuck 2>&1 &
	pid=$!
	wait_for 150 grep -q '^stuck' /out/stuck
	note "$server: $(cat /out/stuck)"
	grep -q 'stall told' /out/stuck || wrong="${wrong:-}$server: told of no stall; "
	kill -9 $pid
	wait_for 30 gone $pid || wrong="${wrong:-}$server: not ended by SIGKILL; "
	echo 0 > $SHORT/one_in
	wait $pid || true
done
[ -z "${wrong:-}" ] || fail "$wrong"
cat $SHORT/callers > /out/callers
note "$(wc -l < /out/callers) places were refused memory"
# A region that ended amid it could perhaps not tell the server, which keeps it.
stop_memserver m1
wait_given_back "$before" 6144
rmmod hermit_shortage
teardown
