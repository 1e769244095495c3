# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched
# What the module says it has here is what the host has less: the cgroup of a VM
# under load is charged with resident, pool and metadata, neither more nor less,
# in every sample while the limit moves up and down; what the cgroup is charged is
# what is free no more; and when the VM is gone nothing is left.
. /src/tests/vm/vm-tests.sh
MIB=$((1 << 20))
SLACK=$((16 << 20))
load_hermit
vm=$(new_cgroup vm)
free=$(free_kib)
# all of it at first, so that it is soon filled
VM_APPEND="job=run -- hermit-guest-load --size 130M --threads 2 --write-ratio 0.5 --seconds 1000" \
	in_cgroup "$vm" hermit_vm p 224 224 local
wait_report p 200 '^t '
# as wide as it is: nobody knows how soon the load brings its pages back
check_charged p "$vm" $SLACK
for limit in 64 144 96 224 64; do
	set_limit p $limit
	for i in 1 2; do check_charged p "$vm" $SLACK; done
	# nothing is shown of a limit that was not reached
	reached() { set -- $(fields p resident limit); [ "$1" -le "$2" ]; }
	wait_for 60 reached
	check_charged p "$vm" $SLACK
done
# the widest and the narrowest the VM was
set -- $(cut -d' ' -f1 $W/p.charged | sort -n | sed -n '1p; $p')
note "$(wc -l < $W/p.charged) samples: from $(($1 / MIB)) to $(($2 / MIB)) MiB were charged and told"
[ $(($2 - $1)) -ge $((24 * MIB)) ] || fail "it was always within $((($2 - $1) / MIB)) MiB: this shows nothing"

# The host has lost what the group is charged, and no more besides.
qmp p stop > /dev/null
lost=$((free - $(free_kib)))
set -- $(charged "$vm")
note "$((lost / 1024)) MiB less are free, $(($1 / MIB)) MiB are charged"
[ $((lost * 1024)) -le $(($1 + 48 * MIB)) ] || fail "the host lost $((lost / 1024)) MiB for a VM that is charged $(($1 / MIB)) MiB"
[ $((lost * 1024)) -ge $(($1 - 48 * MIB)) ] || fail "the VM is charged $(($1 / MIB)) MiB, and the host lost $((lost / 1024)) MiB only"
qmp p cont > /dev/null
report p | grep '^t ' | grep -v ' mismatches 0 ' && fail "mismatches: $(report p | tail -n 2)"
stop_vm p
wait_given_back "$free" $((16 * 1024))
teardown
