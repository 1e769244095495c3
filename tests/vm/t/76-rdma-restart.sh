# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 light
# As 16-tcp-restart, over RDMA: what the device wrote by itself is kept, too.
. /src/tests/vm/rdma.sh

load_rdma_test
echo 500 > $PARAMS/rdma_deadline_ms
. /src/tests/vm/server-restart.sh
unload_rdma_test
