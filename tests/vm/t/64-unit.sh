# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=300 kvm=none light log-ok='hermit-memserver: .*potentially unexpected fatal signal 6'
# The unit of hermit-memserver as it was installed, by a real systemd, which is
# PID 1 of namespaces of its own, with a journal: refused with a sentence when
# its options are missing or wrong; started with a key that it alone reads; and
# restarted, killed, stopped, and ended for standing still, under a client, which
# loses nothing. What an
# operator gives up by systemctl clean is not shown: that asks D-Bus.
#
#   L1 ── unshare ── systemd ── hermit-memserver.service ── tcp:127.0.0.1:7471
#    └─ hermit-tcp-test.ko ──────────────────────────────────────┘
. /src/tests/vm/tcp.sh
UNIT=hermit-memserver.service
DEFAULTS=/etc/default/hermit-memserver

cp -a --remove-destination $USERLAND/root/. /
rm -f /etc/machine-id
tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
requires /usr/local/lib/systemd/system/$UNIT "build the userland"
grep -qx "EnvironmentFile=$DEFAULTS" /usr/local/lib/systemd/system/$UNIT || fail "the unit has its options from elsewhere"

# Enabled, with a key as the guide says it, but for its options; and nothing
# besides what the unit pulls in by itself and the journal.
mkdir -p /etc/systemd/system/$UNIT.d /etc/systemd/system/test.target.wants /etc/hermit /etc/default
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > /etc/hermit/key
chmod 600 /etc/hermit/key
printf '[Service]\nLoadCredential=key:/etc/hermit/key\n' > /etc/systemd/system/$UNIT.d/key.conf
printf '[Unit]\nDefaultDependencies=no\nAfter=\nWants=\n' > /etc/systemd/system/$UNIT.d/test.conf
ln -s /usr/local/lib/systemd/system/$UNIT /etc/systemd/system/test.target.wants/
printf '[Unit]\nDescription=nothing\nDefaultDependencies=no\nWants=systemd-journald.socket systemd-journald.service\n' \
	> /etc/systemd/system/test.target

unshare --pid --fork --mount --uts --ipc --cgroup --propagation private sh -c '
	mount -t proc proc /proc
	mount -t tmpfs -o mode=755 tmpfs /run
	mount -t tmpfs tmpfs /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	# credentials are mounted by a child, for all
	mount --make-rshared /
	exec env container=hermit /usr/lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no' \
	> /out/systemd.log 2>&1 < /dev/null &
PARENT=$!
systemd_pid() { pgrep -P $PARENT -x systemd; }
wait_for 30 systemd_pid
INIT=$(systemd_pid)
in_unit() { nsenter -t "$INIT" -m -p -u -i -C -r -w "$@"; }
sc() { in_unit systemctl "$@"; }
show() { sc show -p "$1" --value $UNIT; }
is() { [ "$(show "$1")" = "$2" ]; }
journal() { in_unit journalctl -q --no-pager -o cat "$@"; }
# said 'TEXT' [FIELD=VALUE]: in the journal
said() { journal -u $UNIT ${2:+"$2"} > $W/journal && grep -q -e "$1" $W/journal; }
unit_failed() { sc status $UNIT > /out/status 2>&1 || true; journal > /out/journal || true; fail "$*: $(tail -n 3 /out/status)"; }
wait_for 60 sc is-active test.target systemd-journald.service

# without options it says which file is missing
! sc start $UNIT > /out/start 2>&1 || fail "it starts without options"
is Result resources || fail "without options: $(show Result)"
wait_for 30 said "Failed to load environment files"

# with wrong ones it says what is wrong
echo 'HERMIT_MEMSERVER_OPTIONS="--listen tcp:127.0.0.1:7471 --capacity lots"' > $DEFAULTS
sc start --no-block $UNIT
wait_for 30 said "hermit-memserver: --capacity: 'lots' is not a size"
sc stop $UNIT

# with the right ones it is what it says it is
echo 'HERMIT_MEMSERVER_OPTIONS="--listen tcp:127.0.0.1:7471 --capacity 64M --metrics 127.0.0.1:9000 --key-file /run/credentials/hermit-memserver.service/key"' > $DEFAULTS
sc start $UNIT || unit_failed "it does not start"
sc show -p Type,WatchdogUSec,StatusText,NFileDescriptorStore $UNIT > /out/show
for what in Type=notify WatchdogUSec=1min NFileDescriptorStore=2 'StatusText=Lending 64.0.*MiB: no regions'; do
	grep -qx "$what" /out/show || unit_failed "not $what: $(tr '\n' ' ' < /out/show)"
done
user=$(in_unit ps -o user= -p "$(show MainPID)")
[ "$user" != root ] || fail "it runs as root"
curl -fs http://127.0.0.1:9000/health | grep -q '^ok' || fail "no health"
sc reload $UNIT || unit_failed "it does not reload"
wait_for 30 said "the keys were read again"

# a client, to which nothing of what follows happens
comes_back()
{
	wait_for 60 stat_above reconnects "$1"
	wait_for 60 stat_is state $UP
	ctl get 0 32 || fail "what it had stored is not there: $(stat error)"
	right
	is NFileDescriptorStore 2 || unit_failed "the manager does not keep the memory"
}
load_tcp_test
ctl connect $ADDR 1 16 "$(cat /etc/hermit/key)" || fail "$(stat error)"
incarnation=$(stat incarnation)
ctl put 0 32

# A shorter watchdog, from the next process on. The manager ends who stands still by
# SIGABRT, for which it lets it go on, and which the kernel logs (log-ok).
printf '[Service]\nWatchdogSec=10\n' > /etc/systemd/system/$UNIT.d/watchdog.conf
sc daemon-reload
n=$(stat reconnects)
sc restart $UNIT || unit_failed "it does not restart"
comes_back "$n"
is WatchdogUSec 10s || unit_failed "the watchdog is $(show WatchdogUSec)"

n=$(stat reconnects)
pid=$(show MainPID)
sc kill --kill-whom=main --signal=STOP $UNIT
comes_back "$n"
(wait_for 30 said 'Watchdog timeout') || unit_failed "another than the watchdog ended it"
! is MainPID "$pid" || unit_failed "it is the process that stood still"
[ "$(dmesg | grep -c 'fatal signal 6')" -le 1 ] || fail "another one aborted as well: $(dmesg | grep 'fatal signal 6')"
rm /etc/systemd/system/$UNIT.d/watchdog.conf
sc daemon-reload

n=$(stat reconnects)
sc kill --kill-whom=main --signal=KILL $UNIT
comes_back "$n"

n=$(stat reconnects)
sc stop $UNIT || unit_failed "it does not stop"
is Result success || unit_failed "it did not end well"
is NFileDescriptorStore 2 || unit_failed "a stop gives up the memory"
# the journal may be behind
(wait_for 30 said "left with the service manager: Lending 64.0.*MiB: 1 region with") || unit_failed "a stop does not tell what becomes of the memory"
sc start $UNIT || unit_failed "it does not start again"
comes_back "$n"

stat_is nodata 0 || fail "contents were lost: nodata=$(stat nodata)"
stat_is incarnation "$incarnation" || fail "a new incarnation"
wait_for 30 said 'attached again by'
region=$(journal -u $UNIT | sed -n 's/^region \([^ ]*\) .*attached again by.*/\1/p' | head -n 1)
(wait_for 30 said 'attached again by' "HERMIT_REGION=$region") || unit_failed "the journal does not know region '$region'"
note "systemd: $user, $(stat reconnects) reconnects"
ctl close
unload_tcp_test

sc stop $UNIT
journal -u $UNIT > /out/unit.log

kill -KILL "$INIT"
wait $PARENT || true
