# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=900 kvm=patched long
# A guest that is no Linux: GNU Mach, with one program, which goes over most of its
# memory, more than half of which is elsewhere, and finds in each page what it wrote
# the round before. Then a bit is changed behind its back, and it finds that.
# shellcheck disable=SC2016 # what is in $() is for Mach
. /src/tests/vm/vm-tests.sh
MACH=/hermit/vm/mach
requires $MACH/kernel "run tests/deps guests and tests/vm/images"
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 256M
VM_KERNEL=none VM_CPUS=1 hermit_vm m 80 24 tcp:127.0.0.1:7471 -kernel $MACH/kernel -append console=com0 \
	-initrd $MACH'/mach-load $(task-create) $(task-resume)' -gdb unix:path=$W/m.gdb,server=on,wait=off

# rounds: how many there were; wrong: those which found a wrong page
rounds() { grep -ac 'round [0-9]* of 12288 pages, wrong [0-9]' $W/m.serial || :; }
wrong() { grep -ac 'of 12288 pages, wrong [1-9]' $W/m.serial || :; }
begun() { [ "$(rounds)" -ge 1 ]; }
wait_for 300 begun
n=0
# the first round finds zeros
until [ "$(rounds)" -ge 4 ] && [ $n -ge 20000 ]; do
	sample m 2
	n=$(evictions_seen m)
	[ "$(wrong)" = 0 ] || fail "$(grep -a -m 1 'wrong [1-9]' $W/m.serial)"
done
note "GNU Mach: $(rounds) rounds of 12288 pages without a wrong one; $n pages evicted, $(hermit_stat m counters.fetches) fetched"

# where nothing of Mach's own is, most probably; it looks at each page once a round
found() { spoil_vm m $((60 << 20)) && sleep 2 && [ "$(wrong)" -gt 0 ]; }
wait_for 300 found
note "a bit that was changed behind its back: $(grep -a -o -m 1 'round.*wrong [1-9].*' $W/m.serial | tr -d '\r')"
stop_vm m
