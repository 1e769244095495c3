# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=900 kvm=patched long
# A guest that starts another kernel in its place: the kernel and its image, with
# a file that the first one wrote, are where they were put, and the second one
# uses the same memory without a fault.
# HERMIT_ARG_SPOIL=1 changes the file on the way: the test has to fail.
. /src/tests/vm/vm-tests.sh
requires /hermit/vm/guests.img "run tests/deps guests and tests/vm/images"
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
VM_CPUS=1 VM_INITRD=/hermit/vm/guests.img VM_APPEND=page_poison=0 start_shell_vm g -m 320M -machine q35,memory-backend=ram0 \
	-object hermit-memory,id=ram0,size=320M,limit=80M,server=tcp:127.0.0.1:7471
boot=$(ask g 'cat /proc/sys/kernel/random/boot_id')
sum=$(ask g 'mkdir /m && cd /m && dd if=/dev/urandom of=message bs=1M count=24 2> /dev/null; md5sum < message')
[ -z "${HERMIT_ARG_SPOIL:-}" ] || ask g 'echo x >> /m/message' > /dev/null
ask g 'cd /m && echo message | cpio -o -H newc > /m.img 2> /dev/null; cat /boot/second.img /m.img > /both.img; rm -r /m /m.img' > /dev/null
loaded=$(ask g 'kexec -c -l /boot/vmlinuz --initrd=/both.img --append="'"$GUEST_APPEND"' page_poison=0 job=run -- sh -c \"cat /proc/sys/kernel/random/boot_id; md5sum /message; exec hermit-guest-load --size 150M --threads 2 --write-ratio 0.5 --seconds 3 --verify\""; echo $?')
[ "$loaded" = 0 ] || fail "kexec -l: $(report g | tail -n 3)"
ask g 'rm /both.img; dd if=/dev/zero of=/fill bs=1M count=100 2>&1' > /dev/null
before=$(hermit_stat g counters.fetches)
echo 'kexec -e' >> $W/g.commands
wait_report g 400 '^t '
figures="$(($(hermit_stat g counters.fetches) - before)) pages fetched, $(hermit_stat g counters.evicted-dirty) evicted dirty so far"
wait_report g 400 '^exit'
note "the second kernel: $figures; $(report g | tail -n 2 | head -n 1)"
report g | grep -q "^${sum%% *}  /message" || fail "the file of the first kernel, $sum, is now $(report g | grep /message)"
! report g | sed '/^=/d' | tail -n 30 | grep -q "^$boot\$" || fail "it is still the first kernel"
report g | grep -q '^exit 0$' || fail "the second kernel: $(report g | tail -n 3 | tr '\n' ' ')"
wait_vm_end g 60
