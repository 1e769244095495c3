# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=700 kvm=patched,stock long
# A guest whose kernel is Linux 7.3, newer than the host's, a quarter of whose
# memory is here: its load finds nothing wrong, and it does something else while
# pages are on their way.
. /src/tests/vm/vm-tests.sh
requires /hermit/vm/newest/vmlinuz "run tests/deps kernel=7.3 and tests/vm/images"
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
VM_KERNEL=/hermit/vm/newest/vmlinuz VM_INITRD=/hermit/vm/newest/guest.img \
VM_APPEND="page_poison=0 job=run -- sh -c \"uname -r; exec hermit-guest-load --size 150M --threads 4 --write-ratio 0.5 --seconds 1000 --verify\"" \
	hermit_vm n 256 64 tcp:127.0.0.1:7471
wait_report n 240 '^[0-9]*\.[0-9]*\.[0-9]*'
note "guest: Linux $(report n | grep -m 1 '^[0-9]*\.[0-9]*\.'), host: $RELEASE"
report n | grep -q '^7\.3' || fail "the guest runs $(report n | grep -m 1 '^[0-9]')"
load_for n ${HERMIT_ARG_SECONDS:-5} 20000
end_load n
sample n 200
note "$(evictions_seen n) pages evicted, $(report n | tail -n 2 | head -n 1)"
[ "$(evictions_seen n)" -ge 20000 ] || fail "only $(evictions_seen n) evictions: this shows nothing"
vm_ok n 60
