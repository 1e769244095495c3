# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=300 kvm=none light
# The unit of hermit-memserver as it was installed, by a real systemd, which is
# PID 1 of namespaces of its own: started with a key that it alone reads, its
# keys read again, used, stopped; and refused with a sentence when its file of
# options is missing.
#
#   L1 ── unshare ── systemd ── hermit-memserver.service ── tcp:127.0.0.1:7471
. /src/tests/vm/lib-l1.sh
UNIT=hermit-memserver.service

cp -a --remove-destination $USERLAND/root/. /
rm -f /etc/machine-id
tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
requires /usr/local/lib/systemd/system/$UNIT "build the userland"

# Nothing but what the unit pulls in by itself; the journal is a file of ours.
mkdir -p /etc/systemd/system/$UNIT.d
printf '[Unit]\nDefaultDependencies=no\nAfter=\nWants=\n[Service]\nStandardOutput=append:/var/log/unit\nStandardError=append:/var/log/unit\n' \
	> /etc/systemd/system/$UNIT.d/test.conf
printf '[Unit]\nDescription=nothing\nDefaultDependencies=no\nAllowIsolate=yes\n' > /etc/systemd/system/test.target

unshare --pid --fork --mount --uts --ipc --cgroup --propagation private sh -c '
	mount -t proc proc /proc
	mount -t tmpfs tmpfs /run
	mount -t tmpfs tmpfs /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	# credentials are mounted by a child, for all
	mount --make-rshared /
	exec env container=hermit /usr/lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no' \
	> /out/systemd.log 2>&1 < /dev/null &
PARENT=$!
systemd_pid() { pgrep -P $PARENT -x systemd; }
wait_for 30 systemd_pid
in_unit() { nsenter -t "$(systemd_pid)" -m -p -u -i -C -r -w "$@"; }
ctl() { in_unit systemctl "$@"; }
wait_for 60 ctl is-active test.target
say() { in_unit cat /var/log/unit 2>/dev/null; }
main_pid() { ctl show -p MainPID --value $UNIT; }
unit_failed() { ctl status $UNIT > /out/status 2>&1 || true; cat /out/status >> /out/systemd.log; fail "$*: $(tail -n 3 /out/status)"; }

# without options it says which file is missing, and is not tried for ever
! ctl start $UNIT > /out/start 2>&1 || fail "it starts without options"
ctl show -p Result --value $UNIT | grep -q resources || fail "without options: $(ctl show -p Result $UNIT)"
ctl reset-failed $UNIT

# as the guide says it
install -d -m 711 /etc/hermit
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > /etc/hermit/key
chmod 600 /etc/hermit/key
mkdir -p /etc/default
echo 'HERMIT_MEMSERVER_OPTIONS="--listen tcp:127.0.0.1:7471 --capacity 64M --metrics 127.0.0.1:9000 --key-file /run/credentials/hermit-memserver.service/key"' \
	> "$(sed -n 's/^EnvironmentFile=//p' /usr/local/lib/systemd/system/$UNIT)"
printf '[Service]\nLoadCredential=key:/etc/hermit/key\n' > /etc/systemd/system/$UNIT.d/key.conf
ctl daemon-reload
ctl start $UNIT || unit_failed "it does not start"
wait_for 30 sh -c 'grep -q "^listening on tcp:127.0.0.1:7471" /var/log/unit'

# somebody who owns nothing, with a key that nobody else reads
user=$(in_unit ps -o user= -p "$(main_pid)")
[ "$user" != root ] || fail "it runs as root"
ask() { in_unit hermit-memserver --control /run/hermit-memserver/control "$@"; }
ask identities | grep -q '^default keys 1 ' || fail "identities: $(ask identities)"
[ -z "$(ask list)" ] || fail "regions: $(ask list)"
curl -fs http://127.0.0.1:9000/health | grep -q '^ok' || fail "no health"

ctl reload $UNIT || unit_failed "it does not reload"
wait_for 30 sh -c 'grep -q "the keys were read again" /var/log/unit'
pid=$(main_pid)
[ "$pid" != 0 ] || unit_failed "it ended"
note "systemd: $user, $(in_unit ps -o nlwp= -p $pid | tr -d ' ') threads"

ctl stop $UNIT || unit_failed "it does not stop"
ctl show -p Result --value $UNIT | grep -q success || unit_failed "it did not end well"
cp /var/log/unit /out/unit.log

kill -KILL "$(systemd_pid)"
wait $PARENT || true
