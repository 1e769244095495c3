# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1200M icount timeout=600 kvm=patched
# Instructions of one fetch over one wire: hermit over TCP and over RDMA, and
# Linux swap on NVMe-oF/RDMA with its target on a RAM disk. Both ends are in this
# machine, on the two soft-RoCE devices of rdma.sh; hermit-count.ko says whose
# instructions they are.
. /src/tests/vm/rdma.sh
SIZE=${HERMIT_ARG_SIZE:-64} LIMIT=${HERMIT_ARG_LIMIT:-16}
WAYS=${HERMIT_ARG_WAYS:-tcp rdma nvme-swap}
requires "$(module hermit-count)" "run tests/vm/modules/build"
wanted() { case " $WAYS " in *" $1 "*) ;; *) return 1 ;; esac; }

# load WAY ARGUMENT...: the load, with its rows as /out/WAY.txt
load()
{
	local way=$1
	shift
	wire-load --size $SIZE "$@" > /out/$way.txt || fail "$way: $(tail -n 1 /out/$way.txt)"
	sed -n "s/^phase/note $way/p" /out/$way.txt | while read -r line; do note "${line#note }"; done
}

setup_rxe
load_hermit
load_rdma
insmod "$(module hermit-count)" devices=rxe0,rxe1
# Idle time passes at once here: what has to be done takes its time all the same.
echo 10000 > $PARAMS/rdma_deadline_ms
echo 10000 > /sys/module/hermit/parameters/tcp_deadline_ms

if wanted tcp; then
	start_memserver t tcp:$ADDR --capacity 256M
	load tcp --server tcp:$ADDR --limit $LIMIT
	stop_memserver t
fi

if wanted rdma; then
	start_memserver r rdma:$ADDR --capacity 256M
	load rdma --server rdma:$ADDR --limit $LIMIT
	stop_memserver r
fi

if ! wanted nvme-swap; then
	rmmod hermit_count
	return
fi

# --- NVMe over fabrics, as Debian's kernel has it; without multipath, which would
# be one more layer
modprobe -a brd configfs
rmmod brd
modprobe brd rd_nr=1 rd_size=$((SIZE * 2048))
modprobe nvme_core multipath=N
modprobe -a nvmet nvmet-rdma nvme-fabrics nvme-rdma
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
target=/sys/kernel/config/nvmet
mkdir $target/subsystems/hermit
echo 1 > $target/subsystems/hermit/attr_allow_any_host
mkdir $target/subsystems/hermit/namespaces/1
echo /dev/ram0 > $target/subsystems/hermit/namespaces/1/device_path
echo 1 > $target/subsystems/hermit/namespaces/1/enable
mkdir $target/ports/1
echo ipv4 > $target/ports/1/addr_adrfam
echo rdma > $target/ports/1/addr_trtype
echo ${ADDR%:*} > $target/ports/1/addr_traddr
echo 4420 > $target/ports/1/addr_trsvcid
ln -s $target/subsystems/hermit $target/ports/1/subsystems/hermit
echo "nqn=hermit,transport=rdma,traddr=${ADDR%:*},trsvcid=4420,nr_io_queues=1" > /dev/nvme-fabrics
wait_for 30 test -b /dev/nvme0n1
mkswap /dev/nvme0n1 > /dev/null
swapon /dev/nvme0n1
sysctl -qw vm.page-cluster=0
echo never > /sys/kernel/mm/transparent_hugepage/enabled
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/vm
# the process itself needs a few MiB as well
echo $(((LIMIT + 4) << 20)) > /sys/fs/cgroup/vm/memory.max
( echo 0 > /sys/fs/cgroup/vm/cgroup.procs
  load nvme-swap --cgroup /sys/fs/cgroup/vm )
swapoff /dev/nvme0n1
echo 1 > /sys/class/nvme/nvme0/delete_controller
rm $target/ports/1/subsystems/hermit
rmmod hermit_count
