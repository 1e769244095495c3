# SPDX-License-Identifier: GPL-2.0-or-later
# libvirt in L1, for the tests that source this after lib-l1.sh.

EMULATOR=/usr/local/bin/hermit-qemu

# As docs/operators.md says, from what meson install made.
install_hermit()
{
	requires $USERLAND/root/usr/local/bin/hermit-qemu "run tests/userland l1"
	requires /hermit/build/qemu/bin/qemu-system-x86_64 "run qemu-patches/build"
	if [ -n "$LIBVIRT" ]; then
		# in place of the tree's
		rm -rf /usr/lib/x86_64-linux-gnu/libvirt* /usr/lib/libvirt
		cp -a $LIBVIRT/. /
		ldconfig
	fi
	cp -a $USERLAND/root/. /
	export PATH=/usr/local/bin:$PATH
	mkdir -p /opt/hermit-qemu/bin /etc/hermit
	if [ $USERLAND = /hermit/build/userland ]; then
		ln -sf $QEMU /opt/hermit-qemu/bin/
	else
		# It is built for Debian 13: with the libraries of that
		printf '#!/bin/sh\nT=/hermit/root/trixie\nexec $T/lib64/ld-linux-x86-64.so.2 --library-path $T/usr/lib/x86_64-linux-gnu %s "$@"\n' \
			$QEMU > /opt/hermit-qemu/bin/qemu-system-x86_64
		chmod 755 /opt/hermit-qemu/bin/qemu-system-x86_64
	fi
	cat /usr/local/share/hermit/qemu.conf.snippet >> /etc/libvirt/qemu.conf
	[ -s /etc/machine-id ] || tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
	# libvirt chowns what it gives to QEMU
	cp /hermit/vm/vmlinuz /hermit/vm/guest.img $W/
	chmod 755 $W
}

libvirt_up() { virsh -q list; }
start_libvirt()
{
	[ -e $W/virtlogd.daemon ] || start_daemon virtlogd virtlogd
	start_daemon libvirtd libvirtd
	wait_for 60 libvirt_up
}
stop_libvirt() { stop_daemon libvirtd; }
qemu_pid() { cat "/run/libvirt/qemu/$1.pid"; }

# define NAME ATTRIBUTES-OF-<hermit:memory> ELEMENTS: a guest of 256 MiB that
# fills some memory and then checks it forever
define()
{
	local extra=$3 vcpu='<vcpu>1</vcpu>' cpu="<cpu mode='host-passthrough' migratable='off'/>"
	case $extra in *'<vcpu'*) vcpu= ;; esac
	case $extra in *'<cpu'*) cpu= ;; esac
	rm -f "$W/$1.serial"
	cat > "$W/$1.xml" <<-END
		<domain type='kvm'>
		  <name>$1</name>
		  <metadata><hermit:memory xmlns:hermit='https://hermit.example/xmlns/libvirt/1' $2/></metadata>
		  <memory unit='MiB'>256</memory>
		  $vcpu $cpu $extra
		  <os>
		    <type arch='x86_64' machine='q35'>hvm</type>
		    <kernel>$W/vmlinuz</kernel>
		    <initrd>$W/guest.img</initrd>
		    <cmdline>$GUEST_APPEND page_poison=0 job=run -- sh -c "dd if=/dev/urandom of=/tmp/x bs=1M count=24 2>/dev/null; md5sum /tmp/x >/tmp/sum; while md5sum -c /tmp/sum; do sleep 1; done"</cmdline>
		  </os>
		  <features><acpi/></features>
		  <on_poweroff>destroy</on_poweroff>
		  <on_reboot>destroy</on_reboot>
		  <on_crash>destroy</on_crash>
		  <devices>
		    <emulator>$EMULATOR</emulator>
		    <controller type='usb' model='none'/>
		    <serial type='file'><source path='$W/$1.serial'/></serial>
		    <memballoon model='virtio' freePageReporting='on'/>
		  </devices>
		</domain>
	END
	sed -i 's/2>\/dev\/null/2\&gt;\/dev\/null/; s/ >\/tmp\/sum/ \&gt;\/tmp\/sum/' "$W/$1.xml"
	virsh -q define "$W/$1.xml" || fail "virsh define $1"
}

# checks NAME: how often the guest found its memory right
checks() { grep -ac '/tmp/x: OK' "$W/$1.serial" 2>/dev/null || true; }
checks_above() { [ "$(checks "$1")" -gt "$2" ]; }
# wait_checks NAME N: for N more of them
wait_checks()
{
	wait_for 150 checks_above "$1" $(($(checks "$1") + $2 - 1))
}

# figures NAME EXPRESSION, query NAME EXPRESSION: does it hold of the regions
# "r" that hermitctl or QEMU tells of?
holds() { python3 -I -c 'import json, sys; r = json.load(open(sys.argv[1])); r = r["return"] if "return" in r else r; sys.exit(not eval(sys.argv[2]))' "$1" "$2"; }
figures() { hermitctl stat --json "$1" > /out/figures && holds /out/figures "$2"; }
query() { virsh -q qemu-monitor-command "$1" '{"execute":"query-hermit-memory"}' > /out/query && holds /out/query "$2"; }
