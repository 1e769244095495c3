# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=600 kvm=patched append='apparmor=1 security=apparmor' long
# The AppArmor snippets, enforcing: libvirtd and the domain are confined, the
# domain starts and its hermit-memory works; without ours it does not.
. /src/tests/vm/libvirt.sh

[ -d /sys/kernel/security/apparmor ] || skip "this kernel has no AppArmor"
install_hermit
load_hermit
chgrp kvm /dev/kvm /dev/hermit
chmod 660 /dev/kvm /dev/hermit
echo 'security_default_confined = 1' >> /etc/libvirt/qemu.conf
cat /usr/local/share/hermit/apparmor-libvirtd >> /etc/apparmor.d/local/usr.sbin.libvirtd
# L1's QEMU is a link into the cache, and its firmware where Debian has it
cp --remove-destination /hermit/build/qemu/bin/qemu-system-x86_64 /opt/hermit-qemu/bin/
apparmor_parser -r /etc/apparmor.d/usr.sbin.libvirtd /etc/apparmor.d/usr.lib.libvirt.virt-aa-helper
start_libvirt
grep -q '^libvirtd (enforce)' "/proc/$(pidof libvirtd)/attr/current" || fail "libvirtd is not confined: $(cat "/proc/$(pidof libvirtd)/attr/current")"

ours=/etc/apparmor.d/abstractions/libvirt-qemu.d/hermit
mv $ours /run/ours
define h1 "local-ratio='0.5'" ''
! virsh -q start h1 > /out/refused 2>&1 || fail "it starts without our snippet: this test shows nothing"
dmesg | grep > /dev/null 'apparmor="DENIED".*hermit-qemu' || fail "without our snippet: $(cat /out/refused)"
mv /run/ours $ours
virsh -q start h1 || fail "virsh start: $(dmesg | grep DENIED | tail -n 2)"
grep -q "^libvirt-$(virsh domuuid h1) (enforce)" "/proc/$(qemu_pid h1)/attr/current" || fail "the domain is not confined"
hermitctl set h1 --ratio 0.25 || fail "hermitctl set"
wait_checks h1 1
figures h1 'r[0]["limit"] == 64 << 20 and r[0]["mode"] == "ept-hook"' || fail "$(cat /out/figures)"
virsh -q destroy h1
stop_libvirt
teardown
