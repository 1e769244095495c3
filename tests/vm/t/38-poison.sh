# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=240 kvm=none log-ok='Memory failure: |MCE: Killing|mce: .Hardware Error.: '
# Frames of the host that have a memory error leave their page: what they held
# comes again from the server or is lost, and nothing loops. The errors are made
# up: Linux marks the frame, which stays as it was. Case by case, and 100 under load.
load_hermit
requires /sys/devices/system/memory/hard_offline_page "memory errors"
modprobe mce-inject || skip "this kernel makes up no machine checks"
start_memserver m1 tcp:127.0.0.1:7471 --capacity 128M
region-poison --server tcp:127.0.0.1:7471 > /out/poison-cases 2>&1 || fail "region-poison: $(tail -n 3 /out/poison-cases | tr '\n' ' ')"
note "$(tail -n 1 /out/poison-cases)"
region-stress --size 64 --limit 24 --threads 4 --ops "${HERMIT_ARG_OPS:-24000}" --flip --dio /run/w/dio --poison 100 --server tcp:127.0.0.1:7471 > /out/poison 2>&1 ||
	fail "poison: $(tail -n 5 /out/poison | tr '\n' ' ')"
set -- $(sed -n 's/^stress.* poisoned=\([0-9]*\) lost=\([0-9]*\)$/\1 \2/p' /out/poison)
[ $# = 2 ] || fail "no result: $(tail -n 2 /out/poison)"
note "poison: $1 frames went, $2 pages lost"
[ "$1" -ge 50 ] || fail "only $1 of 100 bad frames were noticed"
[ "$2" -lt "$1" ] || fail "$2 pages lost with $1 frames: none came from the server"
stop_memserver m1
