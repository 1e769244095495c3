# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=3G smp=2 timeout=900 kvm=patched,stock
# The part of tests/demo that runs in L1: a memory server, a guest with redis
# on a hermit-memory object, demo.py to watch and drive it.
size=${HERMIT_ARG_SIZE:-536870912}
ratio=${HERMIT_ARG_RATIO:-0.5}
low=${HERMIT_ARG_LOW:-0.25}
server=${HERMIT_ARG_SERVER:-auto}
transport=${HERMIT_ARG_TRANSPORT:-tcp}
keep=${HERMIT_ARG_KEEP:-}
mib=$((size >> 20))
# three fifths, or what the guest's kernel and image leave of a small one
data=$((mib * 3 / 5))
[ $data -le $((mib - 200)) ] || data=$((mib - 200))

load_hermit
object="hermit-memory,id=ram0,size=$size,local-ratio=$ratio"
address=tcp:127.0.0.1:7471
if [ "$transport" = rdma ]; then
	. /src/tests/vm/rdma.sh
	tell "L1: two soft-RoCE devices with a cable between them"
	setup_rxe
	load_rdma
	address=rdma:$ADDR
fi
case $server in
auto)
	tell "L1: starting hermit-memserver with $((mib + 64)) MiB on $address"
	start_memserver demo $address --capacity "$((mib + 64))M"
	object="$object,server=$address" ;;
local)	tell "L1: no memory server, the pages go to the local pool" ;;
*)	start_net
	object="$object,server=$server" ;;
esac

tell "L1: starting the guest: stock Debian kernel and redis-server, $mib MiB"
# One processor: each interrupt between two is an exit, which costs an emulated
# host far more than a real one.
VM_CPUS=1 VM_INITRD=/hermit/vm/redis.img VM_APPEND="page_poison=0 job=redis mib=$data ${keep:+keep=1}" \
	start_vm demo -m "${mib}M" -object "$object" -machine q35,memory-backend=ram0 \
	-chardev "socket,id=control,path=$W/demo.control,server=on,wait=off" \
	-device virtserialport,chardev=control,name=control
if ! python3 -IB /src/tests/vm/demo.py "$VERDICT" "$W/demo.qmp" "$W/demo.report" "$W/demo.control" \
	"$size" "$ratio" "$low" > "$W/demo.why"; then
	save_vm demo
	! vm_died demo || fail "the guest's QEMU ended: $(tail -n 1 "$W/demo.qemu")"
	fail "$(tail -n 1 "$W/demo.why")"
fi
if [ -n "$keep" ]; then
	tell
	tell "The guest stays up.  In this shell of L1:  qmp demo query-hermit-memory"
	tell "or  qmp demo 'hmp: info hermit' ;  exit ends it all."
	setsid bash --rcfile /src/tests/vm/lib-l1.sh -i <>/dev/ttyS0 >&0 2>&1 || true
else
	wait_report demo 60 '^exit 0'
	wait_vm_end demo 30
fi
