# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=900 kvm=patched long log-ok='Kernel panic - not syncing: sysrq triggered crash|Call Trace:'
# A guest that crashes: its crash kernel boots in the memory that was kept for
# it, and reads all the rest, most of which is elsewhere, as /proc/vmcore. Each
# page that the crashed kernel had marked is in there, as it was. Of some other
# marks one was changed: that is found, too, or all this would show nothing.
. /src/tests/vm/vm-tests.sh
requires /hermit/vm/guests.img "run tests/deps guests and tests/vm/images"
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
VM_CPUS=1 VM_INITRD=/hermit/vm/guests.img VM_APPEND='page_poison=0 crashkernel=112M' start_shell_vm g -m 320M -machine q35,memory-backend=ram0 \
	-object hermit-memory,id=ram0,size=320M,limit=100M,server=tcp:127.0.0.1:7471
# pages that came from the server, by demand or ahead of it
came() { local n; n=$(fields g counters.fetches counters.prefetches); echo $((${n/ /+})); }
keep() { ask g "marks keep $1 $2 > /kept$2 & echo \$! > /pid$2; until grep kept /kept$2; do sleep 1; done; cat /kept$2" | grep > /dev/null "^kept $(($1 * 256))\$" || fail "marks: $(report g | tail -n 2)"; }
keep 48 1
keep 4 2
ask g 'kill -USR2 $(cat /pid2); until grep spoilt /kept2; do sleep 1; done; tail -n 1 /kept2' | grep > /dev/null '^spoilt$' || fail "spoilt: $(report g | tail -n 2)"
[ "$(ask g 'kexec -p /boot/vmlinuz --initrd=/boot/second.img --append="'"$GUEST_APPEND"' page_poison=0 nr_cpus=1 reset_devices job=shell"; echo $?')" = 0 ] ||
	fail "kexec -p: $(report g | tail -n 3)"
# go over the memory, so that the marks are elsewhere when it crashes
ask g 'dd if=/dev/zero of=/fill bs=1M count=40 2>&1' > /dev/null
before=$(came)
echo 'echo c > /proc/sysrq-trigger' >> $W/g.commands
twice() { [ "$(grep -c '^ready' $W/g.report)" = 2 ]; }
wait_for 300 twice
found=$(ask g 'marks find /proc/vmcore 48 1')
fetched=$(($(came) - before))
other=$(ask g 'marks find /proc/vmcore 4 2')
note "crash kernel: $found, $fetched pages fetched; of the others $other"
[[ $found =~ ^found\ [0-9]*\ wrong\ 0\ missing\ 0$ ]] || fail "the dump: $found"
[[ $other =~ ^found\ [0-9]*\ wrong\ 1\ missing\ 1$ ]] || fail "a page that was changed: $other"
[ $fetched -gt 6144 ] || fail "the dump was not read from elsewhere: this shows nothing"
stop_vm g
