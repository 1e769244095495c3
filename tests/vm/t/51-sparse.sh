# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G smp=1 timeout=300 kvm=patched light
# Memory that was never touched costs nothing: a guest of 16 GiB starts on a
# host of 2 GiB, and what is kept per page stays below 16 bytes.
. /src/tests/vm/vm-tests.sh
load_hermit
VM_APPEND="page_poison=0 job=idle" hermit_vm big 16384 1024 local
wait_report big 240 '^ready'
set -- $(fields big size resident metadata counters.first-touch)
note "16 GiB guest: resident $(($2 >> 20)) MiB, metadata $(($3 >> 10)) KiB, $4 pages touched"
[ "$2" -le $((1024 << 20)) ] || fail "resident $2 above the limit"
# 16 bytes for each page of the chunks that were touched, and never more than for all
[ "$3" -le $(($1 / 4096 * 16)) ] || fail "$3 bytes of metadata for $(($1 / 4096)) pages"
[ "$3" -le $(($4 * 16 + (1 << 20))) ] || fail "$3 bytes of metadata with $4 pages touched"
stop_vm big
teardown
