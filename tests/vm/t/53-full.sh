# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched long
# A server filled to the brim, by one VM and by two: what is acknowledged is
# stored, the guests stay right within their limits or wait, and go on when
# space is freed.
. /src/tests/vm/vm-tests.sh
load_hermit
load="hermit-guest-load --size 120M --threads 2 --write-ratio 0.5 --seconds 20 --verify"
# One: 120 MiB and the kernel in 64 MiB local and 48 MiB remote do not fit.
start_memserver m1 tcp:127.0.0.1:7471 --capacity 48M --overcommit
VM_APPEND="job=run -- $load" hermit_vm one 224 64 tcp:127.0.0.1:7471
wait_report one 120 '^up'
full() { [ "$(hermit_stat "$1" servers.0.state)" = full ] || [ "$(hermit_stat "$1" counters.write-errors)" -gt 0 ]; }
wait_for 90 full one
sleep 3
check_budget one
note "one: $(fields one counters.write-errors servers.0.used resident)"
set_limit one 192		# room at home instead
vm_ok one 150
stop_memserver m1

# Two share a server that holds what either needs, not both: the later one
# finds it full, and goes on when the earlier one is gone.
start_memserver m2 tcp:127.0.0.1:7472 --capacity 230M --overcommit
for n in a b; do
	VM_APPEND="job=run -- $load" hermit_vm $n 224 64 tcp:127.0.0.1:7472
done
wait_report a 120 '^up'
wait_report b 120 '^up'
some_full() { full a || full b; }
wait_for 120 some_full
sleep 3
check_budget a
check_budget b
note "two: $(fields a counters.write-errors resident) / $(fields b counters.write-errors resident)"
kill_vm a			# its memory is freed, and b goes on
vm_ok b 200
teardown
