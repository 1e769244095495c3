# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=400 kvm=patched,stock light
# What a guest wrote is not lost, however its SPTEs go: by a notifier, with a
# slot, its flags or its roots, under the dirty log, with the VM. In each mode
# of the MMU, and where dirty bits can be harvested or not. Which harvest of a dirty bit each of them is about, and that it
# fails without: tests/kvm-mutants.
value() { awk -v n="$1" '$1 == n { print $2 }' "$2"; }

check_mode()
{
	local mode=$1 rc=0
	load_hermit
	mini --size 16 --limit 4 dirty > "/out/$mode" 2> /out/err || rc=$?
	cat "/out/$mode" /out/err
	[ $rc = 0 ] || fail "$mode: $(grep -m 1 lost /out/err || tail -n 1 /out/err)"
	[ "$(grep -c ^lost_ "/out/$mode")" -ge 9 ] || fail "$mode: only $(grep -c ^lost_ "/out/$mode") ways were tried"
	note "$mode: $(grep -c ^lost_ "/out/$mode") ways, without $(sed -n 's/^skipped_\(.*\) 1/\1/p' "/out/$mode" | tr '\n' ' ')"
	teardown
}

check_mode tdp
if [ "$KVM_MODE" = patched ]; then
	shadow=$([ -d /sys/module/kvm_intel ] && echo ept=0 || echo npt=0)
	load_kvm patched tdp_mmu=0
	check_mode rmap
	load_kvm patched '' "$shadow"
	check_mode npt0
	# from 7.3 on
	if modinfo "$(module kvm)" | grep > /dev/null '^parm: *provider_harvest:'; then
		load_kvm patched provider_harvest=1
		check_mode harvest
	fi
fi
