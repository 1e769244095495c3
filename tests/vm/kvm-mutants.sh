# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=600
# For tests/kvm-mutants: with each mutant of KVM what the guest wrote is lost in
# just the ways that its patch names.
KVM_MODE=patched

check_mutant()
{
	local dir=$1 name=${1##*/} mode want got how=
	read -r mode want < "$dir/loses"
	case $mode in
	rmap) how=tdp_mmu=0 ;;
	harvest) how=provider_harvest=1 ;;
	esac
	# its kvm.ko, and the vendor's module of the tree
	ln -sf "$dir/kvm.ko" "$mutant/"
	MODULES=$mutant load_kvm patched "$how"
	load_hermit
	mini --size 16 --limit 4 dirty > "/out/mutant-$name" 2> /out/err || :
	cat "/out/mutant-$name" /out/err
	got=$(awk '/^lost_/ && $2 { printf "%s%s", sep, substr($1, 6); sep = " " }' "/out/mutant-$name")
	[ "$got" = "$want" ] || bad="$bad$name: loses by '$got', not by '$want'; "
	note "$name: $mode loses by $got"
	unload_hermit
	unload_kvm
}

requires "$MODULES/mutants" "run tests/kvm-mutants"
mutant=$W/mutant
mkdir -p "$mutant"
ln -s "$MODULES"/kvm-*.ko "$mutant/"
bad=
for m in "$MODULES"/mutants/*; do
	check_mutant "$m"
done
[ -z "$bad" ] || fail "$bad"
