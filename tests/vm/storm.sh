# SPDX-License-Identifier: GPL-2.0-or-later
# Faults of a region's three servers, by a plan from a seed, one after the other: what
# 31-set-stress and 59-set-stress have in common with storms of other loads. Sourced in L1.
#
#	HERMIT_ARG_SEED=N	walks plan N, which the notes name; the kernel does not
#	HERMIT_ARG_KINDS='a b'	these faults, and not all
#	HERMIT_ARG_FAULTS=N	as many at least, 3 by default
#	HERMIT_ARG_EVICTIONS=N	as many at least, 3,000 by default
#	HERMIT_ARG_EVERY=N	seconds from one fault to the next at least, of L1
#
# Who sources it has set SIZE and LIMIT of the region in MiB, REGION, as hermitctl
# knows it, and CAPACITY of a server, perhaps ADDRESSES; and has a function load_on(), which
# is false with the load's last words when it has ended.
SEED=${HERMIT_ARG_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
# what can go wrong
ALL='killed taken-over stopped cut-to cut-from late lossy half-open too-small drained changed limits'
KINDS=${HERMIT_ARG_KINDS:-$ALL}
FAULTS=${HERMIT_ARG_FAULTS:-3} EVICTIONS=${HERMIT_ARG_EVICTIONS:-3000} EVERY=${HERMIT_ARG_EVERY:-0}
RANDOM=$SEED	# not in a subshell: there it begins anew

# of the servers
[ -n "${ADDRESSES:-}" ] || ADDRESSES=(- tcp:127.0.0.1:7481 tcp:127.0.0.1:7482 tcp:127.0.0.1:7483)
port() { echo "${ADDRESSES[$1]##*:}"; }
name_of=(- s1 s2 s3)	# of the process that serves now
born=0

# serve N ARGS...: server N begins, with another name each time
serve()
{
	born=$((born + 1))
	name_of[$1]=s$1-$born
	start_memserver "${name_of[$1]}" "${ADDRESSES[$1]}" --control "$W/s$1.control" "${@:2}"
}
pid_of() { cat "$W/${name_of[$1]}.memserver"; }
nap() { sleep $((RANDOM % 2 + 1)).$((RANDOM % 10)); }

# What hermitctl said last, of server N's FIELD, and of the region's counter; without
# processes of their own, which have to wait for the load.
STAT=
look() { STAT=$(hermitctl stat $REGION --json); }
field() { local of="\"${ADDRESSES[$1]}\"[^}]*\"$2\": \"?([^,\"}]*)"; [[ $STAT =~ $of ]] && echo "${BASH_REMATCH[1]}"; }
counter() { local of="\"$1\": ([0-9]+)"; [[ $STAT =~ $of ]] && echo "${BASH_REMATCH[1]}"; }
evictions() { echo $(($(counter evicted-clean) + $(counter evicted-dirty) + $(counter evicted-zero))); }
server_is() { look && [ "$(field "$1" state)" = "$2" ]; }
server_leaves() { look && case $(field "$1" state) in draining|drained|stuck) ;; *) false ;; esac; }
reconnects() { look && field "$1" reconnects; }
anew() { look && [ "$(field "$1" reconnects)" -gt "$2" ]; }
above() { look && [ "$(evictions)" -ge "$1" ]; }
# all are up, and no page is on fewer than two
whole()
{
	look && [ "$(field 1 state) $(field 2 state) $(field 3 state)" = "up up up" ] &&
		[ "$(counter short-copies)" = 0 ]
}
# rules RULE...: of nft, for what arrives
rules()
{
	nft add table inet storm
	nft add chain inet storm in '{ type filter hook input priority 0; }'
	for r in "$@"; do nft add rule inet storm in "$r"; done
}
no_rules() { nft delete table inet storm; }
# netem N ARGS...: for what server N sends, in a band of its own
netem()
{
	tc qdisc add dev lo root handle 1: prio bands 4
	tc qdisc add dev lo parent 1:4 handle 40: netem limit 10000 "${@:2}"
	tc filter add dev lo parent 1: protocol ip u32 match ip protocol 6 0xff match ip sport "$(port "$1")" 0xffff flowid 1:4
}

# --- the faults: each takes the server, and puts it right ------------------------

# with nothing, after it is known to be gone or before
killed()
{
	local n
	n=$(reconnects "$1")
	kill_memserver "${name_of[$1]}"
	nap
	serve "$1" --capacity $CAPACITY
	wait_for 60 anew "$1" "$n"
}

taken-over()
{
	local old=${name_of[$1]} rc=0 pid n
	n=$(reconnects "$1")
	pid=$(pid_of "$1")
	serve "$1" --capacity $CAPACITY --take-over
	wait_for 30 gone "$pid"
	rm "$W/$old.memserver"
	wait "$pid" || rc=$?
	[ $rc = 0 ] || fail "$old gave its memory away and ended with $rc: $(tail -n 1 "$W/$old.server.log")"
	wait_for 60 anew "$1" "$n"
}

stopped()
{
	kill -STOP "$(pid_of "$1")"
	nap; nap
	kill -CONT "$(pid_of "$1")"
}

# in one direction: what it is sent, or what it sends
cut-to() { rules "tcp dport $(port "$1") drop"; nap; nap; no_rules; }
cut-from() { rules "tcp sport $(port "$1") drop"; nap; nap; no_rules; }

late() { netem "$1" delay 40ms 20ms; nap; nap; tc qdisc del dev lo root; }
lossy() { netem "$1" loss 5% corrupt 2%; nap; nap; tc qdisc del dev lo root; }

# It dies, and nobody is told: neither FIN nor RST arrives.
half-open()
{
	local n
	n=$(reconnects "$1")
	rules "tcp sport $(port "$1") tcp flags & (fin | rst) != 0 drop"
	kill_memserver "${name_of[$1]}"
	nap
	serve "$1" --capacity $CAPACITY
	nap
	no_rules
	wait_for 60 anew "$1" "$n"
}

# Back with too little: it refuses, until it is back once more.
too-small()
{
	local n
	n=$(reconnects "$1")
	kill_memserver "${name_of[$1]}"
	serve "$1" --capacity 4M --overcommit
	wait_for 60 anew "$1" "$n"
	wait_for 60 server_is "$1" full
	nap
	killed "$1"
}

drained()
{
	hermit-memserver --control "$W/s$1.control" drain > /out/drain || fail "drain: $(cat /out/drain)"
	wait_for 60 server_leaves "$1"
	nap
	hermit-memserver --control "$W/s$1.control" drain off > /out/drain || fail "drain off: $(cat /out/drain)"
}

# A byte of what arrives is another one: of a page, or of a header. A checksum of TCP
# does not see it, on lo it has none.
changed()
{
	rules "tcp sport $(port "$1") numgen random mod 50 == 0 @ih,1600,8 set 0x5a" \
	      "tcp dport $(port "$1") numgen random mod 50 == 0 @ih,1600,8 set 0x5a" \
	      "tcp sport $(port "$1") numgen random mod 200 == 0 @ih,64,8 set 0x5a"
	nap; nap
	no_rules
}

# Nobody is bad.
limits()
{
	local i
	for i in 1 2 3 4 5 6; do
		hermitctl set $REGION --limit $((LIMIT / 2 + RANDOM % (SIZE - LIMIT / 2 + 1)))M || fail "hermitctl set"
		sleep 0.$((RANDOM % 5 + 1))
	done
	hermitctl set $REGION --limit ${LIMIT}M || fail "hermitctl set"
}

# --- the storm --------------------------------------------------------------------

# begin_storm: modules and servers; what prepare() loads besides, if there is one
begin_storm()
{
	local i
	modprobe sch_netem && modprobe sch_prio && modprobe cls_u32 || skip "this kernel has no netem"
	note "seed $SEED"
	load_hermit tcp_deadline_ms=$((1000 * SLOW))
	! declare -F prepare > /dev/null || prepare
	for i in 1 2 3; do serve $i --capacity $CAPACITY; done
}

# each of KINDS once
shuffle()
{
	local i j k
	kinds=($KINDS)
	for ((i = ${#kinds[@]} - 1; i > 0; i--)); do
		j=$((RANDOM % (i + 1))) k=${kinds[i]}
		kinds[i]=${kinds[j]} kinds[j]=$k
	done
}

# storm: the load goes on meanwhile
storm()
{
	local kind n begin said
	faults=0 seen=
	until [ $faults -ge $FAULTS ] && above $EVICTIONS; do
		shuffle
		for kind in "${kinds[@]}"; do
			wait_for 300 whole
			begin=$SECONDS
			n=$((RANDOM % 3 + 1))
			log "fault $faults: $kind $n, evictions $(evictions), moved $(counter moved), mismatches $(counter mismatches)"
			$kind $n
			faults=$((faults + 1)) seen="$seen $kind"
			said=$(load_on) || fail "seed $SEED: the load ended after '$kind' of server $n: $said"
			look
			[ "$(counter lost)" = 0 ] || fail "seed $SEED: $(counter lost) bytes are lost after '$kind' of server $n"
			while [ $((SECONDS - begin)) -lt $EVERY ]; do sleep 0.5; done
			[ $faults -lt $FAULTS ] || ! above $EVICTIONS || break
		done
	done
	wait_for 300 whole
	note "faults $faults:$(tr ' ' '\n' <<< "$seen" | sort | uniq -c | awk 'NF == 2 { printf " %s %s", $2, $1 }')"
	note "evictions $(evictions), moved $(counter moved), mismatches $(counter mismatches), server errors $(field 1 errors) $(field 2 errors) $(field 3 errors)"
}

# one_less: one more goes for good: what each page is to be is on the other two, to the last one
one_less() { kill_memserver "${name_of[RANDOM % 3 + 1]}"; }

# seen_empty: a server that came back empty was known to be
seen_empty()
{
	case $seen in
	*killed*|*half-open*|*too-small*)
		dmesg | grep -q 'came back without its contents: 0 pages lost' ||
			fail "seed $SEED: nobody saw that a server had lost its contents" ;;
	esac
}
