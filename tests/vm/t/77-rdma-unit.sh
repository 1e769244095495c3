# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=400 kvm=none light long
# The installed unit with its drop-in for RDMA, by a real systemd, over soft-RoCE:
# without the drop-in it says what it lacks; with it a client has its memory
# registered, and has it again after a restart, a crash and a stop.
#
#   L1 ── unshare ── systemd ── hermit-memserver.service ── rdma:10.9.0.1:7471 ── rxe1
#    └─ hermit-rdma-test.ko ──────────────────────────────────────────────────── rxe0
. /src/tests/vm/rdma.sh
load_rdma_test
. /src/tests/vm/unit.sh

echo "HERMIT_MEMSERVER_OPTIONS=\"--listen rdma:$ADDR --capacity 64M --key-file /run/credentials/hermit-memserver.service/key\"" > $DEFAULTS
sc start --no-block $UNIT
wait_for 30 said "cannot listen on rdma:$ADDR: .*examples/rdma.conf"
sc stop $UNIT

# as the file itself says
install -D -m 644 /usr/local/share/doc/hermit-memserver/examples/rdma.conf /etc/systemd/system/$UNIT.d/rdma.conf
sc daemon-reload
sc start $UNIT || unit_failed "it does not start with the drop-in"
user=$(in_unit ps -o user= -p "$(show MainPID)")
[ "$user" != root ] || fail "it runs as root"

echo 500 > $PARAMS/rdma_deadline_ms
ctl connect $ADDR 1 16 "$(cat /etc/hermit/key)" || unit_failed "$(stat error)"
incarnation=$(stat incarnation)
ctl put 0 32

n=$(stat reconnects)
sc restart $UNIT || unit_failed "it does not restart"
comes_back "$n"

n=$(stat reconnects)
sc kill --kill-whom=main --signal=KILL $UNIT
comes_back "$n"

n=$(stat reconnects)
sc stop $UNIT || unit_failed "it does not stop"
is Result success || unit_failed "it did not end well"
sc start $UNIT || unit_failed "it does not start again"
comes_back "$n"

stat_is nodata 0 || fail "contents were lost: nodata=$(stat nodata)"
stat_is incarnation "$incarnation" || fail "a new incarnation"
note "systemd: $user, $(stat reconnects) reconnects, told: $(stat told_failed) failed"
ctl end
unload_rdma_test
end_systemd
