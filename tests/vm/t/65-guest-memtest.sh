# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=2400 kvm=patched long
# A guest that is no Linux: memtest86+ goes over all its memory, half of which is
# elsewhere, in each of its ways, and finds no error in a whole pass. Then a bit
# is changed behind its back, and it finds that.
. /src/tests/vm/vm-tests.sh
MEMTEST=/hermit/guests/tree/boot/memtest86+x64.bin
requires $MEMTEST "run tests/deps guests"
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 256M
VM_KERNEL=none VM_CPUS=1 hermit_vm m 16 8 tcp:127.0.0.1:7471 -kernel $MEMTEST \
	-append "console=ttyS0,115200 nobench nosmp" -gdb unix:path=$W/m.gdb,server=on,wait=off

# said WORD: the last figure after it on the screen; doing: which of its tests
said() { tr '\033' '\n' < $W/m.serial | grep -a -o "$1: *[0-9][0-9]*" | tail -n 1 | grep -o '[0-9]*$'; }
doing() { tr '\033' '\n' < $W/m.serial | grep -a -o '#[0-9]* *\[.*\]' | tail -n 1; }
# passes, but for the errors that are looked for at every step
passed()
{
	[ "$(said Errors)" = 0 ] || fail "$(said Errors) errors, in $(doing)"
	[ "$(said Pass)" -ge 1 ]
}
wait_for 120 said Errors
until passed; do
	sample m 5
	[ "$(doing)" = "${shown:-}" ] || tell "$(doing)"
	shown=$(doing)
done
note "memtest86+: $(tr '\033' '\n' < $W/m.serial | grep -a -o '#[0-9]* *\[.*\]' | sort -u | wc -l) tests, a pass without an error"
n=$(evictions_seen m)
note "$n pages evicted, $(hermit_stat m counters.fetches) fetched"
[ "$n" -ge 20000 ] || fail "only $n evictions: this shows nothing"

# it can find one: between two of its looks at a page that is changed
found() { spoil_vm m $((9 << 20)) && sleep 1 && [ "$(said Errors)" -gt 0 ]; }
wait_for 600 found
note "a bit that was changed behind its back: $(said Errors) errors"
stop_vm m
