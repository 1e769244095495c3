# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the tests that run a guest on hermit memory (5x): sourced in L1.

# hermit_vm NAME SIZE-MIB LIMIT-MIB SERVER ARGS...: a guest of 2 CPUs whose RAM is
# one hermit-memory object ram0; SERVER local is the default, a
# compressed pool on this host. Its load ends when end_load says so.
hermit_vm()
{
	local name=$1 size=$2 limit=$3 server=
	[ "$4" = local ] || server=,server=$4
	shift 4
	rm -f "$W/$name".{samples,evictions,end}
	mkfifo "$W/$name.end"
	VM_CPUS=${VM_CPUS:-2} start_vm "$name" -m "${size}M" -machine q35,memory-backend=ram0 \
		-object "hermit-memory,id=ram0,size=${size}M,limit=${limit}M$server${HERMIT_OBJECT:-}" \
		-chardev "pipe,id=end,path=$W/$name.end" -device virtserialport,chardev=end,name=end "$@"
}

# end_load NAME: hermit-guest-load is told that its time is over, and goes on to
# its last look at everything
end_load() { over_with "$1" || echo 1<> "$W/$1.end"; }

# fields NAME FIELD...: several fields of one query, in one line
fields() { qmp "$1" --fields "${@:2}"; }

# as of the last sample, also after the guest has ended
evictions_seen() { cat "$W/$1.evictions"; }

evictions()
{
	local figures
	figures=$(fields "$1" counters.evicted-clean counters.evicted-dirty counters.evicted-zero)
	echo $((${figures// /+}))
}

# The guest has nothing more to say, or QEMU is gone.
over_with() { vm_died "$1" || grep -q '^exit' "$W/$1.report"; }

# check_budget NAME: a sample of the budget, which is never exceeded: one that is
# above fails the test, and so does one that could not be taken while the VM
# lives. Lowering the limit is excepted until it is reached (resident-max counts
# from then).
check_budget()
{
	local name=$1 figures
	if ! figures=$(fields "$name" resident limit reclaim.threads-max \
			counters.evicted-clean counters.evicted-dirty counters.evicted-zero 2> "$W/$name.unanswered"); then
		# QEMU may be just going
		(wait_for 1 over_with "$name") ||
			fail "the budget of $name cannot be read: $(grep -m1 '^qmp.py' "$W/$name.unanswered" || tail -n 1 "$W/$name.unanswered")"
		return 0
	fi
	# shellcheck disable=SC2086 # words
	set -- $figures
	[ $# = 6 ] || fail "the budget of $name: $# figures and not 6: $figures"
	[ "$1" -le $(($2 + $3 * 32 * 4096)) ] || fail "resident $1 above the limit of $2 and one batch a thread"
	echo $(($4 + $5 + $6)) > "$W/$name.evictions"
	echo "$figures" >> "$W/$name.samples"
}

# sample NAME SECONDS: watch the budget; returns when the guest has reported
# its end, or after SECONDS
sample()
{
	local end=$(($(cut -d. -f1 /proc/uptime) + $2))
	while ! over_with "$1"; do
		check_budget "$1"
		[ "$(cut -d. -f1 /proc/uptime)" -lt $end ] || break
		sleep 1
	done
	[ -s "$W/$1.samples" ] || fail "the budget of $1 was never read: this shows nothing"
}

# load_for NAME SECONDS EVICTIONS [COMMAND...]: watch the budget during the fill and
# for so long after it, and until that many pages were evicted, however slow this
# machine is; with COMMAND once a second
load_for()
{
	local name=$1 seconds=$2 evictions=$3 end=
	shift 3
	until over_with "$name"; do
		"$@"
		sample "$name" 1
		[ -n "$end" ] || ! grep -q '^t ' "$W/$name.report" || end=$(($(cut -d. -f1 /proc/uptime) + seconds))
		[ -z "$end" ] || [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ] ||
			[ "$(evictions_seen "$name")" -lt "$evictions" ] || break
	done
}

# --- what the module says, and what the host has lost ---------------------------

# claimed NAME: bytes of this host that the module says it has for the VM
claimed() {
	local figures
	figures=$(fields "$1" resident metadata servers.0.used) || return
	echo $((${figures// /+}))
}

# charged CGROUP: what it is charged, and what of that no other part of the kernel
# has under a name of its own: our pages, and slab, which has our tables as well
charged()
{
	cat "$1/memory.current" "$1/memory.stat" | awk '
		NR == 1 { all = ours = $1 }
		$1 ~ /^(anon|file|kernel_stack|pagetables|sec_pagetables|percpu|sock|vmalloc)$/ { ours -= $2; n++ }
		END { if (n != 8) exit 1; print all, ours }'
}

# check_charged NAME CGROUP SLACK: a sample. The cgroup of a VM on the local pool
# has the pages that the module tells of, give or take SLACK bytes: what is on the
# way between two counters, or moved while they were read.
check_charged()
{
	local name=$1 group=$2 slack=$3 before after c
	before=$(claimed "$name") && c=$(charged "$group") && after=$(claimed "$name") ||
		fail "what $name takes cannot be read"
	# shellcheck disable=SC2086 # words
	set -- $c $(printf '%s\n' "$before" "$after" | sort -n)
	log "charged $1, pages that are ours $2, told $3 to $4"
	[ "$2" -le $(($4 + slack)) ] || fail "the host has $2 bytes less for $name, and the module tells of $4 at most"
	[ "$2" -ge $(($3 - slack)) ] || fail "the module tells of $3 bytes at least for $name, and its cgroup is charged with $2"
	echo "$2 $3 $4" >> "$W/$name.charged"
}

# new_cgroup NAME: with memory accounting; its path
new_cgroup()
{
	echo +memory > /sys/fs/cgroup/cgroup.subtree_control
	mkdir "/sys/fs/cgroup/$1"
	echo "/sys/fs/cgroup/$1"
}
# in_cgroup PATH COMMAND...: what it starts is in there
in_cgroup()
{
	echo $BASHPID > "$1/cgroup.procs"
	"${@:2}"
	echo $BASHPID > /sys/fs/cgroup/cgroup.procs
}

set_limit() { qmp "$1" "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/objects/ram0\",\"property\":\"limit\",\"value\":$(($2 << 20))}}" > /dev/null; }

# vm_ok NAME SECONDS: the guest's load verified everything and powered off
vm_ok()
{
	wait_report "$1" "$2" '^exit'
	report "$1" | grep -q '^exit 0$' || { save_vm "$1"; fail "guest $1: $(report "$1" | tail -n 3 | tr '\n' ' ')"; }
	wait_vm_end "$1" 60
}

# --- guests that are told what to do ------------------------------------------

# start_shell_vm NAME QEMU-ARGS...: a guest with a shell that ask() talks to,
# and a second monitor whose events go to $W/NAME.events
start_shell_vm()
{
	local name=$1
	shift
	VM_APPEND="job=shell ${VM_APPEND:-}" start_vm "$name" "$@" \
		-chardev "socket,id=control,path=$W/$name.control,server=on,wait=off" \
		-device virtserialport,chardev=control,name=control \
		-chardev "socket,id=qmp2,path=$W/$name.qmp2,server=on,wait=off" -mon chardev=qmp2,mode=control
	: > "$W/$name.commands"
	wait_for 20 test -S "$W/$name.control"
	tail -n +1 --pid="$(vm_pid "$name")" -f "$W/$name.commands" | socat -u - "UNIX-CONNECT:$W/$name.control" &
	echo '{"execute": "qmp_capabilities"}' > "$W/hello"
	socat -,ignoreeof "UNIX-CONNECT:$W/$name.qmp2" < "$W/hello" > "$W/$name.events" &
	wait_report "$name" 150 '^ready'
}

# ask NAME COMMAND: its last line of output
ASKED=0
ask()
{
	ASKED=$(($(cat $W/asked 2>/dev/null || echo 0) + 1))
	echo $ASKED > $W/asked		# ask may run in a subshell
	echo "$2; echo; echo =$ASKED" >> "$W/$1.commands"
	wait_report "$1" 150 "^=$ASKED\$"
	tr -d '\r' < "$W/$1.report" | sed "/^=$ASKED\$/,\$d" | grep -v '^$' | tail -n 1
}

# told NAME EVENT [REGEX]: did the second monitor hear of it?
told() { grep "\"$2\"" "$W/$1.events" | grep -Eq "${3:-.}"; }

# over NAME EXPRESSION: of all objects "r" of query-hermit-memory, by id
over() { qmp "$1" --over "$2"; }
holds() { [ "$(over "$1" "$2")" = 1 ]; }

# bounded NAME: no object ever had more here than its limit and one batch for
# each reclaim thread
bounded()
{
	holds "$1" 'all(o["resident-max"] <= o["limit"] + o["reclaim"]["threads-max"] * 32 * 4096 for o in every)' ||
		fail "$1: above a limit: $(qmp "$1" query-hermit-memory)"
}

# spoil_vm NAME ADDRESS: change a bit of its memory behind its back; it has a gdb
# stub at $W/NAME.gdb
spoil_vm() { python3 -I -S /src/tests/vm/spoil.py "$W/$1.gdb" "$2"; }

# --- the table of docs/memory-backend.md ---------------------------------------

TABLE=/src/docs/memory-backend.md

# row WHAT OUTCOME: it was just shown, and the table says so
row()
{
	grep -qxF "| $1 | $2 | ${TEST%@*} |" $TABLE || fail "$TABLE does not say: | $1 | $2 | ${TEST%@*} |"
	note "$1: $2"
	echo "$1" >> $W/rows
}

# rows_end: nothing of this test is in the table that was not shown
rows_end()
{
	grep " | ${TEST%@*} |$" $TABLE | sed 's/^| \(.*\) | [^|]* | [^|]* |$/\1/' | sort > $W/rows.said
	sort $W/rows | diff - $W/rows.said || fail "the rows of ${TEST%@*} in $TABLE are not those it shows"
}
