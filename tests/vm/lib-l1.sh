# SPDX-License-Identifier: GPL-2.0-or-later
# What a test in L1 can call.  bash; paths are those of L1: /hermit is the
# cache, /src the checkout (both read-only), /out the folder of this run.
. /out/env
export PATH=$USERLAND/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin

[ -x $QEMU ] || QEMU=/usr/bin/qemu-system-x86_64
W=/run/w			# scratch: sockets, logs of guests
mkdir -p $W
SLOW=${SLOW:-1}

log()  { echo "[$(cut -d' ' -f1 /proc/uptime)] $*"; }
fail() { log "FAIL: $*"; echo "$*" >> /out/reason; exit 1; }
skip() { log "skip: $*"; echo "$*" >> /out/reason; exit 77; }
# a figure: shown with the verdict, kept in /out/notes
note() { log "note $*"; echo "$*" >> /out/notes; echo "note $*" > "$VERDICT"; }
# a line for whoever watches the run
tell() { echo "tell $*" > "$VERDICT"; }

# No wait is shorter, in seconds: what comes at all may come late, and what does
# not come is found as well.
WAIT_LEAST=60

# wait_for SECONDS COMMAND...: until it succeeds; fails the test after SECONDS
# of L1's time, or WAIT_LEAST, times HERMIT_SLOW.  Under icount the clock runs
# ahead of real I/O, so the count of tries bounds it too.
wait_for()
{
	local seconds=$((($1 < WAIT_LEAST ? WAIT_LEAST : $1) * SLOW)) end tries=0
	shift
	end=$(($(cut -d. -f1 /proc/uptime) + seconds))
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ "$(cut -d. -f1 /proc/uptime)" -ge $end ] && [ $tries -ge $((ICOUNT ? seconds * 4 : 1)) ]; then
			fail "waited $seconds s for: $*"
		fi
		sleep 0.2
	done
}

requires() { [ -e "$1" ] || skip "needs $1${2:+: $2}"; }

# --- programs a test starts ---------------------------------------------------

# Each has a status it must end with: a crash is found also where nothing else
# asks for it, and so is one that is not there any more when it is to be ended.

gone() { [ ! -d "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status"; }

# end_child NAME PID SIGNAL STATUS: a child of this shell, which must be there
# still, is sent SIGNAL and must end with STATUS
end_child()
{
	local rc=0
	if gone "$2"; then
		wait "$2" || rc=$?
		fail "$1 ended before it was told to, with $rc: $(tail -n 1 "$W/$1".*log 2>/dev/null)"
	fi
	kill -"$3" "$2"
	wait_for 30 gone "$2"
	wait "$2" || rc=$?
	[ $rc = "$4" ] || fail "$1 ended with $rc and not $4 after SIG$3: $(tail -n 1 "$W/$1".*log 2>/dev/null)"
}

# start_daemon NAME COMMAND...: in the background, its output in $W/NAME.log; and
# stop_daemon NAME [STATUS]: by TERM.  143 is one that does not catch that.
start_daemon()
{
	local name=$1
	shift
	"$@" > "$W/$name.log" 2>&1 < /dev/null &
	echo $! > "$W/$name.daemon"
}
stop_daemon()
{
	local pid
	pid=$(cat "$W/$1.daemon")
	rm "$W/$1.daemon"
	end_child "$1" "$pid" TERM "${2:-0}"
}

# --- modules ---------------------------------------------------------------

module() { echo "$MODULES/$1.ko"; }

# load_kvm patched|stock [PARAMETER-OF-KVM [PARAMETER-OF-VENDOR-MODULE]]
load_kvm()
{
	local vendor=kvm-amd
	grep -qw vmx /proc/cpuinfo && vendor=kvm-intel
	modprobe irqbypass
	[ $vendor = kvm-intel ] || modprobe ccp
	case $1 in
	stock)
		modprobe kvm ${2:-}
		modprobe $vendor ${3:-} ;;
	patched)
		requires "$(module kvm)" "run kvm-module/build"
		insmod "$(module kvm)" ${2:-}
		insmod "$(module $vendor)" ${3:-} ;;
	*)	fail "load_kvm: '$1' is neither patched nor stock" ;;
	esac
	[ -c /dev/kvm ] || fail "no /dev/kvm after loading $1 KVM"
	# see kvm-hold.c; without the userland there is no need to be careful
	if command -v kvm-hold > /dev/null; then
		kvm-hold > $W/held &
		echo $! > $W/kvm-hold
		wait_for 20 test -s $W/held
	fi
}

unload_kvm()
{
	local m
	if [ -e $W/kvm-hold ]; then
		end_child kvm-hold "$(cat $W/kvm-hold)" TERM 143
		rm -f $W/kvm-hold $W/held
	fi
	for m in kvm_amd kvm_intel kvm; do
		[ ! -d /sys/module/$m ] || rmmod $m || fail "rmmod $m refused"
	done
}

# Of every link here: a server that is there is slow at times, as all of an
# emulated machine. A region whose connection broke for that as it ended would
# stay on its server. 11-tcp-cut is about short ones.
DEADLINE_MS=10000

# hermit.ko, and the hook when KVM is patched
load_hermit()
{
	requires "$(module hermit)" "run kvm-module/build"
	insmod "$(module hermit)" tcp_deadline_ms=$DEADLINE_MS ${HERMIT_ARG_STANDBY:+standby=$HERMIT_ARG_STANDBY} "$@"
	[ -c /dev/hermit ] || wait_for 5 test -c /dev/hermit
	if [ "$KVM_MODE" = patched ]; then
		insmod "$(module hermit-kvm)"
	fi
}

unload_hermit()
{
	local m
	for m in hermit_kvm hermit_rdma hermit; do
		[ ! -d /sys/module/$m ] || rmmod $m || fail "rmmod $m refused: $(cat /sys/module/$m/refcnt) users"
	done
}

# Everything down; the test fails when something cannot be.
teardown()
{
	local n
	for n in $W/*.pid; do
		[ -e "$n" ] || continue
		n=${n##*/}
		stop_vm "${n%.pid}"
	done
	for n in $W/*.memserver; do
		[ -e "$n" ] || continue
		n=${n##*/}
		stop_memserver "${n%.memserver}"
	done
	for n in $W/*.daemon; do
		[ -e "$n" ] || continue
		n=${n##*/}
		stop_daemon "${n%.daemon}"
	done
	unload_hermit
	unload_kvm
}

# L1's own network, behind the emulator: the machine is 10.0.2.2
start_net()
{
	modprobe virtio_net
	wait_for 5 test -e /sys/class/net/eth0
	ip addr add 10.0.2.15/24 dev eth0
	ip link set eth0 up
	ip route add default via 10.0.2.2
}

# start_link ADDRESS: the cable to the peer (peer= of a test's header), as link0
start_link()
{
	local d
	modprobe virtio_net
	for d in /sys/class/net/*; do
		case $(cat "$d/address") in
		52:54:00:09:00:*) ip link set "${d##*/}" name link0 ;;
		esac
	done
	[ -e /sys/class/net/link0 ] || fail "this machine has no cable to a peer"
	ip addr add "$1" dev link0
	ip link set link0 up
}

# wait_end: the peer's part is over when the test's is
wait_end() { until [ -e /out/end ]; do sleep 0.5; done; }

# --- memory server ---------------------------------------------------------

# start_memserver NAME ADDRESS ARGS...: e.g. start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
start_memserver()
{
	local name=$1 address=$2 port=${2##*:}
	shift 2
	requires $USERLAND/bin/hermit-memserver "build the userland"
	# the test's networks have nobody else in them
	case " $* " in *" --key"*) ;; *) set -- "$@" --insecure ;; esac
	# MEMSERVER_AS: a command that runs it, as somebody else or with limits
	${MEMSERVER_AS:-} hermit-memserver --listen "$address" "$@" > "$W/$name.server.log" 2>&1 &
	echo $! > "$W/$name.memserver"
	case $address in
	rdma:*)
		wait_for 20 grep -q '^listening on rdma:' "$W/$name.server.log"
		return ;;
	esac
	# listening shows as state 0A in /proc/net/tcp
	wait_for 20 grep -q ":$(printf %04X "$port") .* 0A " /proc/net/tcp /proc/net/tcp6
	# or another did, who had the port
	! gone "$(cat "$W/$name.memserver")" || fail "$name: $(tail -n 1 "$W/$name.server.log")"
}

# end_memserver NAME SIGNAL STATUS
end_memserver()
{
	local pid
	pid=$(cat "$W/$1.memserver")
	rm "$W/$1.memserver"
	cp "$W/$1.server.log" /out/ 2>/dev/null || true
	end_child "$1" "$pid" "$2" "$3"
	cp "$W/$1.server.log" /out/ 2>/dev/null || true
}
# metric NAME: of the server with --metrics 127.0.0.1:9000
metric() { curl -s http://127.0.0.1:9000/metrics | sed -n "s/^hermit_memserver_$1\({.*}\)\{0,1\} //p"; }
metric_is() { [ "$(metric "$1")" = "$2" ]; }
stop_memserver() { end_memserver "$1" TERM 0; }
# kill -9, as a crash would
kill_memserver() { end_memserver "$1" KILL 137; }

# Drop all packets of servers on port 7471, in both directions; and stop doing so.
cut_link()
{
	nft -f - <<-'END'
		table inet cut {
			chain in {
				type filter hook input priority 0;
				tcp dport 7471 drop
				tcp sport 7471 drop
			}
		}
	END
}
mend_link() { nft delete table inet cut; }

# --- guests ----------------------------------------------------------------

# What every guest's kernel is told: nothing it finds wrong passes, and it looks
# for memory that is not what it was itself.  A guest waits while its server is
# away, so its watchdogs do, too.  With page_poison=1 it writes to all its memory
# when it boots; a test about memory that was never touched says page_poison=0.
GUEST_APPEND="console=ttyS0 panic=-1 loglevel=5 oops=panic panic_on_warn=1 mitigations=off"
GUEST_APPEND="$GUEST_APPEND watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=150${CHECKED:+ page_poison=1}"

# start_vm NAME QEMU-ARGS...: a guest on our QEMU with a QMP socket, a serial
# log, which is read as L1's own, and a report port.  VM_KERNEL, VM_INITRD, VM_APPEND and VM_CPUS change
# what it boots; VM_KERNEL=none boots nothing.
start_vm()
{
	local name=$1 boot=()
	shift
	if [ "${VM_KERNEL:-}" != none ]; then
		boot=(-kernel "${VM_KERNEL:-/hermit/vm/vmlinuz}" -initrd "${VM_INITRD:-/hermit/vm/guest.img}"
		      -append "$GUEST_APPEND ${VM_APPEND:-}")
	fi
	# of an earlier one of this name
	[ ! -e "/out/$name.serial" ] || mv "/out/$name.serial" "/out/$name.$(date +%s%N).serial"
	rm -f "$W/$name".{qmp,report,serial,exit,quit}
	: > "$W/$name.report"
	( rc=0
	  "$QEMU" -L /usr/share/seabios -L /usr/share/qemu -L /usr/lib/ipxe/qemu \
		-name "$name" -enable-kvm -cpu host -smp "${VM_CPUS:-1}" -display none -nodefaults -no-reboot \
		"${boot[@]}" -serial "file:$W/$name.serial" \
		-chardev "socket,id=qmp,path=$W/$name.qmp,server=on,wait=off" -mon chardev=qmp,mode=control \
		-device virtio-serial-pci -chardev "file,id=report,path=$W/$name.report" \
		-device virtserialport,chardev=report,name=report \
		"$@" > "$W/$name.qemu" 2>&1 & echo $! > "$W/$name.pid"
	  wait $! || rc=$?
	  ! was_reset "$name" $rc || echo "guest $name was reset" > /out/reset
	  echo $rc > "$W/$name.exit" ) &
	wait_for 5 test -s "$W/$name.pid"
	# its monitor is there, or it is not any more
	wait_for 60 vm_began "$name"
}

vm_pid() { cat "$W/$1.pid"; }
vm_died() { [ -s "$W/$1.exit" ]; }
vm_began() { [ -S "$W/$1.qmp" ] || vm_died "$1"; }

# qmp NAME COMMAND...: each a JSON object, or a bare command name, or
# "hmp: text"; prints the JSON of each answer, a line each.
qmp()
{
	local name=$1
	shift
	python3 -I -S /src/tests/vm/qmp.py "$W/$name.qmp" "$@"
}

# report NAME: what the guest said so far; wait_report NAME SECONDS REGEX
report() { cat "$W/$1.report"; }
wait_report()
{
	local name=$1 seconds=$((($2 < WAIT_LEAST ? WAIT_LEAST : $2) * SLOW)) end
	end=$(($(cut -d. -f1 /proc/uptime) + seconds))
	until grep -Eq "$3" "$W/$name.report"; do
		if vm_died "$name"; then
			grep -Eq "$3" "$W/$name.report" && return
			save_vm "$name"
			fail "guest $name ended (QEMU's exit code $(cat "$W/$name.exit")) before it reported '$3': $(tail -n 1 "$W/$name.qemu")"
		fi
		if [ "$(cut -d. -f1 /proc/uptime)" -ge $end ]; then
			save_vm "$name"
			fail "guest $name did not report '$3' within $seconds s; last: $(tail -n 1 "$W/$name.report")"
		fi
		sleep 0.3
	done
}

# Was the guest reset by a triple fault? Nobody told QEMU to quit, it ended
# well, and the guest's kernel neither powered off nor said why not.
was_reset()
{
	[ "$2" = 0 ] && [ ! -e "$W/$1.quit" ] && [ ! -s "$W/$1.qemu" ] &&
		! grep -aqE 'Power down|panic|Oops|BUG|Call Trace' "$W/$1.serial"
}

save_vm() { cp "$W/$1".{report,serial,qemu} /out/ 2>/dev/null || true; }

# vm_ended NAME STATUS: its QEMU is gone, and ended as it should
vm_ended()
{
	local rc
	rc=$(cat "$W/$1.exit")
	save_vm "$1"
	rm -f "$W/$1.pid"
	[ "$rc" = "$2" ] || fail "QEMU of $1 ended with $rc and not $2: $(tail -n 1 "$W/$1.qemu")"
}

# wait_vm_end NAME SECONDS [STATUS]: until the guest powered off by itself and
# QEMU ended well, or with STATUS
wait_vm_end()
{
	wait_for "$2" vm_died "$1"
	vm_ended "$1" "${3:-0}"
}

# stop_vm NAME: QMP quit.  One whose guest powered off is gone already.
stop_vm()
{
	if ! vm_died "$1"; then
		: > "$W/$1.quit"
		qmp "$1" quit > /dev/null 2>&1 || true
		wait_for 30 vm_died "$1"
	fi
	vm_ended "$1" 0
}

kill_vm()
{
	! vm_died "$1" || fail "QEMU of $1 ended before it was killed, with $(cat "$W/$1.exit"): $(tail -n 1 "$W/$1.qemu")"
	kill -KILL "$(vm_pid "$1")"
	wait_for 30 vm_died "$1"
	vm_ended "$1" 137
}

# --- figures ---------------------------------------------------------------

# kvm_stat NAME: a counter of KVM, summed over VMs
kvm_stat() { cat "/sys/kernel/debug/kvm/$1"; }

# free_kib: memory that nobody uses, with the pages on the CPUs' own free lists,
# which MemFree leaves out and which may be many
free_kib()
{
	sync
	echo 3 > /proc/sys/vm/drop_caches
	sleep 1
	awk '$1 == "MemFree:" { n += $2 } $1 == "count:" { n += $2 * 4 } END { print n }' /proc/meminfo /proc/zoneinfo
}

gave_back() { [ $(($1 - $(free_kib))) -lt "$2" ]; }
# wait_given_back BEFORE KIB: until less than KIB are missing of what was free.
# What a program had is given back also by work that its end does not wait for.
wait_given_back()
{
	local missing=$2
	# KASAN keeps a 32nd of the memory of what was freed, to see who uses it still
	case $RELEASE in
	*-kasan) missing=$((missing + $(awk '/^MemTotal:/ { print int($2 / 32) }' /proc/meminfo))) ;;
	esac
	(wait_for 60 gave_back "$1" "$missing") || fail "$(($1 - $(free_kib))) KiB not given back"
	note "free memory $1 KiB before, $(free_kib) KiB after"
}

# hermit_stat NAME FIELD: a field of query-hermit-memory's first object
hermit_stat() { qmp "$1" --fields "$2"; }
