# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G smp=1 timeout=180 kvm=stock light
# Guests on ordinary memory: one runs a command and reports its end, one runs
# redis whose every value is verified.  What fails here is not Hermit.
VM_APPEND='job=run -- sh -c "echo hello; exit 3"' start_vm run -m 128M
wait_report run 90 '^exit'
report run | grep -q '^hello' || fail "the command's output did not arrive: $(report run)"
report run | grep -q '^exit 3' || fail "the exit code did not arrive: $(report run)"
wait_vm_end run 30

VM_INITRD=/hermit/vm/redis.img VM_APPEND='job=redis mib=16' start_vm redis -m 256M \
	-chardev "socket,id=control,path=$W/redis.control,server=on,wait=off" \
	-device virtserialport,chardev=control,name=control
wait_report redis 90 '^work'
echo finish | socat - "UNIX-CONNECT:$W/redis.control"
wait_report redis 90 '^exit'
report redis | grep -q '^verified [0-9]* 0$' || fail "redis: $(report redis | tail -n 2)"
report redis | grep -q '^exit 0' || fail "redis-verify: $(report redis | tail -n 1)"
wait_vm_end redis 30
