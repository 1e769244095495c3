# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=2 timeout=900 kvm=patched
# Bursts of two vCPUs on two CPUs, each followed by a pause of the same length:
# how many faults had to wait for room, with each fixed number of reclaim
# threads and with feedback.
load_hermit
for round in 1 2; do
	for threads in 1 2 4 0; do
		mini --size 96 --limit 24 --server local:plain --vcpus 2 --ops ${HERMIT_ARG_BURST:-300} --rounds 60 --threads $threads burst > /out/burst ||
			fail "$threads threads: $(tail -n 1 /out/burst)"
		note "$(grep ^burst /out/burst)"
	done
done
unload_hermit
unload_kvm
