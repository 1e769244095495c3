# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the tests that run a guest on hermit memory (5x): sourced in L1.

# hermit_vm NAME SIZE-MIB LIMIT-MIB SERVER ARGS...: a 2-CPU guest whose RAM is
# one hermit-memory object ram0; SERVER local is the default, a
# compressed pool on this host
hermit_vm()
{
	local name=$1 size=$2 limit=$3 server=
	[ "$4" = local ] || server=,server=$4
	shift 4
	VM_CPUS=2 start_vm "$name" -m "${size}M" -machine q35,memory-backend=ram0 \
		-object "hermit-memory,id=ram0,size=${size}M,limit=${limit}M$server${HERMIT_OBJECT:-}" "$@"
}

# fields NAME FIELD...: several fields of one query, in one line
fields()
{
	local name=$1
	shift
	qmp "$name" query-hermit-memory | python3 -I -c '
import json, sys
info = json.load(sys.stdin)["return"][0]
out = []
for path in sys.argv[1:]:
    v = info
    for k in path.split("."):
        v = v[int(k)] if isinstance(v, list) else v[k]
    out.append(str(v))
print(*out)' "$@"
}

# as of the last sample, also after the guest has ended
evictions_seen() { cat "$W/$1.evictions"; }

evictions()
{
	set -- $(fields "$1" counters.evicted-clean counters.evicted-dirty counters.evicted-zero)
	[ $# = 3 ] && echo $(($1 + $2 + $3))
}

# The budget is never exceeded: a sample fails the test at once. Lowering the
# limit is excepted until it is reached (resident-max counts from then).
check_budget()
{
	set -- $(fields "$1" resident limit reclaim.threads-max || true)
	[ $# = 3 ] || return 0		# it is ending
	[ "$1" -le $(($2 + $3 * 32 * 4096)) ] || fail "resident $1 above the limit of $2 and one batch a thread"
}

# sample NAME SECONDS: watch the budget; returns when the guest has reported
# its end, or after SECONDS
sample()
{
	local end=$(($(cut -d. -f1 /proc/uptime) + $2))
	while [ "$(cut -d. -f1 /proc/uptime)" -lt $end ]; do
		! grep -q '^exit' "$W/$1.report" || return 0
		! vm_died "$1" || return 0
		vm_died "$1" || { check_budget "$1"; evictions "$1" > $W/$1.evictions.new && mv $W/$1.evictions.new $W/$1.evictions; }
		sleep 1
	done
}

set_limit() { qmp "$1" "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/objects/ram0\",\"property\":\"limit\",\"value\":$(($2 << 20))}}" > /dev/null; }

# vm_ok NAME SECONDS: the guest's load verified everything and powered off
vm_ok()
{
	wait_report "$1" "$2" '^exit'
	report "$1" | grep -q '^exit 0$' || { save_vm "$1"; fail "guest $1: $(report "$1" | tail -n 3 | tr '\n' ' ')"; }
	wait_vm_end "$1" 60
}
