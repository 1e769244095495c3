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
options --listen tcp:127.0.0.1:7471 --metrics 127.0.0.1:9000
unit_starts
sc show -p Type,WatchdogUSec,StatusText,NFileDescriptorStore $UNIT > /out/show
for what in Type=notify WatchdogUSec=1min NFileDescriptorStore=2 'StatusText=Lending 64.0.*MiB: no regions'; do
	grep -qx "$what" /out/show || unit_failed "not $what: $(tr '\n' ' ' < /out/show)"
done
curl -fs http://127.0.0.1:9000/health | grep -q '^ok' || fail "no health"
sc reload $UNIT || unit_failed "it does not reload"
wait_for 30 said "the keys were read again"

# a client, to which nothing of what follows happens
load_tcp_test
unit_connect

# A shorter watchdog, from the next process on. The manager ends who stands still by
# SIGABRT, for which it lets it go on, and which the kernel logs (log-ok).
printf '[Service]\nWatchdogSec=10\n' > /etc/systemd/system/$UNIT.d/watchdog.conf
sc daemon-reload
unit_goes restart
is WatchdogUSec 10s || unit_failed "the watchdog is $(show WatchdogUSec)"

pid=$(show MainPID)
unit_goes kill --kill-whom=main --signal=STOP
(wait_for 30 said 'Watchdog timeout') || unit_failed "another than the watchdog ended it"
! is MainPID "$pid" || unit_failed "it is the process that stood still"
[ "$(dmesg | grep -c 'fatal signal 6')" -le 1 ] || fail "another one aborted as well: $(dmesg | grep 'fatal signal 6')"
rm /etc/systemd/system/$UNIT.d/watchdog.conf
sc daemon-reload

unit_is_killed
# the journal may be behind
stop_is_told() { (wait_for 30 said "left with the service manager: Lending 64.0.*MiB: 1 region with") || unit_failed "a stop does not tell what becomes of the memory"; }
unit_stops stop_is_told
unit_kept_all
wait_for 30 said 'attached again by'
region=$(journal -u $UNIT | sed -n 's/^region \([^ ]*\) .*attached again by.*/\1/p' | head -n 1)
(wait_for 30 said 'attached again by' "HERMIT_REGION=$region") || unit_failed "the journal does not know region '$region'"
note "systemd: $user, $(stat reconnects) reconnects"
ctl close
unload_tcp_test

end_systemd
