# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched
# The patched KVM in its other modes: shadow paging and the MMU with reverse
# maps find the pages to zap by other ways, and have no dirty bits to trust. An
# ordinary guest, which knows nothing of Hermit, boots in each that the
# emulator can: without nested paging Linux dies early in QEMU 10.0's SVM, on
# the stock KVM as well. Where KVM has other page tables than its TDP MMU's, as
# for nested guests, nobody knows which pages were accessed, and that is told.
value() { awk -v n="$1" '$1 == n { print $2 }' "$2"; }

check_mode()
{
	local mode=$1
	[ "$mode$EMULATED" = npt01 ] || start_vm "$mode" -m 128M
	load_hermit
	mini --size 32 --limit 8 --vcpus 2 --ops 15000 --rounds 2 --smm stress > "/out/$mode" 2> /out/err ||
		fail "$mode: $(tail -n 1 /out/err)"
	cat "/out/$mode"
	[ "$(value mode "/out/$mode")" = 1 ] || fail "$mode: the hook is not used"
	[ "$(value evicted "/out/$mode")" -gt 5000 ] || fail "$mode: only $(value evicted "/out/$mode") evictions"
	# Reads must not make pages dirty: without writes all evictions are clean.
	[ "$(value evicted_clean "/out/$mode")" -gt 500 ] || fail "$mode: every page that was read counts as dirty"
	unaged=$(value unaged "/out/$mode")
	case $mode in
	tdp) [ "$unaged" = 0 ] || fail "tdp: $unaged pages were taken for not accessed" ;;
	*) [ "$unaged" -gt 5000 ] || fail "$mode: only $unaged pages were taken for not accessed, and KVM cannot say of any" ;;
	esac
	mini --size 32 --limit 8 dirty-log > "/out/$mode-dirty" 2> /out/err || fail "$mode: dirty log: $(tail -n 1 /out/err)"
	mini --size 64 --limit 32 --rounds 2 order > "/out/$mode-order" 2> /out/err || fail "$mode: order: $(tail -n 1 /out/err)"
	# one, or what stayed because somebody wrote to it just then
	[ "$(value local_runs "/out/$mode-order")" -le 4 ] ||
		fail "$mode: what is local lies in $(value local_runs "/out/$mode-order") places: reclaim passed older pages by"
	rc=0
	mini --size 32 --limit 8 prefault > "/out/$mode-prefault" 2> /out/err || rc=$?
	case $mode:$rc in
	npt0:77) ;;	# KVM_PRE_FAULT_MEMORY needs two-dimensional paging
	*:0) ;;
	*) fail "$mode: prefault: $rc $(tail -n 1 /out/err)" ;;
	esac
	note "$mode: $(value evicted "/out/$mode") evictions, $(value evicted_clean "/out/$mode") of them clean, $unaged without an accessed bit"
	[ "$mode$EMULATED" = npt01 ] || wait_report "$mode" 120 '^up'
	teardown
}

shadow=$([ -d /sys/module/kvm_intel ] && echo ept=0 || echo npt=0)
check_mode tdp
load_kvm patched tdp_mmu=0
[ "$(cat /sys/module/kvm/parameters/tdp_mmu)" = N ]
check_mode rmap
load_kvm patched '' $shadow
check_mode npt0
