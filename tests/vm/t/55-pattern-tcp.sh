# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched
# The same over TCP, with a disk that is read with O_DIRECT into the guest's
# pages (QEMU pins them) and traffic through vhost-net while they come and go.
. /src/tests/vm/vm-tests.sh
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
hermit-guest-load --make $W/disk --size 8M || fail "cannot make the pattern disk"
modprobe tun && modprobe vhost_net || fail "no vhost-net in this kernel"
VM_APPEND="job=run -- hermit-guest-load --size 90M --threads 4 --write-ratio 0.5 --seconds 1000 --verify --dio /dev/vda --dio-threads 1" \
	hermit_vm p 192 64 tcp:127.0.0.1:7471 \
	-drive "file=$W/disk,format=raw,if=none,id=d,cache=none,aio=threads" -device virtio-blk-pci,drive=d \
	-netdev tap,id=n,ifname=tap0,script=no,downscript=no,vhost=on -device virtio-net-pci,netdev=n,romfile=
wait_report p 120 '^up'
ip addr add 10.0.2.2/24 dev tap0
ip link set tap0 up
# vhost-net writes what arrives into guest pages, and reads what leaves
ping -q -f -w 200 -s 1400 10.0.2.15 > /out/ping 2>&1 &
ping=$!
# for some seconds of the load, after the fill
load_for p ${HERMIT_ARG_SECONDS:-8} 2000
kill -INT $ping 2>/dev/null || true
wait $ping || true
end_load p
sample p 200
note "evictions $(evictions_seen p), $(grep -o '[0-9]* received' /out/ping) by vhost-net, $(report p | tail -n 2 | head -n 1)"
[ "$(sed -n 's/.* \([0-9]*\) received.*/\1/p' /out/ping)" -gt 0 ] || fail "nothing came through vhost-net: $(cat /out/ping)"
vm_ok p ${HERMIT_ARG_END:-60}
[ "$(evictions_seen p)" -ge 2000 ] || fail "only $(evictions_seen p) evictions: this shows nothing"
teardown
