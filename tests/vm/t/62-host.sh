# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=6G timeout=3000 kvm=none root=host13 systemd append='apparmor=1 security=apparmor' long
# From a Debian 13 that has booted, with its systemd and its kernel, to the first
# VM: the commands of docs/operators.md, three on the memory node, three on the
# compute host, which is the same one here, and those that make a domain by
# virt-install, with VNC and a TPM. The guest checks its memory; the way back
# leaves no file and takes none. What it takes is built before:
#
#   tests/packages --dkms && tests/packages --qemu && tests/deps host13 &&
#   tests/vm/run --kernel 6.12.118+deb13 62-host
requires /hermit/build/packages/dkms "run tests/packages --dkms"
requires /hermit/build/packages-qemu/repo/Packages "run tests/packages --qemu"
[ -e /usr/lib/modules/$RELEASE/modules.dep ] || skip "the tree's kernel is another one: tests/vm/run --kernel 6.12.118+deb13"
version=$(sed -n 's/^Version: //p' /hermit/build/packages/repo/Packages | head -n 1)

# --- the host, before ------------------------------------------------------------
systemctl is-system-running > /out/state || true
log "systemd says: $(cat /out/state), $(systemctl --failed --plain --no-legend | tr '\n' ';')"
[ -d /sys/module/kvm_amd ] || [ -d /sys/module/kvm_intel ] || fail "udev has not loaded KVM"
! grep -q kvm_provider_register /proc/kallsyms || fail "the KVM that booted is ours already"
aa-status --enabled || fail "AppArmor is off"
systemctl start libvirtd
modprobe dummy
ip link add eth1 type dummy
ip addr add 192.0.2.1/24 dev eth1
ip link set eth1 up
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
printf 'deb [trusted=yes] file:/hermit/build/%s/repo ./\n' packages packages-qemu > /etc/apt/sources.list.d/hermit.list
printf 'APT::Get::Assume-Yes "true";\nAPT::Sandbox::User "root";\n' > /etc/apt/apt.conf.d/90test
echo '192.0.2.1 mem1' >> /etc/hosts
export DEBIAN_FRONTEND=noninteractive
apt-get update > /out/apt-update 2>&1
cp /hermit/vm/vmlinuz /hermit/vm/guest.img /var/lib/libvirt/images/
cd /root

# type, mode, owner, size of what packages and administrators install
files()
{
	# some are not there before
	{ find /usr /etc /opt /boot /var/lib/dkms /var/lib/hermit-modules -xdev \
		\( -type d -printf '%y %m %u:%g %p\n' -o \( -type f -o -type l \) -printf '%y %m %u:%g %s %l %p\n' \) 2> /dev/null || true; } | sort
}
files > /out/before
log "$(wc -l < /out/before) files"
# What DKMS makes of hermit-dkms for this kernel: an hour here
cp -a /hermit/build/packages/dkms/hermit /var/lib/dkms/
mkdir -p /var/lib/hermit-modules
cp -a /hermit/build/packages/hermit-modules/sources /var/lib/hermit-modules/

# --- the commands ------------------------------------------------------------------
# mem1 is this host
scp() { [ "$1 $2" = "mem1:/etc/hermit/key /etc/hermit/key" ] && [ -s /etc/hermit/key ]; }
state_is() { [ "$(virsh -q domstate "$1")" = "$2" ]; }
serial=/var/log/libvirt/qemu/vm1.serial
checks() { grep -ac '/tmp/x: OK' $serial 2> /dev/null || true; }
checks_above() { [ "$(checks)" -gt "$1" ]; }
figures() { hermitctl stat --json vm1 > /out/figures && python3 -I -c 'import json, sys; r = json.load(open("/out/figures")); sys.exit(not eval(sys.argv[1]))' "$1"; }
monitor() { virsh -q qemu-monitor-command vm1 "{\"execute\":\"$1\"}"; }
images=/var/lib/libvirt/images
cmdline="$GUEST_APPEND page_poison=0 job=run -- sh -c \"dd if=/dev/urandom of=/tmp/x bs=1M count=24 2>/dev/null; md5sum /tmp/x >/tmp/sum; while md5sum -c /tmp/sum; do sleep 1; done\""
: > /out/transcript

# run COMMAND: as it stands in the guide, but for what this machine has not
run()
{
	local cmd=$1
	case $cmd in
	*'--capacity 64G'*) cmd=${cmd/64G/1G} ;;
	'virt-install '*)
		# a guest without a disk, that checks its memory
		cmd=${cmd/--disk size=20 --cdrom debian.iso/--disk none --import --serial file,path=$serial}
		cmd=${cmd/hermit-qemu /hermit-qemu,kernel=$images/vmlinuz,initrd=$images/guest.img,kernel_args=CMDLINE }
		cmd=${cmd/--network network=default/--network none}
		cmd=${cmd/--memory 8192 --vcpus 4/--memory 256 --vcpus 1 --cpu host-passthrough,migratable=off} ;;
	esac
	log "\$ $cmd"
	printf '# %s\n' "$1" >> /out/transcript
	local rc=0 start=$SECONDS
	eval "$cmd" < /dev/null > /out/shown 2>&1 || rc=$?
	cat /out/shown >> /out/transcript
	tail -n 12 /out/shown
	case $1 in 'virt-install '*) sed -i "s|CMDLINE|$(sed 's/&/\\&amp;/g; s/>/\\\&gt;/g' <<< "$cmdline")|" vm1.xml ;; esac
	[ $rc = 0 ] || fail "$cmd: ended with $rc: $(tail -n 3 /out/shown | tr '\n' ' ')"
	log "$((SECONDS - start)) s"
}
commands() { python3 -I /src/tests/vm/doc-commands.py /src/docs/operators.md "$1"; }

node=0 compute=0 back=()
while IFS= read -r -d '' command; do
	case $command in
	'apt purge '*) back+=("$command") ;;
	'hermit-modules build'*) ;;
	*hermit-memserver*)
		run "$command"
		node=$((node + 1)) ;;
	*)	run "$command"
		compute=$((compute + 1)) ;;
	esac
done < <(commands shell)
[ "$node $compute ${#back[@]}" = '3 3 2' ] || fail "$node commands on the memory node, $compute on the compute host, ${#back[@]} back"
systemctl is-active hermit-memserver hermit-modules > /out/active || fail "the units are $(tr '\n' ' ' < /out/active)"
grep -q 'kvm_provider_register.*\[kvm\]' /proc/kallsyms || fail "the KVM is not ours: $(journalctl -o cat -u hermit-modules | tail -n 3)"
journalctl -q -o cat -u hermit-modules > /out/hermit-modules.log
grep -q 'hermit is loaded, with its KVM' /out/hermit-modules.log || fail "hermit-modules: $(tail -n 3 /out/hermit-modules.log)"
[ "$(stat -c '%G %a' /dev/hermit)" = 'kvm 660' ] || fail "/dev/hermit is $(stat -c '%G %a' /dev/hermit)"
dpkg -S /usr/lib/qemu-hermit/qemu-system-x86_64 | grep -q '^qemu-hermit:' || fail "whose is QEMU?"
dpkg --verify qemu-system-x86 qemu-system-common libvirt-daemon-system | grep -v ' c ' && fail "Debian's own files are changed"
hermitctl doctor tcp:mem1:7471 --key-file /etc/hermit/key > /out/doctor 2>&1 || note "doctor: $(grep -v '^ok ' /out/doctor | head -n 3 | tr '\n' ' ')"

# --- the domain --------------------------------------------------------------------
domain=0
while IFS= read -r -d '' command; do
	run "$command"
	domain=$((domain + 1))
done < <(commands bash)
[ $domain = 4 ] || fail "$domain commands for the domain"
figures 'len(r) == 1 and r[0]["limit"] == 128 << 20 and r[0]["size"] == 256 << 20 and r[0]["mode"] == "ept-hook"' || fail "hermitctl stat: $(cat /out/figures)"
monitor query-vnc > /out/vnc
grep -q '"enabled": *true' /out/vnc || fail "VNC: $(cat /out/vnc)"
port=$(virsh -q vncdisplay vm1 | sed 's/.*://; q')
exec 5<> /dev/tcp/127.0.0.1/$((5900 + port))
read -r -n 12 -t 60 greeting <&5 || true
exec 5>&-
[ "$greeting" = 'RFB 003.008' ] || fail "VNC says '$greeting'"
monitor query-tpm > /out/tpm
grep -q emulator /out/tpm || fail "TPM: $(cat /out/tpm)"
wait_for 600 checks_above 0
hermitctl set vm1 --limit 48M
wait_for 300 figures 'r[0]["resident"] <= 48 << 20 and r[0]["counters"]["fetches"] > 0'
n=$(checks)
wait_for 300 checks_above $((n + 1))
! grep -aq FAILED $serial || fail "memory is not what it was"
cp $serial /out/vm1.log
note "$node commands on the memory node, $compute on the compute host, $domain for the domain; $(checks) checks of its memory right, $(python3 -I -c 'import json; r = json.load(open("/out/figures"))[0]; print(r["counters"]["fetches"])') pages fetched; systemd $(cat /out/state)"
dmesg | grep 'apparmor="DENIED"' > /out/denied || true
[ ! -s /out/denied ] || fail "AppArmor denies: $(head -n 2 /out/denied)"

# --- the way back --------------------------------------------------------------------
virsh -q destroy vm1
virsh -q undefine vm1 --tpm > /out/undefine 2>&1 || fail "virsh undefine: $(cat /out/undefine)"
for command in "${back[@]}"; do run "$command"; done
apt-get purge 'qemu-hermit*' > /out/purge 2>&1
files > /out/after
# groups stay, as with all packages of Debian; libvirt's own state is not ours
diff /out/before /out/after | grep '^[<>]' | grep -vE ' /etc/(group|gshadow)-?$| /etc/apparmor.d/libvirt/libvirt-|/etc/libvirt/qemu/autostart$' > /out/left || true
[ ! -s /out/left ] || fail "the way back left, or took: $(head -n 5 /out/left | tr '\n' ' ')"
systemctl restart hermit-modules 2> /dev/null && fail "hermit-modules is there still"
[ -d /sys/module/kvm ] || fail "there is no KVM any more"
note "after the purge all $(wc -l < /out/after) files are as before"
