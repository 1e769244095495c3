# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=300 kvm=none log-ok='soft offline: |Soft offlining pfn|soft_offline: |page dumped because: (migration failure|unmovable page)'
# What a host does to pages and CPUs while a region works: compaction, CPUs that
# go and come, memory blocks offlined and onlined, pages soft-offlined, and NUMA
# balancing, which has no business there. Every byte comes back, and nothing is left;
# what is given back is whole blocks.
load_hermit
stress()	# stress NAME OPS ARGS...: in the background
{
	local name=$1 ops=$2
	shift 2
	region-stress --size 64 --limit 24 --threads 4 --ops "$ops" --flip --dio /run/w/dio "$@" > /out/$name 2>&1 &
	stress=$!
}
# beside NAME OPS COMMAND...: again and again while region-stress runs. One that is
# through before the command did its work three times shows nothing: it gets more to do.
beside()
{
	local name=$1 ops=$2 n=0
	shift 2
	while [ $n -lt 3 ]; do
		n=0
		stress $name $ops
		until gone $stress 2> /dev/null; do
			! "$@" >> /out/$name.done 2>&1 || n=$((n + 1))
		done
		wait $stress || fail "$name: $(tail -n 5 /out/$name | tr '\n' ' ')"
		grep -q 'failures=0 ' /out/$name || fail "$name: no result: $(tail -n 2 /out/$name)"
		ops=$((ops * 3))
	done
	note "$name: $n rounds beside $(grep '^stress' /out/$name | sed 's/ clean=.*//')"
}
OPS=${HERMIT_ARG_OPS:-12000}
stat_of() { awk -v k="$1" '$1 == k { print $2 }' /proc/vmstat; }

stress warm 2000
wait $stress || fail "warm-up run: $(cat /out/warm)"
before=$(free_kib)

# Compaction: pages of a region cannot move, and it must see that.
compact() { echo 1 > /proc/sys/vm/compact_memory; sleep 0.2; }
scanned=$(stat_of compact_migrate_scanned)
beside compaction $OPS compact
scanned=$(($(stat_of compact_migrate_scanned) - scanned))
[ "$scanned" -gt 1000 ] || fail "compaction looked at $scanned pages: this shows nothing"

# A CPU goes with ready pages in its pool, and comes back.
cpu=/sys/devices/system/cpu/cpu1/online
requires $cpu "a second CPU"
hotplug() { echo 0 > $cpu; sleep 0.5; echo 1 > $cpu; sleep 0.5; }
beside hotplug $OPS hotplug
[ "$(cat $cpu)" = 1 ] || echo 1 > $cpu
# the end of a region while a CPU is away
stress away 3000
echo 0 > $cpu
wait $stress || fail "away: $(cat /out/away)"
echo 1 > $cpu
[ "$(cat /sys/devices/system/cpu/online)" = 0-1 ] || fail "CPUs $(cat /sys/devices/system/cpu/online) after all"

# Memory blocks: one with a region's page in it cannot go, and is left whole.
blocks=/sys/devices/system/memory
requires $blocks "memory hotplug"
offline()
{
	local b
	for b in $(ls -d $blocks/memory[0-9]* | shuf -n 1); do
		[ "$(cat $b/online)" = 1 ] || continue
		# it tries for as long as it is let
		timeout -s INT 2 sh -c "echo offline > $b/state" && echo "offline ${b##*/}" || echo "refused ${b##*/}"
		[ "$(cat $b/online)" = 1 ] || { sleep 0.3; echo online > $b/state; }
	done
}
beside offline $((OPS * 2)) offline
note "offline: $(grep -c ^offline /out/offline.done || true) blocks went, $(grep -c ^refused /out/offline.done || true) refused"
[ -s /out/offline.done ] || fail "no block was tried"

# What a region gives back is huge pages for others again: its pages do not share
# page blocks with what stays, as page tables, of which each 2 MiB have one.
# The debug kernel has no huge pages to ask for.
if [ -e /proc/sys/vm/nr_hugepages ]; then
cat > $W/fill.py <<'END'
import fcntl, mmap, os, struct, sys
SIZE = 512 << 20
create = bytearray(struct.pack("<2I2Q16s64s4I", 968, 1, SIZE, SIZE, os.urandom(16), b"fill", 0, 0, 0, 0)).ljust(968, b"\0")
control = os.open("/dev/hermit", os.O_RDWR)
fcntl.ioctl(control, 0xc0006801 | len(create) << 16, create)
memory = mmap.mmap(struct.unpack_from("<i", create, 952)[0], SIZE)
for at in range(0, SIZE, 4096):
    memory[at]
print("full", flush=True)
sys.stdin.readline()
END
shmem() { awk '$1 == "Shmem:" { print $2 }' /proc/meminfo; }
shown=$(shmem)
mkfifo $W/fill
python3 -I $W/fill.py < $W/fill > $W/fill.log 2>&1 &
fill=$!
exec 9> $W/fill
wait_for 120 grep -q full $W/fill.log
hermitctl set fill --limit 32M > /dev/null
lowered() { [ $(($(shmem) - shown)) -lt $((48 << 10)) ]; }
wait_for 60 lowered
# all that is free but for what the host itself needs
echo 3 > /proc/sys/vm/drop_caches
echo 1 > /proc/sys/vm/compact_memory
want=$((($(awk '$1 == "MemFree:" { print $2 }' /proc/meminfo) - (160 << 10)) / 2048))
echo $want > /proc/sys/vm/nr_hugepages
got=$(cat /proc/sys/vm/nr_hugepages)
echo 0 > /proc/sys/vm/nr_hugepages
note "with 480 of 512 MiB of a region given back $got of $want huge pages could be had"
# the kernel's own pages may have spoilt some; without page blocks of their own 153 were missing
[ $got -gt $((want - 64)) ] || fail "a region had 256 page blocks and gave back 240 of them, and $((want - got)) huge pages are not to be had"
echo >&9
exec 9>&-
wait $fill || fail "fill: $(cat $W/fill.log)"
else
	note 'this kernel has no huge pages: whether a region gives back whole ones was not looked at'
fi

# Soft offline asks for a page to be given up; those of a region do not move.
pfns()	# pfns PID N: of pages of its region
{
	python3 -I -c '
import random, struct, sys
pid, n = sys.argv[1], int(sys.argv[2])
for line in open("/proc/%s/maps" % pid):
    if "hermit-memory" in line:
        start, end = (int(x, 16) for x in line.split()[0].split("-"))
        f = open("/proc/%s/pagemap" % pid, "rb")
        f.seek(start // 4096 * 8)
        words = struct.iter_unpack("<Q", f.read((end - start) // 4096 * 8))
        here = [w & ((1 << 55) - 1) for w, in words if w >> 63]
        print(*random.sample(here, min(n, len(here))))' "$1" "$2"
}
soft_offline()
{
	local pfn tried=
	# none before it has mapped any, or after its end
	for pfn in $(pfns $stress 3); do
		echo $((pfn * 4096)) > $blocks/soft_offline_page && echo "gone $pfn" || echo "kept $pfn"
		tried=1
	done
	sleep 0.3
	[ -n "$tried" ]
}
if [ -e $blocks/soft_offline_page ]; then
	beside soft $OPS soft_offline
	tried=$(grep -c '^gone\|^kept' /out/soft.done || true)
	note "soft: $tried pages asked for, $(grep -c ^gone /out/soft.done || true) given up"
	[ "$tried" -ge 3 ] || fail "only $tried pages of the region were found: this shows nothing"
fi

# NUMA balancing takes away page tables, those of KVM with them, to see who comes
# back for a page, and pages of a region cannot move. The trace has the mappings
# that a scan passed by, and why.
T=/sys/kernel/tracing
requires $T/events/sched/sched_skip_vma_numa/enable "a trace of what NUMA balancing scans"
echo 10 > /sys/kernel/debug/sched/numa_balancing/scan_delay_ms
echo 1 > $T/events/sched/sched_skip_vma_numa/enable
echo 1 > /proc/sys/kernel/numa_balancing
stress numa 10000000
mapping() { sed -n 's/^\([0-9a-f]*\)-\([0-9a-f]*\) .*hermit-memory.*/\1 \2/p' /proc/$stress/maps; }
mapped() { [ -n "$(mapping)" ]; }
wait_for 20 mapped
set -- $(mapping)
[ $# = 2 ] || fail "the region's mappings: $*"
range="vm_start=${1^^} vm_end=${2^^}"		# as the trace writes it
passed_by() { cp $T/trace /out/numa.trace && grep -q "$range reason=unsuitable" /out/numa.trace; }
wait_for 60 passed_by
kill $stress
wait $stress || fail "numa: $(cat /out/numa)"
echo 0 > /proc/sys/kernel/numa_balancing
echo 0 > $T/events/sched/sched_skip_vma_numa/enable
note "NUMA balancing passes by the region: $(grep -c "$range" /out/numa.trace) times so far"

# a page that went for good is not given back
wait_given_back "$before" 6144
teardown
