# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2500M icount timeout=3000 kvm=patched
# memcached or redis in a guest, by how much of the guest's memory is local, or
# by offered load (HERMIT_ARG_RATES) at one such ratio; hermit over TCP, Linux
# swap on NBD over the same loopback, and plain memory without and with huge
# pages. Times are of one processor that does an instruction in a nanosecond.
. /src/tests/bench/vms.sh
SIZE=${HERMIT_ARG_SIZE:-224} ITEMS=${HERMIT_ARG_ITEMS:-1000000} WINDOW=${HERMIT_ARG_WINDOW:-1} WINDOWS=${HERMIT_ARG_WINDOWS:-3}
SERVER=${HERMIT_ARG_SERVER:-memcached} RATES=${HERMIT_ARG_RATES:-}
VM_APPEND="job=run -- bench-kv $SERVER $ITEMS $WINDOW $RATES"
windows() { grep -c '^t ' $W/v.report || true; }
windows_are() { [ "$(windows)" -ge "$1" ]; }
now() { cut -d' ' -f1 /proc/uptime; }
per_second() { awk -v w="$*" 'BEGIN { split(w, v, " "); t = v[8] - v[7]; printf "in/s %.0f out/s %.0f early/s %.0f", (v[4] - v[1]) / t, (v[5] - v[2]) / t, (v[6] - v[3]) / t }'; }
read -ra rates <<< "${RATES:-0}"
# one window for each rate, or that with the median of ops/s
[ -n "$RATES" ] && WINDOWS=${#rates[@]}
chosen() { [ -n "$RATES" ] && cat || sort -n -k4,4 | sed -n $(((WINDOWS + 1) / 2))p; }

for way in ${HERMIT_ARG_WAYS:-ram thp hermit swap}; do
	start_way $way $SIZE
	wait_report v 240 '^filled '
	log "$way: $(report v | grep '^filled')"
	percents=${HERMIT_ARG_PERCENTS:-100 90 80 70 60 50 40 30 20}
	case $way in
	ram|thp) percents=100 ;;
	esac
	for percent in $percents; do
		limit_way $way $SIZE $percent
		# after the window that is under way, and four to settle in
		n=$(($(windows) + 6))
		last=$((n + WINDOWS - 1))
		# asking QEMU takes part of a window, so it is not one that counts
		wait_for $((WINDOW * 10 + 120)) windows_are $((n - 2))
		before=$(traffic $way) since=$(now)
		wait_for $((WINDOW * 2 * WINDOWS + 120)) windows_are $last
		after=$(traffic $way) until=$(now)
		# shellcheck disable=SC2086 # words
		moved=$(per_second $before $after $since $until)
		grep '^t ' $W/v.report | sed -n "$n,${last}p" | cut -d' ' -f3- | chosen | while read -r line; do
			note "server $SERVER way $way ratio $percent $line guest-mib $(guest_mib $way $SIZE) cgroup-mib $(cgroup_mib) $moved"
		done
	done
	stop_way $way
done
teardown
