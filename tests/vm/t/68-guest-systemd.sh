# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=1200 kvm=patched long
# A guest that is a Debian with its systemd, from a disk, with a quarter of its
# memory here: it says that it runs, with no unit that failed, and then a load
# finds nothing wrong.
. /src/tests/vm/vm-tests.sh
DISK=/hermit/guests/systemd.ext4
requires $DISK "run tests/deps guests"
requires /hermit/vm/guests.img "run tests/vm/images"
load_hermit
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G
VM_INITRD=/hermit/vm/guests.img VM_APPEND="page_poison=0 net.ifnames=0 job=disk -- /run/hermit/hermit-guest-load --size 120M --threads 2 --write-ratio 0.5 --seconds ${HERMIT_ARG_SECONDS:-3} --verify" \
	hermit_vm d 256 64 tcp:127.0.0.1:7471 -drive file=$DISK,if=none,id=disk,format=raw,snapshot=on -device virtio-blk-pci,drive=disk
wait_report d 400 '^system'
note "systemd: $(report d | sed -n 's/^system //p'), $(fields d counters.evicted-dirty counters.fetches | sed 's/ / pages evicted dirty, /') fetched until then"
report d | grep -q '^system running' || fail "systemd: $(report d | grep -A5 '^system' | tr '\n' ' ')"
sample d 600
note "$(report d | tail -n 2 | head -n 1), $(evictions_seen d) pages evicted"
[ "$(evictions_seen d)" -ge 10000 ] || fail "only $(evictions_seen d) evictions: this shows nothing"
vm_ok d 120
