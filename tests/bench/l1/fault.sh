# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G icount timeout=900 kvm=patched
# What a fault and an eviction cost in instructions: one vCPU goes over pages
# of which a quarter fit, in order, so every access faults and evicts. Hermit's
# local pool of plain copies through the EPT hook and through vm_ops->fault, and
# Linux swap on a RAM disk (brd, page-cluster 0) under the same guest program.
#
# With less local memory pages would go round within the 12 ms for which a page
# just brought is no victim (an instruction is a nanosecond here), and reclaim
# would look in vain at most of them.
SIZE=${HERMIT_ARG_SIZE:-192} LIMIT=${HERMIT_ARG_LIMIT:-48} SERVER=${HERMIT_ARG_SERVER:-local:plain}
result() { sed "s/^/$1 /" "/out/$1.txt" | grep -E ' (first_touch|fault_read|fault_write|hot_read) ' | while read -r line; do note "$line"; done; }

load_hermit
mini --server $SERVER --size $SIZE --limit $LIMIT --rounds 2 bench > /out/hook.txt
result hook
unload_hermit

# the same module, the stock way: as if KVM had no hook
insmod "$(module hermit)"
mini --server $SERVER --size $SIZE --limit $LIMIT --rounds 2 bench > /out/host-fault.txt
result host-fault
unload_hermit

modprobe brd rd_nr=1 rd_size=$((SIZE * 2048))
mkswap /dev/ram0 > /dev/null
swapon /dev/ram0
sysctl -qw vm.page-cluster=0
echo never > /sys/kernel/mm/transparent_hugepage/enabled
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/vm
# the process itself needs a few MiB as well
echo $(((LIMIT + 4) << 20)) > /sys/fs/cgroup/vm/memory.max
( echo 0 > /sys/fs/cgroup/vm/cgroup.procs
  exec mini --anon --size $SIZE --rounds 2 bench ) > /out/swap-brd.txt
result swap-brd
swapoff /dev/ram0
rmmod brd
unload_kvm
