# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 light
# The server is restarted ten times under the tcp transport's load, each time by
# one that takes over its memory: nothing is lost, nothing completes wrongly.
. /src/tests/vm/tcp.sh

load_tcp_test
echo 500 > $PARAMS/tcp_deadline_ms
. /src/tests/vm/server-restart.sh
unload_tcp_test
