# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G smp=1 timeout=400 light
# The QEMU object with hermit.ko and no KVM: its qtest, where QEMU itself is
# the user of the memory; a missing permission; a version that does not match.
T=$(dirname $QEMU)/hermit-memory-test
requires $T "run qemu-patches/build"
load_hermit
# Ordinary users have no /dev/hermit until the administrator gives it away.
chgrp kvm /dev/hermit && chmod 660 /dev/hermit

rc=0
QTEST_QEMU_BINARY=$QEMU $T --tap > /out/qtest.log 2>&1 || rc=$?
grep -E '^(ok|not ok|# wanted)' /out/qtest.log
[ $rc = 0 ] || fail "hermit-memory-test: $(grep -E '^(not ok|# wanted|.*ERROR)' /out/qtest.log | tail -n 3 | tr '\n' ' ')"
! grep -q '# SKIP' /out/qtest.log || [ "$(grep -c '# SKIP' /out/qtest.log)" = 1 ] ||
	fail "skipped: $(grep '# SKIP' /out/qtest.log | tr '\n' ' ')"

# Whoever is not in the group is told which one.
chmod 755 $W
rc=0
setpriv --reuid=65534 --regid=65534 --clear-groups $QEMU -machine none -nodefaults -display none \
	-object hermit-memory,id=m,size=64M 2> $W/err || rc=$?
cat $W/err
[ $rc = 1 ] || fail "without permission QEMU ended with $rc"
grep -q "hermit-memory 'm': no permission to open /dev/hermit: add the user who runs QEMU to group kvm" $W/err ||
	fail "without permission QEMU says: $(cat $W/err)"
rc=0
echo quit | setpriv --reuid=65534 --regid=65534 --groups "$(stat -c %g /dev/hermit)" $QEMU -machine none -nodefaults \
	-display none -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny -monitor stdio \
	-object hermit-memory,id=m,size=64M,limit=32M > $W/out 2> $W/err || rc=$?
[ $rc = 0 ] && grep -q '(qemu)' $W/out || fail "a member of the group, in the sandbox: QEMU ended with $rc: $(cat $W/err)"
