# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=300 kvm=patched long
# The server stops answering. A vCPU that waits for a page, in KVM_RUN or in
# KVM_PRE_FAULT_MEMORY, does so without kvm->srcu: memslots and the dirty log
# are updated meanwhile. A signal ends its wait, and when the server is back it
# goes on with what it waited for.
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 64M
mini --size 16 --limit 4 --server tcp:127.0.0.1:7471 --pause "$(cat $W/m1.memserver)" park \
	> /out/park 2> /out/err & mini=$!
ended() { gone $mini; }
if ! (wait_for 200 ended); then
	cat /out/park
	cat /proc/$mini/task/*/stack
	fail "hangs; the log has the stacks"
fi
wait $mini || fail "$(tail -n 1 /out/err)"
cat /out/park
note "$(grep _ms /out/park | tr '\n' ' ')"
