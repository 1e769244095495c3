# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=240 kvm=none light long
# A region that is sealed, over TCP, without KVM. A secret of its pages is found in the
# server's memory and on lo without sealing, and in neither with it; what the server had
# before is not served, nor what it forges with the right CRC. Threads find every byte
# again under a limit that jumps, also when one of two servers dies. Refused: local:,
# and that the host hibernates meanwhile.
S=tcp:127.0.0.1:7471
counter() { hermitctl stat stress --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -n 1; }
above() { [ "$(counter "$1")" -gt "$2" ]; }
ready() { [ -e $W/ready ]; }

load_hermit
ip link set lo up
start_memserver m1 $S --capacity 256M
region-seal --server $S --server-pid "$(cat $W/m1.memserver)" > /out/plain 2>&1 ||
	fail "without sealing: $(cat /out/plain)"
note "plain $(sed -n 's/; lo.*//;s/^memory: //p' /out/plain), on lo $(sed -n 's/.*packets, \([0-9]* marks\);.*/\1/p' /out/plain)"

region-seal --server $S --server-pid "$(cat $W/m1.memserver)" --seal --ready $W/ready > /out/seal 2>&1 & pid=$!
wait_for 60 ready
if [ -e /sys/power/disk ]; then
	! echo disk > /sys/power/state || fail "the host hibernated with a sealed region"
	dmesg | grep -q 'no hibernation: 1 VMs have memory that is sealed' ||
		fail "no word of why the host does not hibernate: $(dmesg | tail -n 3)"
else
	note "this kernel cannot hibernate"
fi
rm $W/ready
wait $pid || fail "sealed: $(cat /out/seal)"
note "sealed $(sed -n 's/^memory: //p' /out/seal)"
note "$(tail -n 1 /out/seal)"

region-stress --seal --server $S --size 64 --limit 16 --threads 4 --ops 2500 --flip > /out/stress 2>&1 ||
	fail "sealed, under a limit that jumps: $(cat /out/stress)"
note "stress: $(sed 's/ clean.*//' /out/stress)"
stop_memserver m1

# Two servers, each page on both, and one begins anew with nothing.
A=tcp:127.0.0.1:7475 B=tcp:127.0.0.1:7476
all_copied() { [ "$(counter short-copies)" = 0 ]; }
start_memserver a $A --capacity 128M
start_memserver b $B --capacity 128M
region-stress --seal --server $A --server $B --limit 16 --size 64 --threads 4 --ops 100000000 > /out/two 2>&1 & pid=$!
wait_for 60 above fetches 500
kill_memserver a
wait_for 60 above short-copies 0
start_memserver a $A --capacity 128M
wait_for 60 above moved 0
wait_for 120 all_copied
kill_memserver b
fetches=$(counter fetches)
wait_for 60 above fetches $((fetches + 200))
start_memserver b $B --capacity 128M
end_child region-stress $pid TERM 0
note "two: $(sed 's/ clean.*//' /out/two)"
grep -q 'failures=0 ' /out/two && grep -q 'read_errors=0 ' /out/two && grep -q ' lost=0$' /out/two ||
	fail "one of two servers died: $(cat /out/two)"
stop_memserver a
stop_memserver b

! region-stress --seal --server local: --ops 1 > /out/err 2>&1 || fail "sealed, and local:"
grep -q 'where sealed pages do not get smaller; leave out seal' /out/err || fail "local: $(cat /out/err)"
teardown
