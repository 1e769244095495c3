# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=200 kvm=patched light
# expect: ok
# Pages of the kernel that are charged to a VM and that the module does not tell
# of are found, and so are figures that the host does not have, or that cannot be
# read. The pages are those of pipes: charged, and under no name of their own.
. /src/tests/vm/must-fail.sh
. /src/tests/vm/vm-tests.sh
SLACK=$((16 << 20))
load_hermit
vm=$(new_cgroup vm)
VM_KERNEL=none in_cgroup "$vm" hermit_vm v 64 32 local
check_charged v "$vm" $SLACK
cat > $W/leak.py <<'END'
import fcntl, os, time
pipes = [os.pipe() for _ in range(24)]
for r, w in pipes:
    fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 1 << 20)
    os.write(w, bytes(1 << 20))
print("leaked", flush=True)
time.sleep(1000)
END
in_cgroup "$vm" start_daemon leak python3 -I $W/leak.py
wait_for 30 grep -q leaked $W/leak.log
must_fail 'the host has .* bytes less for v, and the module tells of' check_charged v "$vm" $SLACK
stop_daemon leak 143
check_charged v "$vm" $SLACK
boast() { claimed() { echo $((64 << 20)); }; check_charged v "$vm" $SLACK; }
must_fail 'the module tells of 67108864 bytes at least' boast
mute() { claimed() { return 1; }; check_charged v "$vm" $SLACK; }
must_fail 'cannot be read' mute
must_fail 'cannot be read' check_charged v /sys/fs/cgroup/none $SLACK
