# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=1800 kvm=none long
# As 31-set-stress, with two servers over RDMA and one over TCP.
#
#                                     rxe0 ── w0 ─── w1 ── rxe1
#   region-stress ── hermit.ko ─┬─ rdma:10.9.0.1:7481  s1
#                               ├─ rdma:10.9.0.1:7482  s2
#                               └─ tcp:127.0.0.1:7483  s3
. /src/tests/vm/rdma.sh
ADDRESSES=(- rdma:10.9.0.1:7481 rdma:10.9.0.1:7482 tcp:127.0.0.1:7483)
HERMIT_ARG_KINDS=${HERMIT_ARG_KINDS:-killed taken-over stopped too-small drained limits}
HERMIT_ARG_FAULTS=${HERMIT_ARG_FAULTS:-12} HERMIT_ARG_EVICTIONS=${HERMIT_ARG_EVICTIONS:-10000}
prepare()
{
	DEADLINE_MS=$((2000 * SLOW))
	setup_rxe
	load_rdma
}
. /src/tests/vm/t/31-set-stress.sh
