# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=3G icount timeout=595 kvm=patched
# Does a fault or an eviction cost more in a larger VM, or beside others? The
# same 96 MiB of pages, evenly spread over the VM's memory, of which 48 MiB may
# be local; and the same in several VMs at once. What starting takes,
# and what it keeps of memory for itself.
SIZE=${HERMIT_ARG_SIZE:-96} LIMIT=${HERMIT_ARG_LIMIT:-48}
load_hermit

# vms SPREAD N: one line for each access of the first of N VMs, while all run
vms()
{
	local spread=$1 n=$2 i pids=() rows="size-mib $((SIZE * $1)) vms $2"
	for i in $(seq "$n"); do
		mini --size $SIZE --spread "$spread" --limit $LIMIT --server local:plain bench > /out/growth-$spread-$n-$i.txt &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || fail "$n VMs of $((SIZE * spread)) MiB: $(tail -n 1 /out/growth-$spread-$n-*.txt)"
	done
	grep '^access ' /out/growth-$spread-$n-1.txt | while read -r line; do note "$rows $line"; done
	note "$rows access start create-ns $(awk '$1 == "create_ns" { print $2 }' /out/growth-$spread-$n-1.txt) metadata-bytes $(awk '$1 == "metadata_bytes" { print $2 }' /out/growth-$spread-$n-1.txt)"
}

for spread in ${HERMIT_ARG_SPREADS:-3 11 43 171}; do
	vms $spread 1
done
for n in ${HERMIT_ARG_VMS:-2 4}; do
	vms 3 $n
done
unload_hermit
unload_kvm
