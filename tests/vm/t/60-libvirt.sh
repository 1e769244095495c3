# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=3G timeout=1100 kvm=patched long
# libvirt as its users know it, unpatched: one element in <metadata> makes a
# domain's RAM hermit-memory; hermitctl reads and sets without QEMU or libvirt;
# save, restore and a restart of libvirtd keep the guest's memory right; what
# cannot work is refused by virsh start; nothing is left at the end.
. /src/tests/vm/libvirt.sh

install_hermit
load_hermit
chgrp kvm /dev/kvm /dev/hermit
chmod 660 /dev/kvm /dev/hermit
start_libvirt
NS=https://hermit.example/xmlns/libvirt/1

# --- refused by virsh start, with a sentence that names what is wrong --------
# (test-settings has the rest of them)
# refused NAME SENTENCE METADATA EXTRA
refused()
{
	define bad "$3" "$4"
	! virsh start bad > /out/refused 2>&1 || fail "$1: started"
	grep -q "hermit: .*$2" /out/refused || fail "$1: $(cat /out/refused)"
	log "$1: $(grep -o 'hermit: .*' /out/refused)"
	virsh -q undefine bad
	[ ! -e "$(ls -d /run/hermit/*.json 2>/dev/null)" ] || fail "$1: settings are left"
}
half="local-ratio='0.5'"
refused locked '<locked/> cannot be used' "$half" '<memoryBacking><locked/></memoryBacking>'
refused hard_limit 'the host would kill QEMU' "$half" '<memtune><hard_limit unit="MiB">200</hard_limit></memtune>'
refused attribute 'Invalid attribute sever' "$half sever='local:'" ''
EMULATOR=/opt/hermit-qemu/bin/qemu-system-x86_64 refused emulator 'needs the path of hermit-qemu' "$half" ''
# what only QEMU and the module know
define bad "$half server='tcp:127.0.0.1:7999'" ''
! virsh start bad > /out/refused 2>&1 || fail "started without its server"
grep -q 'tcp:127.0.0.1:7999' /out/refused || fail "the missing server is not named: $(cat /out/refused)"
virsh -q undefine bad

log 'a guest'
# --- a guest that checks its memory all the time -----------------------------
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > /etc/hermit/key
chown libvirt-qemu /etc/hermit/key
chmod 600 /etc/hermit/key
start_memserver m1 tcp:127.0.0.1:7471 --capacity 1G --key-file /etc/hermit/key
define h1 "$half server='tcp:127.0.0.1:7471' key-file='/etc/hermit/key' prefetch='8' reclaim-weight='200'" \
	'<currentMemory unit="MiB">224</currentMemory>'
virsh -q start h1 || fail "virsh start h1"
wait_checks h1 1
note "libvirt $(virsh -q version --daemon | sed -n 's/^Running against daemon: //p')"
policy_is() { hermitctl policy h1 | grep > /dev/null "$1 *$2\$"; }
policy_is prefetch 8 && policy_is reclaim-weight 200 || fail "the element's switches: $(hermitctl policy h1)"
virsh -q dommemstat h1 | grep > /dev/null "^actual $((224 << 10))" || fail "<currentMemory>: $(virsh dommemstat h1)"
UUID=$(virsh domuuid h1)

query h1 'r[0]["limit"] == 128 << 20 and r[0]["mode"] == "ept-hook" and r[0]["servers"][0]["state"] == "up"' ||
	fail "query-hermit-memory: $(cat /out/query)"
figures h1 'len(r) == 1 and r[0]["domain"] == "h1" and r[0]["size"] == 256 << 20 and r[0]["limit"] == 128 << 20' ||
	fail "hermitctl stat: $(cat /out/figures)"
# memory that comes later would be outside of the limit
virsh -q qemu-monitor-command h1 '{"execute":"object-add","arguments":{"qom-type":"memory-backend-ram","id":"late","size":1048576}}' > /out/late
grep -q "its limit would not bound what memory-backend-ram 'late' takes" /out/late || fail "memory that is plugged in later: $(cat /out/late)"
# the wrapper and hermitctl agree with everybody else's UUIDs
python3 -I - "$UUID" /run/hermit/"$UUID".json /out/figures <<-'END' || fail "the region's UUID is not derived as documented"
	import json, sys, uuid
	host = uuid.uuid5(uuid.UUID(sys.argv[1]), "hermit " + open("/etc/machine-id").read().strip())
	assert json.load(open(sys.argv[2]))["regions"] == str(host)
	r = json.load(open(sys.argv[3]))[0]
	assert r["uuid"] == str(uuid.uuid5(host, r["id"])), r["uuid"]
END
hermitctl list | grep > /dev/null '^h1 ' || fail "hermitctl list: $(hermitctl list)"
hermitctl doctor tcp:127.0.0.1:7471 --key-file /etc/hermit/key > /out/doctor 2>&1 || fail "hermitctl doctor: $(cat /out/doctor)"
grep -q '^ok .*tcp:127.0.0.1:7471 answers, and has our key' /out/doctor || fail "hermitctl doctor: $(cat /out/doctor)"
note "doctor: $(grep -c '^ok ' /out/doctor) lines are well, $(grep -c '^note ' /out/doctor) notes"

log 'the limit'
# --- the limit, changed while it runs ----------------------------------------
hermitctl set h1 --ratio 0.25 || fail "hermitctl set --ratio"
wait_for 30 figures h1 'r[0]["limit"] == 64 << 20 and r[0]["resident"] <= 64 << 20'
query h1 'r[0]["limit"] == 64 << 20' || fail "QEMU says another limit: $(cat /out/query)"
virsh metadata h1 --live --uri $NS | grep > /dev/null "local-ratio=.0.25" || fail "libvirt does not know: $(virsh metadata h1 --live --uri $NS)"
virsh metadata h1 --config --uri $NS | grep > /dev/null "local-ratio=.0.5" || fail "set without --config changed the next start"
hermitctl set h1 --limit 40M --config || fail "hermitctl set --limit"
wait_for 30 figures h1 'r[0]["limit"] == 40 << 20 and r[0]["resident"] <= 40 << 20'
virsh metadata h1 --config --uri $NS | grep > /dev/null "limit=.$((40 << 20))" || fail "--config did not last: $(virsh metadata h1 --config --uri $NS)"
wait_checks h1 1
figures h1 'r[0]["remote"] > 0 and r[0]["counters"]["fetches"] > 0' || fail "nothing went out: $(cat /out/figures)"
hermitctl top --count 2 --interval 1 > /out/top
[ "$(grep -c '^h1 .* up$' /out/top)" = 2 ] || fail "hermitctl top: $(cat /out/top)"
# the same by libvirt's own means
start_daemon follow hermitctl follow
wait_for 20 grep -q following $W/follow.log
virsh -q metadata h1 --live --uri $NS --key hermit --set \
	"<memory local-ratio='0.2' server='tcp:127.0.0.1:7471' key-file='/etc/hermit/key' wait='park' prefetch='8'/>"
wait_for 20 figures h1 'r[0]["limit"] == int((256 << 20) * 0.2) & ~4095'
wait_for 10 policy_is wait park
hermitctl policy h1 batch=16 --config || fail "hermitctl policy --config"
virsh metadata h1 --config --uri $NS | grep > /dev/null "batch=.16" || fail "--config did not last: $(virsh metadata h1 --config --uri $NS)"
stop_daemon follow 143
hermitctl set h1 --limit 40M

for wrong in "--limit 4096" "--limit 1T" "--ratio 0" "--ratio 1 --limit 4M" ""; do
	# shellcheck disable=SC2086
	! hermitctl set h1 $wrong 2> /out/err || fail "hermitctl set h1 $wrong: accepted"
	log "set $wrong: $(cat /out/err)"
done
! hermitctl stat nobody 2> /out/err || fail "hermitctl stat nobody: accepted"
grep -q "'nobody': no running VM" /out/err || fail "hermitctl stat nobody: $(cat /out/err)"
figures h1 'r[0]["limit"] == 40 << 20' || fail "a refused limit took effect"

log 'without libvirtd'
# --- neither QEMU nor libvirt has to answer ----------------------------------
stop_libvirt
kill -STOP "$(qemu_pid h1)"
timeout 10 hermitctl stat "$UUID" > /out/stat || fail "hermitctl stat with QEMU stopped"
grep -q '^h1 ' /out/stat || fail "hermitctl stat: $(cat /out/stat)"
timeout 10 hermitctl set h1 --limit 48M 2> /out/err || fail "hermitctl set with QEMU stopped"
grep -q 'libvirt does not know' /out/err || fail "no warning that libvirt is away"
kill -CONT "$(qemu_pid h1)"
rm /run/hermit/"$UUID".json
start_libvirt
# libvirtd reconnects in the background
wait_for 30 test -e /run/hermit/"$UUID".json
figures h1 'r[0]["limit"] == 48 << 20' || fail "$(cat /out/figures)"
wait_checks h1 1

log 'save and restore'
# --- save and restore ---------------------------------------------------------
hermitctl set h1 --ratio 0.25
before=$(checks h1)
virsh -q save h1 $W/h1.save || fail "virsh save"
[ ! -e /run/hermit/"$UUID".json ] || fail "settings are left after the save"
[ "$(hermitctl list | wc -l)" = 1 ] || fail "a region is left after the save: $(hermitctl list)"
log 'saved'
virsh -q restore $W/h1.save || fail "virsh restore"
log 'restored'
figures h1 'r[0]["limit"] == 64 << 20 and r[0]["resident-max"] <= 64 << 20' || fail "after the restore: $(cat /out/figures)"
wait_for 120 checks_above h1 $((before + 1))
rm $W/h1.save
policy_is wait park && policy_is batch 16 || fail "switches after the restore: $(hermitctl policy h1)"
before=$(checks h1)
virsh -q managedsave h1 || fail "virsh managedsave"
virsh -q start h1 || fail "virsh start after managedsave"
figures h1 'r[0]["limit"] == 64 << 20 and r[0]["resident-max"] <= 64 << 20' || fail "after the managed save: $(cat /out/figures)"
wait_for 120 checks_above h1 $((before + 1))

log 'two cells'
# --- two cells: a region each, one limit for both -----------------------------
define h2 "limit='100M' server='tcp:127.0.0.1:7471' key-file='/etc/hermit/key'" \
	"<vcpu>2</vcpu><cpu mode='host-passthrough' migratable='off'><numa><cell id='0' cpus='0' memory='96' unit='MiB'/><cell id='1' cpus='1' memory='160' unit='MiB'/></numa></cpu>"
virsh -q start h2 || fail "virsh start h2"
figures h2 'len(r) == 2 and r[0]["limit"] + r[1]["limit"] == 100 << 20 and r[0]["limit"] * 160 == r[1]["limit"] * 96' ||
	fail "two cells: $(cat /out/figures)"
hermitctl set h2 --limit 80M
figures h2 'r[0]["limit"] == 30 << 20 and r[1]["limit"] == 50 << 20' || fail "a limit for two cells: $(cat /out/figures)"
wait_checks h2 1

log 'the end'
# --- nothing is left ----------------------------------------------------------
for d in h1 h2; do
	! grep -q 'FAILED' $W/$d.serial || fail "$d: memory is not what it was: $(tail -n 3 $W/$d.serial)"
	note "$d: $(checks $d) checks of its memory right"
	virsh -q destroy $d
	virsh -q undefine $d
done
[ "$(hermitctl list | wc -l)" = 1 ] || fail "regions are left: $(hermitctl list)"
[ -z "$(ls /run/hermit)" ] || fail "settings are left: $(ls /run/hermit)"
stop_libvirt
stop_memserver m1
teardown
