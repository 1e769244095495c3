# SPDX-License-Identifier: GPL-2.0-or-later
# PID 1 of L1 after switch_root: finish the mounts, run one test, tell the
# verdict on the virtio-serial port, power off.
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
# written by tests/vm/run: TEST, KVM_MODE, RELEASE, MODULES, KERNEL_DIR, ...
. /out/env

# boot_systemd: the tree's own systemd is PID 1 from here on, as on a host; this
# script comes back by a unit, when all that a host starts has been started
boot_systemd()
{
	local d=/etc/systemd/system
	grep -qE '^[0-9a-f]{32}$' /etc/machine-id || tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
	echo l1 > /etc/hostname
	# the console is the kernel's
	ln -s /dev/null $d/serial-getty@ttyS0.service
	mkdir -p $d/l1-test.target.wants
	printf '[Unit]\nDescription=a test\nRequires=multi-user.target\nAfter=multi-user.target\n' > $d/l1-test.target
	printf '[Unit]\nDefaultDependencies=no\nAfter=multi-user.target\n[Service]\nExecStart=/bin/bash /src/tests/vm/l1-main.sh\nTasksMax=infinity\nKillMode=process\n' > $d/l1-test.service
	ln -s $d/l1-test.service $d/l1-test.target.wants/
	exec /usr/lib/systemd/systemd --unit=l1-test.target
}
[ -z "$SYSTEMD" ] || [ $$ != 1 ] || boot_systemd

if [ -z "$SYSTEMD" ]; then
	mkdir -p /run /dev/shm /dev/pts
	mount -t tmpfs -o mode=755 run /run
	mount -t tmpfs shm /dev/shm
	mount -t devpts devpts /dev/pts
	ln -sfn /proc/self/fd /dev/fd
	mount -t tmpfs tmp /tmp
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t debugfs debugfs /sys/kernel/debug
	mount -t tracefs tracefs /sys/kernel/tracing
	mount -t securityfs securityfs /sys/kernel/security
	mkdir -p /run/lock
	ip link set lo up
	hostname l1
fi
mkdir -p /lib/modules
# a tree may have its kernel's package
[ -d "/lib/modules/$RELEASE" ] || ln -sfn "$KERNEL_DIR/lib/modules/$RELEASE" "/lib/modules/$RELEASE"

for p in /sys/class/virtio-ports/*; do
	[ "$(cat "$p/name")" = verdict ] && VERDICT=/dev/${p##*/}
done
export VERDICT
verdict() { echo "$*" > "$VERDICT"; }

if [ -z "$ICOUNT" ]; then
	# the log survives an L1 that does not
	dmesg --follow > /out/dmesg 2>/dev/null &
	logger=$!
fi
echo 60 > /proc/sys/kernel/hung_task_timeout_secs 2>/dev/null
echo -1 > /proc/sys/kernel/hung_task_warnings 2>/dev/null
# a program that crashes is told in the log, also by abort()
echo 1 > /proc/sys/kernel/print-fatal-signals
verdict "up $(cut -d' ' -f1 /proc/uptime)"

# What nobody points to any more. A scan spares what changed since the last one,
# which the first time is everything, and what is younger than 5 s.
leaks()
{
	local k=/sys/kernel/debug/kmemleak
	[ -e $k ] || { echo "kmemleak: no $k"; return; }
	for i in 1 2; do
		[ $i = 1 ] || sleep 6
		echo scan > $k || { echo "kmemleak: it refuses to scan; the kernel log says why it is disabled"; return; }
	done
	cat $k
	echo "scanned"
}

power_off()
{
	[ -z "$logger" ] || kill $logger
	dmesg > /out/dmesg
	# see tests/functions
	[ ! -e /sys/kernel/debug/hermit_functions ] || cat /sys/kernel/debug/hermit_functions > /out/functions
	# debug kernels only; debug_locks is 0 if lockdep gave up
	[ ! -e /proc/lockdep_stats ] || cat /proc/lockdep_stats > /out/lockdep_stats
	! grep -qx CONFIG_DEBUG_KMEMLEAK=y "$KERNEL_DIR/boot/config-$RELEASE" || leaks > /out/kmemleak
	sync
	verdict end
	echo o > /proc/sysrq-trigger
	while :; do sleep 1; done
}

if [ "$SHELL_MODE" = 1 ]; then
	echo "L1 is up. lib-l1.sh is loaded; exit powers off." > /dev/ttyS0
	setsid bash --rcfile /src/tests/vm/lib-l1.sh -i <>/dev/ttyS0 >&0 2>&1
	power_off
fi

# What each thread of a program, and of ours in the kernel, waits for: left in
# /out/stacks by a test that failed, or that will be ended for its time.
stacks()
{
	local t
	cut -d' ' -f1 /proc/uptime
	for t in /proc/[0-9]*/task/[0-9]*; do
		readlink "$t/exe" > /dev/null || grep -q '^hermit' "$t/comm" || continue
		echo "== ${t#/proc/} $(cat "$t/comm") $(sed -n 's/^State:[[:space:]]*//p' "$t/status") $(cut -d' ' -f1 "$t/syscall")"
		cat "$t/stack"
	done
}
if [ -z "$ICOUNT" ] && [ "$LIMIT" -gt 60 ]; then
	( sleep $((LIMIT - 30)); stacks > /out/stacks 2> /dev/null ) &
fi

cd /run
# The test is a child, so whatever it does to itself a verdict follows.
bash /src/tests/vm/l1-test.sh > /out/log 2>&1 < /dev/null
rc=$?
# what guests' kernels said, of those that are still there as well
for f in /run/w/*.serial; do
	[ ! -e "$f" ] || cp "$f" /out/
done
case $rc in
0|77) ;;
*) stacks > /out/stacks 2> /dev/null ;;
esac
reason=$(tail -n 1 /out/reason 2>/dev/null)
# see tests/vm/run: a failure that began with the reset of a guest
if [ $rc != 0 ] && [ -e /out/reset ]; then
	verdict "result reset $(cat /out/reset): ${reason:-exit code $rc}"
	power_off
fi
case $rc in
0)  verdict "result ok" ;;
77) verdict "result skip ${reason:-no reason given}" ;;
*)  verdict "result fail ${reason:-exit code $rc}" ;;
esac
power_off
