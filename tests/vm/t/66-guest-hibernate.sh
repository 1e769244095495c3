# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=900 kvm=patched long
# A guest that hibernates to a disk, in one QEMU, and resumes from it in another,
# with another region of memory: what it had is what it was, and its load goes on.
# A bit that is changed then is found, or all this would show nothing.
. /src/tests/vm/vm-tests.sh
requires /hermit/vm/guests.img "run tests/deps guests and tests/vm/images"
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
truncate -s 512M $W/swap
guest()
{
	VM_CPUS=1 VM_INITRD=/hermit/vm/guests.img VM_APPEND='page_poison=0 no_console_suspend' start_shell_vm "$1" -m 256M -machine q35,memory-backend=ram0 \
		-object hermit-memory,id=ram0,size=256M,limit=80M,server=tcp:127.0.0.1:7471 \
		-drive file=$W/swap,if=none,id=d,format=raw -device virtio-blk-pci,drive=d
}
guest before
ask before 'marks keep 48 1 > /kept & until grep kept /kept; do sleep 1; done; cat /kept' | grep > /dev/null '^kept 12288$' || fail "marks: $(report before | tail -n 2)"
ask before 'hermit-guest-load --size 32M --threads 2 --write-ratio 0.5 --seconds 1000 --verify > /load 2>&1 & sleep 1; tail -n 1 /load' > /dev/null
boot=$(ask before 'cat /proc/sys/kernel/random/boot_id')
[ "$(ask before 'mkswap /dev/vda > /dev/null && swapon /dev/vda && cat /sys/block/vda/dev > /sys/power/resume; echo shutdown > /sys/power/disk; echo $?')" = 0 ] ||
	fail "no swap in the guest: $(report before | tail -n 3)"
note "before: $(fields before counters.evicted-dirty counters.fetches | sed 's/ / pages evicted dirty, /') fetched"
echo 'echo disk > /sys/power/state' >> $W/before.commands
wait_vm_end before 300

guest after
other=$(ask after 'cat /proc/sys/kernel/random/boot_id')
[ "$other" != "$boot" ] || fail "the second guest did not boot anew: this shows nothing"
# from here on it is the first one, whose shell reads what comes next
echo 'cat /sys/block/vda/dev > /sys/power/resume' >> $W/after.commands
resumed() { grep -aq 'Restarting tasks\|PM: hibernation: hibernation exit' $W/after.serial; }
wait_for 300 resumed
ASKED_BOOT=$(ask after 'cat /proc/sys/kernel/random/boot_id')
[ "$ASKED_BOOT" = "$boot" ] || fail "the guest that answers is not the one that slept: $ASKED_BOOT, not $boot"
ask after 'kill -USR1 $(pidof marks); until grep checked /kept; do sleep 1; done; cat /kept' > $W/kept
note "after: $(cat $W/kept), resident $(hermit_stat after resident)"
grep -q '^checked 12288 wrong 0$' $W/kept || fail "what it had: $(cat $W/kept)"
ask after 'kill -USR2 $(pidof marks); kill -USR1 $(pidof marks); until grep "wrong 1" /kept; do sleep 1; done; tail -n 1 /kept' | grep > /dev/null '^checked 12288 wrong 1$' ||
	fail "a page that was changed: $(report after | tail -n 2)"
ask after 'sleep 1; kill -TERM $(pidof hermit-guest-load); while pidof hermit-guest-load; do sleep 1; done; tail -n 1 /load' > $W/load
note "the load, before and after: $(cat $W/load)"
grep -q '^verdict ok' $W/load || fail "the load: $(cat $W/load)"
stop_vm after
