# SPDX-License-Identifier: GPL-2.0-or-later
# Linux swap over a wire, for benchmarks in L1.

# start_nbd MIB [ADDRESS]: /dev/nbd0, of nbdkit's memory plugin at 127.0.0.1 or there
start_nbd()
{
	local at=${2:-127.0.0.1}
	modprobe nbd nbds_max=1
	nbdkit -i $at -p 7472 -P $W/nbdkit memory "$1M"
	nbd-client -N '' $at 7472 /dev/nbd0 > $W/nbd.log 2>&1 || fail "nbd-client: $(tail -n 1 $W/nbd.log)"
}

stop_nbd()
{
	nbd-client -d /dev/nbd0 > /dev/null
	kill "$(cat $W/nbdkit)"
	wait_for 20 gone "$(cat $W/nbdkit)"
	rmmod nbd
}

# start_nvme MIB ADDRESS: /dev/nvme0n1, NVMe over RDMA as Debian's kernel has it,
# of a RAM disk at an address of this machine; without multipath, which would be
# one more layer
start_nvme()
{
	local target=/sys/kernel/config/nvmet
	modprobe brd rd_nr=1 rd_size=$(($1 * 1024))
	modprobe nvme_core multipath=N
	modprobe -a configfs nvmet nvmet-rdma nvme-fabrics nvme-rdma
	mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
	mkdir $target/subsystems/hermit
	echo 1 > $target/subsystems/hermit/attr_allow_any_host
	mkdir $target/subsystems/hermit/namespaces/1
	echo /dev/ram0 > $target/subsystems/hermit/namespaces/1/device_path
	echo 1 > $target/subsystems/hermit/namespaces/1/enable
	mkdir $target/ports/1
	echo ipv4 > $target/ports/1/addr_adrfam
	echo rdma > $target/ports/1/addr_trtype
	echo $2 > $target/ports/1/addr_traddr
	echo 4420 > $target/ports/1/addr_trsvcid
	ln -s $target/subsystems/hermit $target/ports/1/subsystems/hermit
	echo "nqn=hermit,transport=rdma,traddr=$2,trsvcid=4420,nr_io_queues=1" > /dev/nvme-fabrics
	wait_for 30 test -b /dev/nvme0n1
}

stop_nvme()
{
	echo 1 > /sys/class/nvme/nvme0/delete_controller
	rm /sys/kernel/config/nvmet/ports/1/subsystems/hermit
}

# swapped DEVICE LIMIT-MIB|max COMMAND...: in a cgroup of that limit, which swaps to
# it. A fault brings its page only, as ours do with prefetch off, or as many as
# PAGE_CLUSTER says (3 is Linux' default: 8 pages). THP=always is what Debian sets,
# and ZSWAP=Y puts zswap in front of the device, with its compressor as Debian has it.
# What the cgroup counted is in $W/swapped.stat then.
swapped()
{
	local device=$1 limit=$2
	shift 2
	mkswap $device > /dev/null
	swapon $device
	sysctl -qw vm.page-cluster=${PAGE_CLUSTER:-0}
	echo ${THP:-never} > /sys/kernel/mm/transparent_hugepage/enabled
	# A guest's kernel clears what it then reads, so its first touch is a write.
	# The small VM reads first, and a huge page of zeros that is written to is
	# split by Linux 6.12.
	echo 0 > /sys/kernel/mm/transparent_hugepage/use_zero_page
	echo ${ZSWAP:-N} > /sys/module/zswap/parameters/enabled
	echo +memory > /sys/fs/cgroup/cgroup.subtree_control
	mkdir -p /sys/fs/cgroup/vm
	[ $limit = max ] || limit=$((limit << 20))
	echo $limit > /sys/fs/cgroup/vm/memory.max
	( echo 0 > /sys/fs/cgroup/vm/cgroup.procs
	  "$@" )
	cp /sys/fs/cgroup/vm/memory.stat $W/swapped.stat
	swapoff $device
	rmdir /sys/fs/cgroup/vm
}
