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
. /src/tests/vm/unit.sh

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

end_systemd
