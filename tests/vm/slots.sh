# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by tests/vm/run, with tests/lib.sh: emulated machines beyond one for two
# processors only slow each other down, until their timeouts strike. So there are
# slots for them, and who finds none stands in line.

# slots: how many emulated machines make sense at a time
slots() { echo $(($(nproc) / 2 + 1)); }

# take_slot: wait for a slot, and have it as file 7 of this process and of what it
# starts, until all of them are gone or have closed it. Who comes later gets one
# later, or one who runs a list of tests would always be there first: only the
# head of the line, who has the lock l1-line, looks for a slot, and the kernel gives
# a lock to who has waited longest.
take_slot()
{
	local i n line said='' how=-n
	n=$(slots)
	mkdir -p "$C/locks"
	exec {line}> "$C/locks/l1-line"
	if ! flock -n $line; then
		say "waiting for other emulated machines to end"
		said=1
		flock $line
	fi
	while :; do
		for i in $(seq $n); do
			exec 7> "$C/locks/l1-slot-$i"
			# shellcheck disable=SC2086 # words
			if flock $how 7; then
				exec {line}>&-
				return 0
			fi
		done
		[ -n "$said" ] || say "waiting for other emulated machines to end"
		said=1 how="-w 0.5"
	done
}
