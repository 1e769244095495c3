# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=200 kvm=stock log-ok='potentially unexpected fatal signal|segfault at' light
# expect: ok
# Whatever a test starts must end as it should: what crashed in mid-test, while
# it was told to end or before it was killed, fails where it is ended.

. /src/tests/vm/must-fail.sh
printf '#!/bin/sh\n"$@" & trap "kill -KILL $!; kill -ABRT $$" TERM\nwait\n' > $W/aborts
chmod 755 $W/aborts
dies() { must_fail "$@"; rm -f $W/*.memserver $W/*.daemon $W/*.pid; }
server() { start_memserver m1 tcp:127.0.0.1:7471 --capacity 16M; }
server_died() { server; kill -SEGV "$(cat $W/m1.memserver)"; wait_for 20 gone "$(cat $W/m1.memserver)"; "$@"; }
dies 'm1 ended before it was told to, with 139' server_died stop_memserver m1
dies 'm1 ended before it was told to, with 139' server_died kill_memserver m1
dies 'm1 ended before it was told to, with 139' server_died teardown
server_aborts() { MEMSERVER_AS=$W/aborts server; stop_memserver m1; }
dies 'm1 ended with 134 and not 0 after SIGTERM' server_aborts
deaf() { start_daemon d sleep 1000; stop_daemon d; }
dies 'd ended with 143 and not 0 after SIGTERM' deaf

vm_died_of() { VM_KERNEL=none start_vm v -m 16M; kill -$1 "$(vm_pid v)"; wait_for 20 vm_died v; shift; "$@"; }
dies 'QEMU of v ended with 139 and not 0' vm_died_of SEGV stop_vm v
dies 'QEMU of v ended with 134 and not 0' vm_died_of ABRT teardown
dies 'QEMU of v ended before it was killed, with 139' vm_died_of SEGV kill_vm v
# while it does as it was told
in_quit() { VM_KERNEL=none start_vm v -m 16M; qmp() { kill -ABRT "$(vm_pid v)"; }; stop_vm v; }
dies 'QEMU of v ended with 134 and not 0' in_quit

# and all of it as it should be
server; stop_memserver m1; server; kill_memserver m1
start_daemon d sleep 1000; stop_daemon d 143
VM_KERNEL=none start_vm v -m 16M; stop_vm v
VM_KERNEL=none start_vm v -m 16M; kill_vm v
