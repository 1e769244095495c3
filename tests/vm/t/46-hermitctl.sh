# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G smp=1 timeout=300 kvm=patched light
# hermitctl and a real module, without libvirt: each command does what it says,
# and QEMU tells what hermitctl changed. Then the server stops answering and
# comes back empty: a limit that cannot be reached, the stall and the lost pages
# are told, and hermitctl still answers.
. /src/tests/vm/vm-tests.sh
trap 'cp $W/*.events /out/ 2>/dev/null || true' EXIT

# figures EXPRESSION: of "hermitctl stat ram0 --json", as r
figures()
{
	hermitctl stat ram0 --json > /out/figures
	python3 -I -c 'import json, sys; r = json.load(open("/out/figures"))[0]; sys.exit(not eval(sys.argv[1]))' "$1"
}
# refused WORDS ARGS...: hermitctl fails and says so
refused()
{
	local words=$1
	shift
	! hermitctl "$@" > $W/said 2>&1 || fail "hermitctl $*: accepted"
	grep -qF "$words" $W/said || fail "hermitctl $* says: $(cat $W/said)"
}

log 'no VM'
load_hermit
[ "$(hermitctl list | wc -l)" = 1 ] || fail "without a VM: $(hermitctl list)"
start_memserver m1 tcp:127.0.0.1:7471 --capacity 512M
# STOP is told by QEMU's main thread: the guest gives it nothing to look up in its
# memory, which is at the server: no report, and no queue that it serves.
VM_APPEND='job=run -- sh -c "hermit-guest-load --size 72M --threads 2 --write-ratio 0.5 --verify --seconds 1000 > /log"' \
	HERMIT_OBJECT=,fault-timeout=4000 hermit_vm v 160 96 tcp:127.0.0.1:7471 -global virtio-serial-pci.ioeventfd=off \
	-chardev socket,id=qmp2,path=$W/v.qmp2,server=on,wait=off -mon chardev=qmp2,mode=control
wait_for 20 test -S $W/v.qmp2
echo '{"execute": "qmp_capabilities"}' > $W/hello
socat -,ignoreeof UNIX-CONNECT:$W/v.qmp2 < $W/hello > $W/v.events &
wait_report v 150 '^up'

log 'what it shows'
# --- what it shows -------------------------------------------------------------
hermitctl list | grep > /dev/null '^- *ram0 .* 160.0 MiB *96.0 MiB' || fail "list: $(hermitctl list)"
figures 'r["size"] == 160 << 20 and r["limit"] == 96 << 20 and r["mode"] == "ept-hook" and r["servers"][0]["state"] == "up"' ||
	fail "stat --json: $(cat /out/figures)"
UUID=$(python3 -I -c 'import json; print(json.load(open("/out/figures"))[0]["uuid"])')
hermitctl stat "$UUID" | grep > /dev/null "^- ram0 $UUID" || fail "stat: $(hermitctl stat "$UUID")"
hermitctl top -n 2 -i 1 > /out/top
[ "$(grep -c '^- *ram0 .* up$' /out/top)" = 2 ] || fail "top: $(cat /out/top)"
# the first period of the working set is not over yet, or it is
if hermitctl advise ram0 > /out/advice 2>&1; then
	grep -q "^advice: hermitctl set $UUID --ratio" /out/advice || fail "advise: $(cat /out/advice)"
else
	grep -q 'nothing is known of its working set' /out/advice || fail "advise: $(cat /out/advice)"
fi

log 'what it changes'
# --- what it changes -----------------------------------------------------------
hermitctl set ram0 --limit 72M
reached() { figures 'r["limit"] == 72 << 20 and r["resident"] <= 72 << 20 and r["remote"] > 0'; }
wait_for 30 reached
wait_for 10 told v HERMIT_MEMORY_LIMIT_CHANGED '"limit": 75497472'
hermitctl policy ram0 batch=8 wait=park
hermitctl policy ram0 > /out/policy
grep -q '^  batch *8$' /out/policy && grep -q '^  wait *park$' /out/policy || fail "policy: $(cat /out/policy)"
qmp v '{"execute":"qom-get","arguments":{"path":"/objects/ram0","property":"batch"}}' | grep > /dev/null '"return": 8' ||
	fail "QEMU says another batch"
refused 'below' set ram0 --limit 4096
refused 'above the size' set ram0 --limit 1G
refused 'batch' policy ram0 batch=33
refused "libvirt does not run 'ram0'" set ram0 --ratio 0.5 --config
refused "'nobody': no running VM" stat nobody
figures 'r["limit"] == 80 << 20' || fail "a refused change took effect: $(cat /out/figures)"
hermitctl recall ram0 2> /out/recall || fail "recall: $(cat /out/recall)"
figures 'r["limit"] == r["size"] and r["remote"] == 0' || fail "after recall: $(cat /out/figures)"
note "recall: $(tail -n 1 /out/recall)"

log 'what goes wrong'
# --- what goes wrong -------------------------------------------------------------
# The server is silent: what has to be written cannot leave, and what has to be
# read does not come.
hermitctl set ram0 --limit 72M
wait_for 30 reached
SERVER=$(cat $W/m1.memserver)
kill -STOP $SERVER
hermitctl set ram0 --limit 40M
wait_for 30 told v HERMIT_MEMORY_LIMIT_UNREACHABLE '"limit": 41943040'
wait_for 30 told v HERMIT_MEMORY_STALL '"action": "stop"'
wait_for 30 told v STOP
figures 'r["limit"] == 40 << 20 and r["resident"] > r["limit"]' || fail "the limit was reached: $(cat /out/figures)"
kill -KILL $SERVER
wait_for 20 gone $SERVER
rm $W/m1.memserver
start_memserver m2 tcp:127.0.0.1:7471 --capacity 512M
wait_for 60 told v HERMIT_MEMORY_PAGES_LOST
wait_for 30 told v HERMIT_MEMORY_SERVER_STATE '"up"'
lost() { figures 'r["lost"] > 0 and r["servers"][0]["state"] == "up"'; }
wait_for 30 lost
hermitctl stat ram0 | grep > /dev/null '^  LOST ' || fail "stat: $(hermitctl stat ram0)"
hermitctl top -n 1 | grep > /dev/null ' LOST [0-9]* pages$' || fail "top: $(hermitctl top -n 1)"
grep -o '"event": "HERMIT[^}]*}' $W/v.events | sed 's/.*"\(HERMIT[A-Z_]*\)".*/\1/' | sort | uniq -c | while read -r n event; do
	note "$event: $n"
done
stop_vm v
[ "$(hermitctl list | wc -l)" = 1 ] || fail "after the VM: $(hermitctl list)"
teardown
