# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=patched,stock
# A guest whose memory is a hermit-memory object with a memory server: it
# boots and runs a command; limit and local-ratio change at run time; the
# query, the events and "info hermit" tell it; what the kernel refuses names
# object and option; QEMU's end ends the session.
load_hermit
ADDR=tcp:127.0.0.1:7471
start_memserver m1 $ADDR --capacity 1G

vm() { start_vm "$@" -m 128M -machine memory-backend=ram0; }
set_ram0() { qmp g "{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"/objects/ram0\", \"property\": \"$1\", \"value\": $2}}"; }

VM_APPEND='job=run -- sh -c "yes hermit | head -c 16777216 > /f && md5sum < /f; sleep 10000"' \
	vm g -object hermit-memory,id=ram0,size=128M,local-ratio=0.5,server=tcp:localhost:7471
wait_report g 240 '^[0-9a-f]{32}'
report g | grep -q "^$(yes hermit | head -c 16777216 | md5sum)" || fail "the guest read back: $(report g | tail -n 1)"

[ "$(hermit_stat g limit)" = $((64 << 20)) ] || fail "limit is $(hermit_stat g limit)"
[ "$(hermit_stat g servers.0.state)" = up ] || fail "the server is $(hermit_stat g servers.0.state)"
want=stock
[ $KVM_MODE = stock ] || want=ept-hook
[ "$(hermit_stat g mode)" = $want ] || fail "mode is $(hermit_stat g mode), not $want"
[ "$(hermit_stat g resident)" -le $(((64 << 20) + 4 * 32 * 4096)) ] || fail "resident is $(hermit_stat g resident)"

set_ram0 local-ratio 0.25 2> $W/events || fail "qom-set local-ratio"
qmp g query-version >/dev/null 2>> $W/events
[ "$(hermit_stat g limit)" = $((32 << 20)) ] || fail "limit after qom-set is $(hermit_stat g limit)"
below() { [ "$(hermit_stat g resident)" -le $((32 << 20)) ]; }
wait_for 60 below
[ "$(hermit_stat g remote)" -gt 0 ] || fail "nothing is remote"
set_ram0 limit $((64 << 20)) || fail "qom-set limit"
set_ram0 limit 4096 > $W/refused && fail "a limit of one page was accepted"
grep -q "hermit-memory 'ram0': limit 4096: below" $W/refused || fail "refusal: $(cat $W/refused)"
for q in query-hermit-memory query-memdev 'hmp: info hermit'; do
	qmp g "$q" || fail "$q"
done
qmp g stop cont || fail "stop, cont"
kill_vm g

# refused, and gone at once
refused()	# OPTIONS WHAT-IT-SAYS
{
	local rc=0
	timeout 300 $QEMU -machine q35,memory-backend=ram0 -m 64M -display none -nodefaults \
		-object hermit-memory,id=ram0,size=64M,$1 2> $W/err || rc=$?
	cat $W/err
	[ $rc = 1 ] || fail "QEMU with $1 ended with $rc"
	[ "$(wc -l < $W/err)" = 1 ] || fail "not one line for $1: $(cat $W/err)"
	grep -q "hermit-memory 'ram0'.*$2" $W/err || fail "for $1 QEMU says: $(cat $W/err)"
}
refused server=tcp:127.0.0.1:7499 'server tcp:127.0.0.1:7499'
refused server=nfs:127.0.0.1:1 "server 'nfs:127.0.0.1:1': unknown transport"
refused limit=4K 'limit 4096: below'
echo 0123456789abcdef0123456789abcdef > $W/key
chmod 600 $W/key
start_memserver m2 tcp:127.0.0.1:7472 --capacity 1G --key-file $W/key
refused server=tcp:127.0.0.1:7472 'server tcp:127.0.0.1:7472'
echo 0123456789abcdef0123456789abcdeX > $W/key2
chmod 600 $W/key2
refused server=tcp:127.0.0.1:7472,key-file=$W/key2 'server tcp:127.0.0.1:7472'
VM_KERNEL=none vm k -object hermit-memory,id=ram0,size=128M,server=tcp:127.0.0.1:7472,key-file=$W/key
[ "$(hermit_stat k servers.0.state)" = up ] || fail "with the key the server is $(hermit_stat k servers.0.state)"
stop_vm k
