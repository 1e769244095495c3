# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=300 kvm=none light
# Three servers, two with each page, and none has room for the whole region: of each
# a share is reserved, which is what it holds, and an eighth more.
load_hermit
stress() { region-stress --threads 4 --ops 100000000 --size 64 "$@" > /out/share 2>&1 & pid=$!; }
# what hermitctl says of its counter NAME
counter() { hermitctl stat stress --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -n 1; }
above() { [ "$(counter "$1")" -gt "$2" ] 2>/dev/null; }
servers=()
for port in 7478 7479 7480; do
	start_memserver m$port tcp:127.0.0.1:$port --capacity 60M --control $W/m$port.control
	servers+=(--server tcp:127.0.0.1:$port)
done
! region-stress --server tcp:127.0.0.1:7478 --size 64 --ops 1 2> /out/err || fail "a server has room for more than it has"
grep -q "64.0.*wanted, 60.0.*left" /out/err || fail "a server without room for the region: $(cat /out/err)"
stress "${servers[@]}" --replicas 2 --limit 8
wait_for 60 above fetches 2000
for port in 7478 7479 7480; do
	list=$(hermit-memserver --control $W/m$port.control list)
	reserved=$(sed -n 's/.* reserved \([0-9]*\) .*/\1/p' <<< "$list")
	[ "${reserved:-0}" -ge $((40 << 20)) ] && [ "$reserved" -le $((56 << 20)) ] || fail "a share of three, two with each page: $list"
	note "$port reserved" "$((reserved >> 20)) MiB of 64"
done
end_child region-stress $pid TERM 0
grep -q 'failures=0 ' /out/share && grep -q 'read_errors=0 write_errors=0 ' /out/share || fail "shares of three servers: $(cat /out/share)"
for port in 7478 7479 7480; do
	[ -z "$(hermit-memserver --control $W/m$port.control list)" ] || fail "a share is left at $port"
	stop_memserver m$port
done
teardown
