# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=400 kvm=none light log-ok='oom-kill|Memory cgroup out of memory|Call Trace:'
# The local pool without any KVM: compressible, same-filled and incompressible
# pages come back byte for byte while they change kind, its figures agree with
# what was stored, a full pool stalls its writer until there is room, what it
# takes is charged to the cgroup, and nothing is left afterwards.
load_hermit
pool()	# pool NAME ARGS...
{
	local name=$1
	shift
	region-pool "$@" > /out/$name 2> /out/$name.err || fail "$name ($*): $(tail -n 1 /out/$name) $(head -n 3 /out/$name.err)"
	cat /out/$name
}
figure() { sed -n "s/.*\b$2=\([0-9.]*\).*/\1/p" /out/$1 | head -n 1; }

pool warm --rounds 1
before=$(free_kib)
pool mixed --threads 4 --rounds 4
note "mixed: $(head -n 1 /out/mixed)"
for kind in t s r; do
	pool $kind --kinds $kind --rounds 1
	note "$(head -n 1 /out/$kind)"
done
# What "compressed" means: text takes less than half, random pages a page each
# and not much more, and one word takes no more than the tables.
awk "BEGIN { exit !($(figure t ratio) > 2) }" || fail "text: ratio $(figure t ratio)"
awk "BEGIN { exit !($(figure r ratio) > 0.9 && $(figure r ratio) < 1.1) }" || fail "random: ratio $(figure r ratio)"
[ "$(figure s bytes)" = 0 ] || fail "same-filled pages take $(figure s bytes) bytes"
[ "$(figure s same)" = "$(figure s pages)" ] || fail "same-filled: $(figure s same) of $(figure s pages)"
[ "$(figure t raw)" = 0 ] || fail "text: $(figure t raw) pages were kept as they are"
[ "$(figure r raw)" = "$(figure r pages)" ] || fail "random: $(figure r raw) of $(figure r pages) are incompressible"
for algorithm in lzo-rle zstd plain; do
	pool $algorithm --server local:$algorithm --rounds 1
done

# Threads, pins and a moving limit, over it.
region-stress --size 64 --limit 16 --threads 4 --ops 15000 --server local: --dio /run/w/dio --flip > /out/stress ||
	fail "stress: $(cat /out/stress)"
note "stress: $(sed 's/ clean.*//' /out/stress)"

# Too small by far: it stalls, says so, and goes on when it may.
pool full --server local::8M --kinds r --limit 8 --full
pool full-plain --server local:plain:8M --kinds r --limit 8 --full
note "$(head -n 1 /out/full)"
# A writer that stalls can be killed, and all is given back.
region-pool --server local::8M --kinds r --limit 8 --stuck > /out/stuck 2>&1 &
pid=$!
wait_for 60 grep -q '^full' /out/stuck
end_child region-pool $pid KILL 137
wait_given_back "$before" 6144

# Charged to whom it belongs: a region of 64 MiB and a limit of 8 leaves 56 MiB
# of random pages in the pool, and the group has them all.
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/vm
( echo 0 > /sys/fs/cgroup/vm/cgroup.procs
  exec region-pool --server local: --kinds r --size 64 --limit 8 --rounds 0 ) > /out/charged || fail "charged: $(cat /out/charged)"
peak=$(cat /sys/fs/cgroup/vm/memory.peak)
note "pool $(figure charged used) bytes, memory.peak $peak"
[ "$peak" -ge "$(figure charged used)" ] || fail "the cgroup had $peak bytes at most, the pool alone $(figure charged used)"
# And within its bound: reclaim threads, which run without limits, do not pass
# it. What the kernel does then with a group that is full is its own affair: it
# kills, and says so (log-ok).
mkdir /sys/fs/cgroup/vm2
echo 40M > /sys/fs/cgroup/vm2/memory.max
( echo 0 > /sys/fs/cgroup/vm2/cgroup.procs
  exec region-pool --server local: --kinds r --size 64 --limit 8 --stuck ) > /out/bound 2>&1 &
pid=$!
bounded() { [ "$(cat /sys/fs/cgroup/vm2/memory.peak)" -ge $((36 << 20)) ] || gone $pid; }
wait_for 60 bounded
sleep 3
peak=$(cat /sys/fs/cgroup/vm2/memory.peak)
note "memory.peak $peak with memory.max of 40 MiB"
[ "$peak" -ge $((36 << 20)) ] || fail "the cgroup had $peak bytes at most: this shows nothing"
[ "$peak" -le $((41 << 20)) ] || fail "the cgroup had $peak bytes, above its bound of 40 MiB"
kill -9 $pid 2> /dev/null || true
wait $pid || true

refuse() { ! region-pool --server "$1" 2> /out/err || fail "$1 was accepted"; grep -q "$2" /out/err || fail "$1: $(cat /out/err)"; }
refuse local:lz5 'use local:\[lz4'
refuse local:lz4:12x 'a multiple of 4096'
refuse local::0 'a multiple of 4096'
teardown
