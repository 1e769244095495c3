# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=3G timeout=1500 kvm=none append='apparmor=1 security=apparmor' long
# The commands of docs/operators.md, taken from it and run in its order, on a
# host with AppArmor, from the installation to RDMA. What a case below says
# beside a command is what must have become of it. Not run here is what builds:
# tests/all does, and this installs the result. There is no systemd: units are
# verified and their ExecStart is run.
. /src/tests/vm/libvirt.sh
export PATH=/usr/local/bin:/usr/local/sbin:${PATH#*:}
NS=https://hermit.example/xmlns/libvirt/1

# --- a host ------------------------------------------------------------------
# modules that depmod is done with in a second, and a home with the cache
small_modules()
{
	local from=$KERNEL_DIR/lib/modules/$RELEASE to=/lib/modules/$RELEASE m f
	rm $to
	mkdir -p $to
	cp $from/modules.builtin* $from/modules.order $to/
	for m in kvm-amd kvm-intel lz4 zstd rdma_cm rdma_rxe ib_uverbs rdma_ucm dummy nf_tables \
		hmac sha256_generic sha256-ssse3 crc32_generic crc32-pclmul crc32c_generic crc32c-intel; do
		modprobe -d $KERNEL_DIR -S $RELEASE --show-depends $m 2>/dev/null || true
	done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r f; do
		mkdir -p "$to/$(dirname "${f#"$from"/}")"
		cp "$f" "$to/${f#"$from"/}"
	done
	depmod
}
small_modules
mkdir -p /root/.cache /etc/default
ln -s /hermit /root/.cache/hermit
[ -s /etc/machine-id ] || tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
cp /hermit/vm/vmlinuz /hermit/vm/guest.img $W/
chmod 755 $W
modprobe dummy
ip link add eth1 type dummy
ip addr add 192.0.2.1/24 dev eth1
ip link set eth1 up
echo '192.0.2.1 mem1' >> /etc/hosts
/usr/lib/systemd/systemd-udevd --daemon
apparmor_parser -r /etc/apparmor.d/usr.lib.libvirt.virt-aa-helper
echo 'security_default_confined = 1' >> /etc/libvirt/qemu.conf

# as systemd does with a Type=simple unit
systemctl()
{
	local unit=${*: -1} file line
	case "$*" in
	daemon-reload) return ;;
	'restart libvirtd')
		[ -z "$(pidof libvirtd)" ] || stop_libvirt
		start_libvirt
		return ;;
	'enable --now '*) ;;
	*) fail "systemctl $*: what is that?" ;;
	esac
	file=/usr/local/lib/systemd/system/$unit.service
	[ -e $file ] || fail "no unit $unit"
	# what it says of others, and that it is not the init system here, is no matter
	systemd-analyze verify --man=no $file > /out/verify 2>&1 || true
	! grep "$unit" /out/verify || fail "$unit: $(cat /out/verify)"
	systemd-analyze security --offline=true --threshold=20 $file > /out/security 2>&1 || fail "$unit is exposed: $(tail -n 1 /out/security)"
	( export RUNTIME_DIRECTORY=/run/$unit CREDENTIALS_DIRECTORY=/run/credentials/$unit.service
	  mkdir -p $RUNTIME_DIRECTORY $CREDENTIALS_DIRECTORY
	  line=$(cat /etc/systemd/system/$unit.service.d/*.conf 2>/dev/null | sed -n 's/^LoadCredential=//p')
	  [ -z "$line" ] || install -m 400 "${line#*:}" "$CREDENTIALS_DIRECTORY/${line%%:*}"
	  set -a
	  # where the unit says, not where the guide does
	  env=$(sed -n 's/^EnvironmentFile=//p' $file)
	  case $env in -*) env=${env#-}; [ -e "$env" ] || env=/dev/null ;; esac
	  [ -z "$env" ] || . "$env"
	  # the port is taken by the one in the foreground
	  options=${HERMIT_MEMSERVER_OPTIONS:-}
	  HERMIT_MEMSERVER_OPTIONS=${options/7471/7470}
	  eval "exec $(sed -n 's/^ExecStart=//p' $file)" ) > /out/$unit.log 2>&1 &
	echo $! > $W/$unit.unit
}

# for LIMIT seconds, and then it must still be at it: its output is in /out/shown
shown()
{
	local rc=0
	timeout -s INT -k 5 "$1" bash -c "$2" > /out/shown 2>&1 || rc=$?
	[ $rc = 124 ] || [ $rc = 130 ] || [ $rc = 0 ] || fail "$2: ended with $rc: $(tail -n 3 /out/shown)"
}
has() { grep -qE "$1" /out/shown || fail "$cmd: nothing like '$1' in: $(head -c 1000 /out/shown)"; }
state_is() { [ "$(virsh -q domstate hermit1)" = "$1" ]; }
server_is() { figures hermit1 "r[0]['servers'][0]['state'] == '$1'"; }
away() { figures hermit1 'r[0]["remote"] > 8 << 20'; }
busy() { figures hermit1 'r[0]["remote"] > 8 << 20 and r[0]["counters"]["fetches"] > 100'; }

# --- the commands --------------------------------------------------------------
run()
{
	local cmd=$1 name
	# what has to be so before
	case $cmd in
	'virsh define'*)
		# a guest that boots without a disk and checks its memory
		python3 -I - /usr/local/share/hermit/hermit.xml "$W" "$GUEST_APPEND page_poison=0" <<-'END'
			import re, sys
			s, w, append = open(sys.argv[1]).read(), sys.argv[2], sys.argv[3]
			s = re.sub(r"<disk.*?</disk>|<interface.*?</interface>|<console.*?/>", "", s, flags=re.S)
			s = s.replace("<vcpu>4</vcpu>", "<vcpu>1</vcpu>")
			s = s.replace("mode='host-passthrough'", "mode='host-passthrough' migratable='off'")
			load = 'dd if=/dev/urandom of=/tmp/x bs=1M count=32 2&gt;/dev/null; md5sum /tmp/x &gt;/tmp/sum; while md5sum -c /tmp/sum; do :; done'
			s = s.replace("</os>", f'<kernel>{w}/vmlinuz</kernel><initrd>{w}/guest.img</initrd>'
			    f'<cmdline>{append} job=run -- sh -c "{load}"</cmdline></os>'
			    "<on_poweroff>destroy</on_poweroff>")
			s = s.replace("</devices>", f"<controller type='usb' model='none'/><serial type='file'><source path='{w}/hermit1.serial'/></serial></devices>")
			open(sys.argv[1], "w").write(s)
		END
		;;
	'hermitctl advise'*|'hermitctl recall'*)
		hermitctl set hermit1 --limit 96M
		wait_for 120 away
		wait_for 60 figures hermit1 '"idle" in r[0]' ;;
	bpftrace*|perf*|'cd /sys/kernel/tracing'*)
		hermitctl set hermit1 --limit 24M
		wait_for 60 busy ;;
	'virsh resume'*)
		hermitctl set hermit1 --limit 24M
		wait_for 60 busy
		kill -STOP "$(cat $W/m1.memserver)"
		log 'waiting for fault-timeout'
		wait_for 150 state_is paused
		server_is reconnecting || fail "the server is $(cat /out/figures)"
		kill -CONT "$(cat $W/m1.memserver)"
		wait_for 60 server_is up ;;
	*'.control list')
		# killed, the server hears of it; unreachable, it does not
		kill -KILL "$(qemu_pid hermit1)"
		wait_for 60 state_is 'shut off'
		virsh -q start hermit1 || fail "virsh start after QEMU was killed"
		wait_for 120 busy_at_all
		cut_link
		virsh -q destroy hermit1
		sleep 2
		mend_link
		! virsh start hermit1 > /out/refused 2>&1 || fail "it starts, though the server has its memory"
		grep -q 'another client' /out/refused || fail "the refusal: $(cat /out/refused)" ;;
	*'forget UUID')
		UUID=$(grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' /out/refused | head -n 1)
		[ -n "$UUID" ] || fail "no UUID in the refusal: $(cat /out/refused)"
		cmd=${cmd/UUID/$UUID} ;;
	esac

	case $cmd in
	# what is built by tests/all, and there already
	'meson setup build && meson install -C build') cp -a --remove-destination /hermit/build/userland/root/. / ;;
	'tests/deps apt kernel') ls /hermit/kernel/6.12*/ok ;;
	kvm-module/build) ls /hermit/build/modules/6.12*/{kvm,hermit,hermit-kvm,hermit-rdma}.ko ;;
	qemu-patches/build) ls /hermit/build/qemu/bin/qemu-system-x86_64 ;;
	# what stays in the foreground
	'hermit-memserver --listen'*)
		name=m1
		case $cmd in *rdma:*) name=m2 ;; esac
		eval "exec $cmd" > $W/$name.server.log 2>&1 &
		echo $! > $W/$name.memserver
		wait_for 20 grep -q '^listening on ' $W/$name.server.log ;;
	'hermitctl top'*) shown 8 "$cmd"; has '^hermit1 .* up$' ;;
	bpftrace*) shown 60 "$cmd"; has '@(us|mib|clean)' ;;
	perf*) shown 40 "$cmd"; note "perf: $(grep -c hermit_sched /out/shown) decisions"; ! grep -qi 'error\|invalid' /out/shown || fail "$cmd: $(cat /out/shown)" ;;
	'cd /sys/kernel/tracing'*) shown 8 "$cmd"; echo 0 > /sys/kernel/tracing/events/hermit/enable; has 'hermit_fault' ;;
	'virsh qemu-monitor-event'*)
		( sleep 5; hermitctl set hermit1 --limit 128M ) &
		shown 15 "$cmd"
		has HERMIT_MEMORY_LIMIT_CHANGED ;;
	*)	eval "$cmd" > /out/shown 2>&1 || fail "$cmd: ended with $?: $(cat /out/shown)"
		cat /out/shown ;;
	esac

	# what must have become of it
	case $cmd in
	'systemctl enable --now hermit-memserver')
		wait_for 30 grep -q '^listening on tcp:192.0.2.1:7470' /out/hermit-memserver.log
		end_child hermit-memserver "$(cat $W/hermit-memserver.unit)" TERM 0 ;;
	'systemctl enable --now hermit-follow') wait_for 30 grep -q following /out/hermit-follow.log ;;
	'modprobe -a hermit'*)
		[ -d /sys/module/hermit_kvm ] || fail "no hermit-kvm"
		$USERLAND/bin/kvm-hold > $W/held &
		echo $! > $W/kvm-hold
		wait_for 20 test -s $W/held ;;
	udevadm*)
		udevadm settle
		udevadm trigger --name-match=kvm
		udevadm settle
		[ "$(stat -c '%G %a' /dev/hermit)" = 'kvm 660' ] || fail "/dev/hermit is $(stat -c '%G %a' /dev/hermit)"
		chgrp kvm /dev/kvm
		chmod 660 /dev/kvm ;;
	'virsh start'*)
		figures hermit1 'r[0]["limit"] == 4 << 30 and r[0]["size"] == 8 << 30 and r[0]["mode"] == "ept-hook"' ||
			fail "after the start: $(cat /out/figures)"
		wait_checks hermit1 1 ;;
	'hermitctl list') has '^hermit1 ' ;;
	*'--ratio 0.25'*) figures hermit1 'r[0]["limit"] == 2 << 30' || fail "$(cat /out/figures)" ;;
	*'--limit 3G --config'*)
		figures hermit1 'r[0]["limit"] == 3 << 30' || fail "$(cat /out/figures)"
		virsh metadata hermit1 --config --uri $NS | grep > /dev/null "limit=.$((3 << 30))" || fail "not in the XML" ;;
	'virsh metadata'*) wait_for 30 figures hermit1 'r[0]["limit"] == int((8 << 30) * 0.3) & ~4095' ;;
	'hermitctl advise'*) has '^advice: hermitctl set hermit1 --ratio 0\.[0-9]' ;;
	'hermitctl policy hermit1') has 'reclaim-weight +100' ;;
	*reclaim-weight*)
		hermitctl policy hermit1 | grep > /dev/null 'reclaim-weight *300' || fail "$(hermitctl policy hermit1)"
		virsh metadata hermit1 --config --uri $NS | grep > /dev/null "reclaim-weight=.300" || fail "not in the XML" ;;
	'hermitctl recall'*)
		figures hermit1 'r[0]["remote"] == 0 and r[0]["limit"] == 8 << 30' || fail "$(cat /out/figures)"
		note "recall: $(tail -n 1 /out/shown)" ;;
	*'stat hermit1 --json'*) python3 -I -c 'import json; r = json.load(open("/out/shown")); assert r[0]["vcpus"] and r[0]["idle"]' || fail "$(cat /out/shown)" ;;
	'virsh resume'*) state_is running || fail "after the resume it is $(virsh domstate hermit1)"; wait_checks hermit1 1 ;;
	*'.control list') has "$(grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' /out/refused | head -n 1)" ;;
	*' forget '*) virsh -q start hermit1 || fail "virsh start after forget"; wait_checks hermit1 1 ;;
	'rdma link '*'#'*) has 'state ACTIVE' ;;
	'modprobe hermit-rdma')
		virsh -q destroy hermit1
		virsh dumpxml hermit1 --inactive | sed "s/tcp:mem1:7471/rdma:192.0.2.1:7471/; s/limit=.[0-9]*./limit='96M'/" > $W/rdma.xml
		virsh -q define $W/rdma.xml
		virsh -q start hermit1 || fail "virsh start over RDMA"
		wait_for 120 busy_at_all
		server_is up || fail "$(cat /out/figures)"
		wait_checks hermit1 1 ;;
	esac
}
busy_at_all() { figures hermit1 'r[0]["local"] > 32 << 20'; }

cd /src
n=0
while IFS= read -r -d '' command; do
	log "\$ $command"
	run "$command" < /dev/null
	n=$((n + 1))
done < <(python3 -I /src/tests/vm/doc-commands.py /src/docs/operators.md)
note "$n commands of docs/operators.md"
[ $n -gt 50 ] || fail "only $n commands found"
! grep -q FAILED $W/hermit1.serial || fail "memory is not what it was: $(tail -n 3 $W/hermit1.serial)"

virsh -q destroy hermit1
end_child hermit-follow "$(cat $W/hermit-follow.unit)" TERM 143
stop_libvirt
for pid in $(pidof systemd-udevd); do kill $pid; done
teardown
