# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=200 kvm=stock log-ok='vduse' light
# A device that pins guest memory, here vDPA made by VDUSE, and hermit memory
# refuse each other, whoever comes first.
. /src/tests/vm/vm-tests.sh
load_hermit
modprobe vduse && modprobe vhost-vdpa || skip "this kernel has no VDUSE"
truncate -s 1M $W/disk
start_daemon qsd qemu-storage-daemon --blockdev "file,node-name=d,filename=$W/disk" \
	--export vduse-blk,id=e,node-name=d,name=v
wait_for 20 test -e /dev/vduse/v
vdpa dev add name v mgmtdev vduse || fail "vdpa dev add: $(cat $W/qsd.log)"
wait_for 20 test -c /dev/vhost-vdpa-0

VDPA=vhost-vdpa-device-pci,id=v,vhostdev=/dev/vhost-vdpa-0
rc=0
timeout 300 $QEMU -machine q35,memory-backend=ram0 -m 64M -display none -nodefaults -enable-kvm \
	-object hermit-memory,id=ram0,size=64M -device $VDPA 2> $W/err || rc=$?
cat $W/err
[ $rc = 1 ] || fail "QEMU ended with $rc"
grep -q "the device pins guest memory, which hermit-memory 'ram0' does not support" $W/err ||
	fail "QEMU says: $(cat $W/err)"

VM_KERNEL=none start_vm p -m 64M -machine q35 -S -device $VDPA
qmp p '{"execute": "object-add", "arguments": {"qom-type": "hermit-memory", "id": "ram1", "size": 67108864, "other-memory": ["pc.ram"]}}' > $W/answer &&
	fail "hermit memory was added beside vDPA"
grep -q "hermit-memory 'ram1': a device that pins guest memory" $W/answer || fail "QEMU says: $(cat $W/answer)"
stop_vm p
vdpa dev del v
stop_daemon qsd
row vDPA refused
rows_end
