# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=300 kvm=none peer=peer-tcp long log-ok='invoked oom-killer|oom-kill:|Out of memory: Killed process .*\(hog\)|Call Trace:|page allocation failure'
# A host that runs out of memory with two VMs on it: what they have here goes to
# the server until little more than their floors is left, and only then does the
# OOM killer come. It takes who takes it all. The VMs go on, every byte is right,
# and they may have their limits again.
LIMIT=112 LITTLE=$((16 << 8))	# MiB; pages
load_hermit
# the server is another machine: what goes to it is gone from here
start_link 10.9.0.2/24
wait_for 120 ping -c 1 -W 1 10.9.0.9
# two emulated machines on one: each stands still at times
echo 5000 > /sys/module/hermit/parameters/tcp_deadline_ms
for vm in a b; do
	region-stress --size 160 --limit $LIMIT --ops 1000000000 --server tcp:10.9.0.1:7471 > $W/$vm.out 2>&1 &
	echo $! > $W/$vm.load
done
# the pages that each region has here, again and again, by somebody who needs no
# more memory than he has
cat > $W/watch.py <<'END'
import ctypes, fcntl, struct, sys, time
SIZE = 16 + 64 + 24
entries = ctypes.create_string_buffer(4 * SIZE)
hermit = open("/dev/hermit")
print("ready", flush=True)
ctypes.CDLL(None).mlockall(3)
while True:
    l = bytearray(struct.pack("<4IQ", 24, 4, SIZE, 0, ctypes.addressof(entries)))
    fcntl.ioctl(hermit, 0xc0186806, l)
    n = struct.unpack_from("<I", l, 4)[0]
    print(*(struct.unpack_from("<Q", entries, i * SIZE + SIZE - 8)[0] for i in range(n)), flush=True)
    time.sleep(0.1)
END
start_daemon watch python3 -I $W/watch.py
# both, as they were last seen: resident TEST PAGES
resident() { tail -n 1 $W/watch.log | awk -v n="$2" -v op="$1" 'NF != 2 { exit 1 } { exit !(op == ">" ? $1 > n && $2 > n : $1 < n && $2 < n) }'; }
wait_for 120 resident '>' $(((LIMIT - 8) << 8))
from=$(wc -l < $W/watch.log)

cat > $W/hog.py <<'END'
open("/proc/self/comm", "w").write("hog")
open("/proc/self/oom_score_adj", "w").write("0")
held = []
while True:
    held.append(bytearray(b"x" * (1 << 20)))
END
rc=0
python3 -I $W/hog.py > $W/hog.log 2>&1 || rc=$?
[ $rc = 137 ] || fail "the hog ended with $rc and not by the OOM killer: $(cat $W/hog.log)"
dmesg | grep 'Out of memory: Killed process' > /out/killed || true
[ "$(grep -c '(hog)' /out/killed)" = 1 ] && [ "$(wc -l < /out/killed)" = 1 ] || fail "the OOM killer took: $(cat /out/killed)"
least=$(tail -n +"$from" $W/watch.log | awk 'NF == 2 { n = $1 > $2 ? $1 : $2; if (!m || n < m) m = n } END { print m + 0 }')
note "both VMs were down to $((least * 4)) KiB of $((LIMIT << 10)); $(grep -o 'anon-rss:[0-9]*kB' /out/killed)"
[ "$least" -gt 0 ] && [ "$least" -lt $LITTLE ] || fail "the OOM killer came while a VM still had $((least * 4)) KiB here"

# there is memory again, and the limits come back
wait_for 120 resident '>' $(((LIMIT - 8) << 8))
stop_daemon watch 143
for vm in a b; do
	kill -TERM "$(cat $W/$vm.load)"
	rc=0
	wait "$(cat $W/$vm.load)" || rc=$?
	[ $rc = 0 ] || fail "$vm: $rc: $(cat $W/$vm.out)"
	note "$vm: $(sed 's/ clean.*//' $W/$vm.out)"
done
teardown
