# SPDX-License-Identifier: GPL-2.0-or-later
# Page servers on this machine, over loopback TCP, no VM: run by tests/bench/run
# in the Debian 13 tree. Each server is asked by the same client, a round of all
# points for each server, and so on: what disturbs the machine for a while does
# not meet one server only. Lines of ROUND SERVER NAME FIGURE... to stdout.
#
# hermit-memserver; nbdkit's memory plugin; qemu-nbd on a file in /dev/shm; fio
# with libnbd as a second client of nbdkit; iperf3, what the loopback can carry.
set -eu -o pipefail
SIZE=${HERMIT_ARG_SIZE:-512} SECONDS_EACH=${HERMIT_ARG_SECONDS:-1.5} ROUNDS=${HERMIT_ARG_ROUNDS:-3}
PORT=${HERMIT_ARG_PORT:-7490}
B=/hermit/build/userland/bin
points=()
for access in read write; do
	for connections in 1 4; do
		for depth in 1 8 32; do points+=($connections:$depth:$access); done
	done
done
server=
W=$(mktemp -d)
image=/dev/shm/hermit-bench.$$
clean()
{
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$W" "$image"
}
trap clean EXIT
trap 'exit 1' INT TERM

fail() { echo "server: $*" >&2; tail -n 5 "$W"/*.log >&2 2>/dev/null; exit 1; }

# serve PORT COMMAND...: until it listens
serve()
{
	local port=$1 tries=0
	shift
	"$@" > "$W/server.log" 2>&1 &
	server=$!
	until grep -q ":$(printf %04X "$port") .* 0A " /proc/net/tcp /proc/net/tcp6; do
		kill -0 $server 2>/dev/null || fail "$1 ended before it listened"
		tries=$((tries + 1))
		[ $tries -lt 100 ] || fail "$1 does not listen on port $port"
		sleep 0.1
	done
}
stop() { kill $server; wait $server 2>/dev/null || true; server=; }

# ask NAME PROTOCOL
ask() { "$B/page-load" "$2" $PORT --size "$SIZE" --seconds "$SECONDS_EACH" --server-pid $server "${points[@]}" | sed "s/^/round $round server $1 /"; }

for round in $(seq "$ROUNDS"); do
	serve $PORT "$B/hermit-memserver" --listen tcp:127.0.0.1:$PORT --capacity 2G --control "$W/control"
	ask memserver hermit
	stop

	# 2 MiB each; and 64 that are read meanwhile
	serve $PORT "$B/hermit-memserver" --listen tcp:127.0.0.1:$PORT --capacity 3G --control "$W/control"
	"$B/page-load" hermit $PORT --size 64 --new-extents 1000 | sed "s/^/round $round server memserver /"
	stop

	serve $PORT nbdkit -f -i 127.0.0.1 -p $PORT memory "${SIZE}M"
	ask nbdkit nbd
	if [ "$round" = 1 ]; then
		for access in read write; do
			fio --name=x --ioengine=nbd --uri=nbd://127.0.0.1:$PORT --rw=rand$access --bs=4k --iodepth=32 \
				--time_based --runtime=3 --size="${SIZE}M" --output-format=json --output="$W/fio" > "$W/fio.log" 2>&1 ||
				fail "fio: $(tail -n 1 "$W/fio.log")"
			python3 -I -c '
import json, sys
text = open(sys.argv[1]).read()
j = json.loads(text[text.index("{"):])["jobs"][0][sys.argv[2]]
print("round 1 server nbdkit-fio connections 1 depth 32 access %s pages/s %.0f" % (sys.argv[2], j["iops"]))' "$W/fio" $access
		done
	fi
	stop

	truncate -s "${SIZE}M" "$image"
	serve $PORT qemu-nbd -b 127.0.0.1 -p $PORT -f raw --cache=writeback -e 8 -t "$image"
	ask qemu-nbd nbd
	stop
	rm -f "$image"

	serve $PORT iperf3 -s -B 127.0.0.1 -p $PORT
	for connections in 1 4; do
		iperf3 -c 127.0.0.1 -p $PORT -P $connections -t 3 -l 128K -J > "$W/iperf" || fail "iperf3: $(grep error "$W/iperf")"
		python3 -I -c '
import json, sys
e = json.load(open(sys.argv[1]))["end"]
b, t = e["sum_received"]["bits_per_second"] / 8 / 4096, e["sum_received"]["seconds"]
c = e["cpu_utilization_percent"]
print("round %s server iperf3 connections %s depth 32 access write pages/s %.0f server-us %.2f client-us %.2f" %
      (sys.argv[2], sys.argv[3], b, c["remote_total"] * 1e4 / b, c["host_total"] * 1e4 / b))' "$W/iperf" $round $connections
	done
	stop
done
