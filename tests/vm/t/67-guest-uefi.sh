# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=1500 kvm=patched long
# A guest with UEFI: OVMF in flash that only system management mode may write,
# where it keeps its variables. It boots with a quarter of its memory here, the
# guest sets a variable and reads it back, and checks a load's memory meanwhile.
. /src/tests/vm/vm-tests.sh
OVMF=/hermit/guests/tree/usr/share/OVMF
requires $OVMF/OVMF_CODE_4M.secboot.fd "run tests/deps guests"
requires /hermit/vm/guests.img "run tests/vm/images"
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
cp $OVMF/OVMF_VARS_4M.fd $W/vars
before=$(sha256sum < $W/vars)
V=/sys/firmware/efi/efivars
VM_CPUS=1 VM_INITRD=/hermit/vm/guests.img VM_APPEND=page_poison=0 start_shell_vm u -m 320M -machine q35,smm=on,memory-backend=ram0 \
	-object hermit-memory,id=ram0,size=320M,limit=80M,server=tcp:127.0.0.1:7471 \
	-global driver=cfi.pflash01,property=secure,value=on \
	-drive if=pflash,unit=0,format=raw,readonly=on,file=$OVMF/OVMF_CODE_4M.secboot.fd \
	-drive if=pflash,unit=1,format=raw,file=$W/vars
ask u "mount -t efivarfs efivarfs $V && ls $V | wc -l" > $W/variables
note "$(cat $W/variables) variables of UEFI, $(fields u counters.evicted-dirty counters.fetches | sed 's/ / pages evicted dirty, /') fetched until the guest was up"
[ "$(cat $W/variables)" -gt 5 ] || fail "the guest sees $(cat $W/variables) variables of UEFI"
ask u 'hermit-guest-load --size 150M --threads 2 --write-ratio 0.5 --seconds 1000 --verify > /load 2>&1 & :' > /dev/null
for i in 1 2 3 4 5; do
	# attributes: kept, seen while booting and after that; written in SMM
	name=$V/Hermit$i-12345678-1234-1234-1234-123456789abc
	[ "$(ask u "printf '\\007\\000\\000\\000value$i' > /v && cat /v > $name && tail -c +5 $name")" = "value$i" ] ||
		fail "the variable: $(report u | tail -n 3)"
done
[ "$(sha256sum < $W/vars)" != "$before" ] || fail "the flash was not written: this shows nothing"
grep -aq value5 $W/vars || fail "the flash does not have the variable"
n=$(evictions u)
more() { [ $(($(evictions u) - n)) -gt 5000 ]; }
wait_for 300 more
ask u 'kill -TERM $(pidof hermit-guest-load); while pidof hermit-guest-load; do sleep 1; done; tail -n 1 /load' > $W/load
note "the load: $(cat $W/load)"
grep -q '^verdict ok' $W/load || fail "the load: $(cat $W/load)"
stop_vm u
