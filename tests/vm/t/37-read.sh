# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=240 kvm=none light log-ok='Memory failure: |MCE: Killing'
# pread of a region that is mostly at a server, as migration and snapshots do it:
# every byte is right, no page comes for it, a lost page and a bad buffer end it
# where they are, and who waits for a silent server can be killed. With a delay
# of 2 ms each way many pages in one pread take about as long as a recall.
#
# HERMIT_ARG_MIB: how much is remote when it is measured.
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 128M
region-read --server tcp:127.0.0.1:7471 --server-pid "$(cat "$W/m1.memserver")" > /out/read 2>&1 ||
	fail "region-read: $(tail -n 3 /out/read | tr '\n' ' ')"
note "$(tail -n 1 /out/read)"
modprobe sch_netem || skip "this kernel has no netem"
tc qdisc add dev lo root netem delay 2ms limit 100000
region-read --server tcp:127.0.0.1:7471 --measure "${HERMIT_ARG_MIB:-16}" > /out/measure 2>&1 ||
	fail "region-read --measure: $(tail -n 3 /out/measure | tr '\n' ' ')"
tc qdisc del dev lo root
note "$(tail -n 1 /out/measure)"
