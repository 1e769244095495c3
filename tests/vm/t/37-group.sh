# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=300 kvm=none light
# A cgroup that has less memory than the limit of the VM in it: pages leave until
# what is left fits, every byte is right, and nobody is killed; so at the start, and
# when memory.max is lowered beside it; memory.high as well. SIGKILL ends who waits
# for what is not there. The host shows the pages as those of a shared file.
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 256M
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
MIB=$((1 << 20))
event() { sed -n "s/^$2 //p" /sys/fs/cgroup/$1/memory.events; }
# what the host shows as shared, in KiB, but for the server's memory
shmem()
{
	{ cat /proc/meminfo "/proc/$(pgrep -x hermit-memserve)/status" 2> /dev/null || :; } |
		awk '$1 == "Shmem:" { n = $2 } $1 == "RssShmem:" { n -= $2 } END { print n }'
}
group()	# group NAME FILE=VALUE...
{
	local g=/sys/fs/cgroup/$1 s
	mkdir "$g"
	shift
	for s; do
		echo "${s#*=}" > "$g/${s%%=*}"
	done
}
inside()	# inside GROUP ARGS...: this shell becomes a load of 64 MiB with a limit of 48 in it
{
	echo 0 > /sys/fs/cgroup/$1/cgroup.procs
	shift
	exec region-stress --size 64 --limit 48 --threads 2 "$@"
}
OPS=${HERMIT_ARG_OPS:-12000}

region-stress --size 64 --limit 16 --threads 2 --ops 2000 || fail "warm-up run"
before=$(free_kib)
shared=$(shmem)

group max memory.max=$((29 * MIB)) memory.swap.max=0
( inside max --ops $OPS --server tcp:127.0.0.1:7471 ) > /out/max || fail "memory.max at 60 % of the limit: $(cat /out/max)"
note "max: $(sed 's/ clean.*//' /out/max); refused $(event max max) times, peak $(($(cat /sys/fs/cgroup/max/memory.peak) / MIB)) MiB"
peak=$(cat /sys/fs/cgroup/max/memory.peak)
[ $peak -gt $((26 * MIB)) ] || fail "the group had $peak bytes at most: this shows nothing"
[ "$(event max oom_kill)" = 0 ] || fail "the OOM killer came"
# nothing else stalls there: the kernel had nothing to reclaim
stalled=$(sed -n 's/^some.*total=//p' /sys/fs/cgroup/max/memory.pressure)
note "max: $((stalled / 1000)) ms of memory pressure, and the group was full $(event max max) times"
[ "$stalled" -gt 0 ] || fail "no wait for a page counts as memory pressure"

group local memory.max=$((44 * MIB)) memory.swap.max=0
( inside local --ops $OPS --server local: ) > /out/local || fail "memory.max below the limit, local pool: $(cat /out/local)"
peak=$(cat /sys/fs/cgroup/local/memory.peak)
note "local: $(sed 's/ clean.*//' /out/local); refused $(event local max) times, peak $((peak / 1024)) KiB"
# the pool is in the group, and leaves something for what QEMU itself needs
[ $peak -lt $((44 * MIB)) ] || fail "the local pool grew until the group was full"
[ "$(event local oom_kill)" = 0 ] || fail "the OOM killer came (local)"

# no VM starts in what cannot hold the least that it needs
group small memory.max=$((4 * MIB)) memory.swap.max=0
! ( inside small --ops 100 --server tcp:127.0.0.1:7471 ) > /out/small 2>&1 || fail "a region of a group of 4 MiB starts"
grep -q 'the cgroup of this process lacks [0-9]* KiB below memory.max' /out/small || fail "a group of 4 MiB: $(cat /out/small)"

# live: it has all that it may have, and then the group is made smaller
group live memory.swap.max=0
inside live --ops 100000000 --server tcp:127.0.0.1:7471 > /out/live 2>&1 &
pid=$!
grown() { [ "$(cat /sys/fs/cgroup/live/memory.current)" -gt $((44 * MIB)) ]; }
wait_for 120 grown
# what the server has grows beside it, between two looks
shown() { [ $(($(shmem) - shared)) -ge $((40 * 1024)) ]; }
(wait_for 60 shown) || fail "the host shows $(($(shmem) - shared)) KiB as shared, of 44 MiB"
note "live: the host shows $((($(shmem) - shared) / 1024)) MiB more as shared"
echo $((29 * MIB)) > /sys/fs/cgroup/live/memory.high
below() { [ "$(cat /sys/fs/cgroup/live/memory.current)" -le $((30 * MIB)) ]; }
wait_for 120 below
note "live: $(($(cat /sys/fs/cgroup/live/memory.current) / 1024)) KiB with memory.high of $((29 * 1024))"
gone $pid && fail "the load ended: $(cat /out/live)"
# and is ended whatever it waits for
echo 4096 > /sys/fs/cgroup/live/memory.high
sleep 1
kill -9 $pid
wait_for 30 gone $pid
wait $pid || true
# its memory is not the group's
stop_memserver m1

given() { [ $((before - $(free_kib))) -lt 6144 ]; }
wait_for 20 given
none_shown() { [ $(($(shmem) - shared)) -lt 1024 ]; }
(wait_for 20 none_shown) || fail "$(($(shmem) - shared)) KiB are shown as shared, and no region is left"
teardown
