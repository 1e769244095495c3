# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=400 kvm=none light
# Three servers, each page on two, and a plan of faults from a seed: killed and back
# empty, taken over with its memory, stopped for a while, cut off in one direction, late,
# lossy, dead without a word, too small, drained, pages and headers changed on their way,
# and a limit that jumps. What is promised: as long as one server at most is bad at a time,
# and the next one only when all are up and short-copies is 0, nobody reads a wrong page,
# and none is lost.
# HERMIT_ARG_...: storm.sh. Another set of ADDRESSES is made up by who sources this, with
# a function prepare(), which is called when hermit.ko is there.
#
#   region-stress ── hermit.ko ─┬─ tcp:127.0.0.1:7481  s1
#                               ├─ tcp:127.0.0.1:7482  s2   rules of nft and netem
#                               └─ tcp:127.0.0.1:7483  s3   know them by their port
SIZE=${HERMIT_ARG_SIZE:-32}
LIMIT=$((SIZE / 4)) REGION=stress CAPACITY=128M
. /src/tests/vm/storm.sh
load_on() { ! gone $pid || { tail -n 3 /out/stress | tr '\n' ' '; return 1; }; }

begin_storm
# what is done to it goes first
nice region-stress --threads 4 --ops 100000000 --size $SIZE --limit $LIMIT --seed "$SEED" --replicas 2 \
	--server "${ADDRESSES[1]}" --server "${ADDRESSES[2]}" --server "${ADDRESSES[3]}" > /out/stress 2>&1 &
pid=$!
wait_for 120 above 1000
storm
one_less
end_child region-stress $pid TERM 0
note "end: $(grep -o 'failures=[0-9]* evictions=[0-9]*\|fetches=[0-9]*\|longest_ms=[0-9]*\|lost=[0-9]*$' /out/stress | tr '\n' ' ')"
grep -q 'failures=0 ' /out/stress && grep -q ' lost=0$' /out/stress || fail "seed $SEED: $(cat /out/stress)"
seen_empty
teardown
