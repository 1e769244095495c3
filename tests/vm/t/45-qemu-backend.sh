# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=3G timeout=900 kvm=patched long
# Everything that a memory backend is used for, on hermit memory: each row of
# the table in docs/memory-backend.md that names this test is shown here, or
# refused with the sentence that says why.
. /src/tests/vm/vm-tests.sh
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 2G
SERVER=server=tcp:127.0.0.1:7471
trap 'cp $W/*.events /out/ 2>/dev/null || true' EXIT
MIB=$((1 << 20))
there() { over "$1" 'sum(o["local"] + o["remote"] for o in every)'; }
on_server() { over "$1" 'sum(o["servers"][0]["used"] for o in every)'; }
mem_total() { ask "$1" "sed -n 's/^MemTotal: *//p' /proc/meminfo" | cut -d' ' -f1; }
SUM=$(yes hermit-marker | head -c 25165824 | md5sum) || true
fill='yes hermit-marker | head -c 25165824 > /t/f; md5sum < /t/f'

# --- what is refused -----------------------------------------------------------
# refused ROW SENTENCE QEMU-ARGS...: QEMU ends at once, and says why
refused()
{
	local row=$1 says=$2 rc=0
	shift 2
	timeout 60 $QEMU -L /usr/share/seabios -L /usr/share/qemu -display none -nodefaults -m 64M "$@" 2> $W/err 7< /dev/null || rc=$?
	cat $W/err
	[ $rc = 1 ] || fail "$row: QEMU ended with $rc"
	grep -q "hermit-memory.*$says\|$says.*hermit-memory" $W/err || fail "$row: QEMU says: $(cat $W/err)"
	row "$row" refused
}
BASE="-machine q35,memory-backend=ram0"
ram0() { echo "-object hermit-memory,id=ram0,size=64M${1:-}"; }
refused share=off 'share=off is not supported' $BASE $(ram0 ,share=off)
refused prealloc=on 'prealloc=on is not supported' $BASE $(ram0 ,prealloc=on)
refused merge=on 'merge=on is not supported' $BASE $(ram0 ,merge=on)
refused dump=on 'dump=on is not supported' $BASE $(ram0 ,dump=on)
refused 'host-nodes, policy' 'is not supported: the kernel module places' $BASE $(ram0 ,policy=bind,host-nodes=0)
refused '-overcommit mem-lock=on' 'mem-lock is not supported' $BASE $(ram0) -overcommit mem-lock=on
refused 'SEV (confidential-guest-support)' 'confidential-guest-support is not supported' \
	-machine q35,accel=tcg,memory-backend=ram0,confidential-guest-support=sev0 \
	-object sev-guest,id=sev0,cbitpos=47,reduced-phys-bits=1 $(ram0)
refused 'another memory backend beside it' "its limit would not bound what memory-backend-ram 'x' takes" $BASE $(ram0) \
	-object memory-backend-ram,id=x,size=1M
modprobe iommufd || true
refused VFIO 'the device pins guest memory' $BASE -enable-kvm $(ram0) \
	-object iommufd,id=i0 -device vfio-pci,iommufd=i0,fd=7

# --- a guest with two nodes, and memory that comes and goes --------------------
qemu-img create -q -f qcow2 $W/disk.qcow2 64M
# Room for DIMMs is above 4 GiB, so Linux would keep 64 MiB to bounce DMA in. It
# reports pages of a zone with 32 runs of this order free, 64 MiB by default.
VM_CPUS=2,sockets=2 VM_APPEND="page_poison=0 memhp_default_state=online_movable swiotlb=512 page_reporting.page_reporting_order=5" start_shell_vm t -machine q35 -m 160M,slots=2,maxmem=2G -action reboot=reset \
	-object hermit-memory,id=n0,size=96M,limit=44M,$SERVER -numa node,nodeid=0,cpus=0,memdev=n0 \
	-object hermit-memory,id=n1,size=64M,limit=20M,$SERVER -numa node,nodeid=1,cpus=1,memdev=n1 \
	-object hermit-memory,id=vm,size=512M,limit=24M,$SERVER -device virtio-mem-pci,id=vm0,memdev=vm,node=0,requested-size=0 \
	-device virtio-balloon-pci,free-page-reporting=on \
	-drive file=$W/disk.qcow2,if=none,id=d,format=qcow2 -device virtio-blk-pci,drive=d
# vCPUs wait then, instead of running something else
hermitctl policy n0 async-pf=off || fail "hermitctl policy"
ask t 'mkdir /t; mount -t tmpfs -o size=100% t /t'
[ "$(ask t 'ls -d /sys/devices/system/node/node[0-9] | wc -l')" = 2 ] || fail "the guest sees other nodes: $(report t | tail -n 2)"
[ "$(ask t "$fill")" = "$SUM" ] || fail "the guest read back: $(report t | tail -n 3)"
holds t 'r["n0"]["remote"] > 0 and r["n1"]["remote"] > 0' || fail "a node has nothing remote: $(qmp t query-hermit-memory)"
[ "$(ask t 'md5sum < /t/f')" = "$SUM" ] || fail "the guest read back, again: $(report t | tail -n 3)"
bounded t
row '-numa node,memdev= for each node' works

qmp t "{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, \"protocol\": \"file:$W/dump\"}}" || fail dump-guest-memory
n=$(grep -ac '^hermit-marker$' $W/dump)
rm $W/dump
# those across two pages are in two places
[ "$n" -ge $((25165824 / 14 - 25165824 / 4096)) ] || fail "the dump has $n of $((25165824 / 14)) lines that the guest wrote"
bounded t
row dump-guest-memory works

ask t 'echo before > /t/s'
qmp t 'hmp: savevm s1' | grep -q '"return": ""' || fail "savevm: $(qmp t 'hmp: info snapshots')"
ask t 'echo after > /t/s; rm /t/f'
qmp t 'hmp: loadvm s1' | grep -q '"return": ""' || fail loadvm
[ "$(ask t 'cat /t/s')" = before ] || fail "after loadvm: $(report t | tail -n 3)"
[ "$(ask t 'md5sum < /t/f')" = "$SUM" ] || fail "the guest read back after loadvm: $(report t | tail -n 3)"
bounded t
row 'savevm, loadvm' works

before=$(there t) served=$(on_server t)
ask t 'rm /t/f; sync'
# of the 24 MiB, as reports are of 128 KiB and more
given_back() { [ "$(there t)" -le $((before - 12 * MIB)) ] && [ "$(on_server t)" -le $((served - 4 * MIB)) ]; }
wait_for 60 given_back
note "free page reporting: $(((before - $(there t)) / MIB)) MiB given back, $(((served - $(on_server t)) / MIB)) MiB of them on the server"
row 'virtio-balloon free-page-reporting=on' 'works: freed here and on the server'

before=$(mem_total t)
qmp t '{"execute": "object-add", "arguments": {"qom-type": "hermit-memory", "id": "dimm", "size": 134217728, "limit": 8388608, "server": ["tcp:127.0.0.1:7471"]}}' \
	'{"execute": "device_add", "arguments": {"driver": "pc-dimm", "id": "d1", "memdev": "dimm", "node": 1}}' || fail "plugging a DIMM in"
larger() { [ "$(mem_total t)" -ge $((before + 120 * 1024)) ]; }
wait_for 60 larger
[ "$(ask t "$fill")" = "$SUM" ] || fail "the guest read back with a DIMM: $(report t | tail -n 3)"
[ "$(ask t 'cat /t/f /t/f > /t/g; cp /t/f /t/h; md5sum < /t/h')" = "$SUM" ] || fail "a copy with a DIMM: $(report t | tail -n 3)"
holds t 'r["dimm"]["remote"] > 0 and r["dimm"]["local"] > 0' || fail "nothing of the DIMM is used: $(qmp t query-hermit-memory)"
bounded t
ask t 'rm /t/g /t/h'
qmp t '{"execute": "device_del", "arguments": {"id": "d1"}}' || fail device_del
unplugged() { told t DEVICE_DELETED '"d1"'; }
wait_for 60 unplugged
qmp t '{"execute": "object-del", "arguments": {"id": "dimm"}}' || fail "object-del after the DIMM was unplugged"
[ "$(ask t 'md5sum < /t/f')" = "$SUM" ] || fail "after the DIMM was unplugged: $(report t | tail -n 3)"
row 'pc-dimm, plugged in and out' works

plugged() { qmp t query-memory-devices | grep -q "\"size\": $1[,}]"; }
request() { qmp t "{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"/machine/peripheral/vm0\", \"property\": \"requested-size\", \"value\": $1}}" > /dev/null; }
request $((128 * MIB)) || fail "virtio-mem requested-size"
wait_for 60 plugged $((128 * MIB))
[ "$(ask t 'cat /t/f /t/f /t/f > /t/g; head -c 25165824 /t/g | md5sum')" = "$SUM" ] || fail "a copy with virtio-mem: $(report t | tail -n 3)"
holds t 'r["vm"]["local"] + r["vm"]["remote"] > 8 << 20' || fail "nothing of virtio-mem is used: $(qmp t query-hermit-memory)"
bounded t
ask t 'rm /t/g'
request 0 || fail "virtio-mem requested-size 0"
wait_for 60 plugged 0
holds t 'r["vm"]["local"] + r["vm"]["remote"] == 0' || fail "virtio-mem gave $(over t 'r["vm"]["local"] + r["vm"]["remote"]') bytes not back"
row 'virtio-mem, grown and shrunk' 'works: freed here and on the server'

# --- what an operator sees and sets meanwhile ----------------------------------
hermitctl set n0 --limit 36M || fail "hermitctl set"
wait_for 10 told t HERMIT_MEMORY_LIMIT_CHANGED '"id": "n0".*37748736|37748736.*"id": "n0"'
hermitctl policy n1 wait=park prefetch=0 || fail "hermitctl policy"
qmp t '{"execute": "qom-get", "arguments": {"path": "/objects/n1", "property": "wait"}}' | grep -q park || fail "QEMU knows another policy"
hermitctl policy n1 | grep -q 'prefetch *0$' || fail "hermitctl policy n1: $(hermitctl policy n1)"
! hermitctl policy n1 prefetch=77 2> $W/err || fail "prefetch=77 was accepted"
grep -q 'prefetch 77: must be from 0 to 32' $W/err || fail "prefetch=77: $(cat $W/err)"
holds t 'len(r["n0"]["vcpus"]) == 2 and all(v["stall-time"] > 0 and v["waits"] > 0 for v in r["n0"]["vcpus"])' ||
	fail "vCPUs: $(qmp t query-hermit-memory)"
hermitctl stat n0 --json | python3 -I -c '
import json, sys
v = json.load(sys.stdin)[0]["vcpus"]
sys.exit(len(v) != 2 or any(c["waits"] == 0 for c in v))' || fail "hermitctl stat: $(hermitctl stat n0 --json)"
qmp t 'hmp: info hermit' | grep -q 'CPU #1: waited' || fail "info hermit: $(qmp t 'hmp: info hermit')"
qmp t '{"execute": "query-stats", "arguments": {"target": "vcpu", "providers": [{"provider": "hermit"}]}}' > $W/stats
python3 -I -c '
import json, sys
r = json.load(open(sys.argv[1]))["return"]
v = [{s["name"]: s["value"] for s in c["stats"]} for c in r]
sys.exit(len(v) != 2 or any(c["stall-time"] == 0 or c["waits"] == 0 for c in v))' $W/stats || fail "query-stats: $(cat $W/stats)"
hermitctl set n1 --limit 12M || fail "hermitctl set n1"
out() { holds t 'r["n1"]["remote"] > 4 << 20'; }
wait_for 30 out
hermitctl recall n1 > $W/recall 2>&1 || fail "hermitctl recall: $(cat $W/recall)"
holds t 'r["n1"]["remote"] == 0 and r["n1"]["limit"] == 64 << 20' || fail "after the recall: $(qmp t query-hermit-memory)"
note "recall: $(tail -n 1 $W/recall)"

# --- docs/guests.md, in a guest -------------------------------------------------
request $((128 * MIB)) || fail "virtio-mem again"
wait_for 60 plugged $((128 * MIB))
n=0
while IFS= read -r -d '' command; do
	n=$((n + 1))
	ask t "$command; echo code \$?" | grep -q '^code 0' || fail "docs/guests.md: $command: $(report t | tail -n 4)"
done < <(python3 -I /src/tests/vm/doc-commands.py /src/docs/guests.md)
[ $n = 3 ] && report t | grep -q '^verdict ok' || fail "docs/guests.md: $n commands, $(report t | tail -n 3)"

[ "$(ask t 'md5sum < /t/f')" = "$SUM" ] || fail "before the reset: $(report t | tail -n 3)"
ups=$(grep -c '^up' $W/t.report)
qmp t system_reset || fail system_reset
again() { [ "$(grep -c '^ready' $W/t.report)" -gt "$ups" ]; }
wait_for 120 again
ask t 'mkdir /t; mount -t tmpfs -o size=100% t /t'
[ "$(ask t "$fill")" = "$SUM" ] || fail "after the reset: $(report t | tail -n 3)"
bounded t
row 'reset, reboot' works
stop_vm t

# --- devices of others that use the memory -------------------------------------
modprobe -a tun vhost_net
ip tuntap add tap0 mode tap
ip addr add 10.0.2.2/24 dev tap0
ip link set tap0 up
truncate -s 64M $W/disk
start_daemon qsd qemu-storage-daemon --blockdev "file,node-name=d,filename=$W/disk" \
	--export "vhost-user-blk,id=e,node-name=d,writable=on,addr.type=unix,addr.path=$W/blk"
wait_for 20 test -S $W/blk
VM_CPUS=2 start_shell_vm v -machine q35,memory-backend=ram0 -m 128M -object hermit-memory,id=ram0,size=128M,limit=56M,$SERVER \
	-netdev tap,id=net,ifname=tap0,script=no,downscript=no,vhost=on -device virtio-net-pci,netdev=net,romfile= \
	-chardev socket,id=blk,path=$W/blk -device vhost-user-blk-pci,chardev=blk,num-queues=1 -device virtio-balloon-pci
ask v 'mkdir /t; mount -t tmpfs -o size=100% t /t'
yes hermit-marker | head -c 25165824 > $W/f || true
start_daemon http python3 -I -m http.server --bind 10.0.2.2 --directory $W 9000
wait_for 20 curl -sfo /dev/null http://10.0.2.2:9000/hello
[ "$(ask v 'wget -q -O /t/f http://10.0.2.2:9000/f; md5sum < /t/f')" = "$SUM" ] || fail "received by vhost-net: $(report v | tail -n 3)"
stop_daemon http 143
ask v 'httpd -p 9001 -h /t'
got=$(curl -s http://10.0.2.15:9001/f | md5sum) || true
[ "$got" = "$SUM" ] || fail "sent by vhost-net: $got"
bounded v
holds v 'every[0]["remote"] > 0 and every[0]["counters"]["fetches"] > 0' || fail "nothing was remote"
row 'vhost-net' 'works'

[ "$(ask v 'head -c 16777216 /t/f > /dev/vda; sync; echo 3 > /proc/sys/vm/drop_caches; head -c 16777216 /dev/vda | md5sum')" = \
	"$(head -c 16777216 $W/f | md5sum)" ] || fail "by vhost-user: $(report v | tail -n 3)"
head -c 16777216 $W/f | cmp -n 16777216 - $W/disk || fail "what vhost-user wrote is not what the guest had"
bounded v
row 'vhost-user (a disk of qemu-storage-daemon)' works

before=$(there v) served=$(on_server v)
ask v 'rm /t/f; echo 3 > /proc/sys/vm/drop_caches'
qmp v "{\"execute\": \"balloon\", \"arguments\": {\"value\": $((88 * MIB))}}" || fail balloon
deflated() { [ "$(there v)" -le $((before - 12 * MIB)) ] && [ "$(on_server v)" -le $((served - 2 * MIB)) ]; }
wait_for 60 deflated
note "balloon: $(((before - $(there v)) / MIB)) MiB given back, $(((served - $(on_server v)) / MIB)) MiB of them on the server"
row 'virtio-balloon' 'works: freed here and on the server'
stop_vm v
stop_daemon qsd
rows_end
teardown
