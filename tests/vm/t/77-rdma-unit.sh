# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=400 kvm=none light long
# The installed unit with its drop-in for RDMA, by a real systemd, over soft-RoCE:
# without the drop-in it says what it lacks; with it a client has its memory
# registered, and has it again after restarts (HERMIT_ARG_RESTARTS, 1), a crash and a
# stop.
#
#   L1 ── unshare ── systemd ── hermit-memserver.service ── rdma:10.9.0.1:7471 ── rxe1
#    └─ hermit-rdma-test.ko ──────────────────────────────────────────────────── rxe0
. /src/tests/vm/rdma.sh
load_rdma_test
. /src/tests/vm/unit.sh
RESTARTS=${HERMIT_ARG_RESTARTS:-1}

options --listen rdma:$ADDR
sc start --no-block $UNIT
wait_for 30 said "cannot listen on rdma:$ADDR: .*examples/rdma.conf"
sc stop $UNIT

# as the file itself says
install -D -m 644 /usr/local/share/doc/hermit-memserver/examples/rdma.conf /etc/systemd/system/$UNIT.d/rdma.conf
sc daemon-reload
unit_starts "with the drop-in"

echo 500 > $PARAMS/rdma_deadline_ms
unit_connect
for _ in $(seq $RESTARTS); do
	unit_goes restart
done
unit_is_killed
unit_stops
unit_kept_all
note "systemd: $user, $(stat reconnects) reconnects, back after at most $(longest_stall) ms, told: $(stat told_failed) failed"
ctl end
unload_rdma_test
end_systemd
