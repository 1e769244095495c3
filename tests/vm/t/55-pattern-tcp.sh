# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched
# The same over TCP, with a disk that is read with O_DIRECT into the guest's
# pages (QEMU pins them) and traffic through vhost-net while they come and go. Two
# servers have each page: one is killed and comes back empty, and the guest goes on.
. /src/tests/vm/vm-tests.sh
load_hermit
A=tcp:127.0.0.1:7471 B=tcp:127.0.0.1:7472
start_memserver m1 $A --capacity 256M
start_memserver m2 $B --capacity 256M
server_is() { [ "$(hermit_stat p "servers.$1.state")" = "$2" ]; }
all_copied() { [ "$(hermit_stat p short-copies)" = 0 ]; }
some_moved() { [ "$(hermitctl stat ram0 --json | sed -n 's/.*"moved": \([0-9]*\).*/\1/p' | head -n 1)" -gt 0 ]; }
hermit-guest-load --make $W/disk --size 8M || fail "cannot make the pattern disk"
modprobe tun && modprobe vhost_net || fail "no vhost-net in this kernel"
VM_APPEND="job=run -- hermit-guest-load --size 90M --threads 4 --write-ratio 0.5 --seconds 1000 --verify --dio /dev/vda --dio-threads 1" \
	hermit_vm p 192 64 $A,server=$B,replicas=2 \
	-drive "file=$W/disk,format=raw,if=none,id=d,cache=none,aio=threads" -device virtio-blk-pci,drive=d \
	-netdev tap,id=n,ifname=tap0,script=no,downscript=no,vhost=on -device virtio-net-pci,netdev=n,romfile=
wait_report p 120 '^up'
ip addr add 10.0.2.2/24 dev tap0
ip link set tap0 up
# vhost-net writes what arrives into guest pages, and reads what leaves
ping -q -f -w 200 -s 1400 10.0.2.15 > /out/ping 2>&1 &
ping=$!
# for some seconds of the load, after the fill
load_for p ${HERMIT_ARG_SECONDS:-3} 1000
kill_memserver m2
wait_for 20 server_is 1 reconnecting
load_for p 2 $(($(evictions_seen p) + 1000))
! over_with p || fail "one of two servers was killed: $(report p | tail -n 2)"
note "one of two servers: short-copies $(hermit_stat p short-copies)"
! all_copied || fail "a server is gone, and no page has a copy less: this shows nothing"
start_memserver m2 $B --capacity 256M
wait_for 20 server_is 1 up
wait_for 120 some_moved
wait_for 120 all_copied
note "two again: moved $(hermitctl stat ram0 --json | sed -n 's/.*"moved": //p' | head -n 1)"
load_for p 1 $(($(evictions_seen p) + 500))
[ "$(hermit_stat p lost)" = 0 ] || fail "$(hermit_stat p lost) bytes were lost"
kill -INT $ping 2>/dev/null || true
wait $ping || true
end_load p
sample p 200
note "evictions $(evictions_seen p), $(grep -o '[0-9]* received' /out/ping) by vhost-net, $(report p | tail -n 2 | head -n 1)"
[ "$(sed -n 's/.* \([0-9]*\) received.*/\1/p' /out/ping)" -gt 0 ] || fail "nothing came through vhost-net: $(cat /out/ping)"
vm_ok p ${HERMIT_ARG_END:-60}
[ "$(evictions_seen p)" -ge 2000 ] || fail "only $(evictions_seen p) evictions: this shows nothing"
teardown
