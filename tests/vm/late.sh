# SPDX-License-Identifier: GPL-2.0-or-later
# A scheduler that has it in for the test: for HERMIT_ARG_LATE, a regular expression
# of names (hermit-memserve|qemu-system|python3), one program of such a name after
# the other stands still for up to three seconds; and now and then a processor has no
# time for anybody but us, kernel threads included, for up to two.
while :; do
	mapfile -t pids < <(for c in /proc/[0-9]*/comm; do
		! grep -Eq "^($1)" "$c" 2> /dev/null || echo "${c//[!0-9]/}"
	done)
	if [ ${#pids[@]} -gt 0 ] && [ $((RANDOM % 3)) -gt 0 ]; then
		pid=${pids[RANDOM % ${#pids[@]}]}
		kill -STOP "$pid" 2> /dev/null || continue
		sleep "$((RANDOM % 3)).$((RANDOM % 10))"
		kill -CONT "$pid" 2> /dev/null
	else
		taskset -c $((RANDOM % $(nproc))) chrt -f 50 \
			timeout "$((RANDOM % 2)).$((RANDOM % 10))" sh -c 'while :; do :; done'
	fi
	sleep "0.$((RANDOM % 10))"
done
