# SPDX-License-Identifier: GPL-2.0-or-later
# For tests of the installed unit: after tcp.sh or rdma.sh.
#
# A real systemd is PID 1 of namespaces of its own, with a journal. The unit is
# enabled, with a key as the guide says it, but has no options yet, and starts
# nothing besides what it pulls in by itself and the journal.
UNIT=hermit-memserver.service
DEFAULTS=/etc/default/hermit-memserver

cp -a --remove-destination $USERLAND/root/. /
rm -f /etc/machine-id
tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
requires /usr/local/lib/systemd/system/$UNIT "build the userland"
grep -qx "EnvironmentFile=$DEFAULTS" /usr/local/lib/systemd/system/$UNIT || fail "the unit has its options from elsewhere"

mkdir -p /etc/systemd/system/$UNIT.d /etc/systemd/system/test.target.wants /etc/hermit /etc/default
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > /etc/hermit/key
chmod 600 /etc/hermit/key
printf '[Service]\nLoadCredential=key:/etc/hermit/key\n' > /etc/systemd/system/$UNIT.d/key.conf
printf '[Unit]\nDefaultDependencies=no\nAfter=\nWants=\n' > /etc/systemd/system/$UNIT.d/test.conf
ln -s /usr/local/lib/systemd/system/$UNIT /etc/systemd/system/test.target.wants/
printf '[Unit]\nDescription=nothing\nDefaultDependencies=no\nWants=systemd-journald.socket systemd-journald.service\n' \
	> /etc/systemd/system/test.target

unshare --pid --fork --mount --uts --ipc --cgroup --propagation private sh -c '
	mount -t proc proc /proc
	mount -t tmpfs -o mode=755 tmpfs /run
	mount -t tmpfs tmpfs /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	# credentials are mounted by a child, for all
	mount --make-rshared /
	exec env container=hermit /usr/lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no' \
	> /out/systemd.log 2>&1 < /dev/null &
PARENT=$!
systemd_pid() { pgrep -P $PARENT -x systemd; }
wait_for 30 systemd_pid
INIT=$(systemd_pid)
in_unit() { nsenter -t "$INIT" -m -p -u -i -C -r -w "$@"; }
sc() { in_unit systemctl "$@"; }
show() { sc show -p "$1" --value $UNIT; }
is() { [ "$(show "$1")" = "$2" ]; }
journal() { in_unit journalctl -q --no-pager -o cat "$@"; }
# said 'TEXT' [FIELD=VALUE]: in the journal
said() { journal -u $UNIT ${2:+"$2"} > $W/journal && grep -q -e "$1" $W/journal; }
unit_failed() { sc status $UNIT > /out/status 2>&1 || true; journal > /out/journal || true; fail "$*: $(tail -n 3 /out/status)"; }
wait_for 60 sc is-active test.target systemd-journald.service

# options OPTION...: what the unit is started with from now on, besides its key
KEY=/run/credentials/$UNIT/key
options() { echo "HERMIT_MEMSERVER_OPTIONS=\"$* --capacity 64M --key-file $KEY\"" > $DEFAULTS; }

# unit_starts [WITH]: and not as root, whom it names in $user
unit_starts()
{
	sc start $UNIT || unit_failed "it does not start ${1:-}"
	user=$(in_unit ps -o user= -p "$(show MainPID)")
	[ "$user" != root ] || fail "it runs as root"
}

# unit_connect: a client with the key, which puts what it is to have again
unit_connect()
{
	ctl connect $ADDR 1 16 "$(cat /etc/hermit/key)" || unit_failed "$(stat error)"
	incarnation=$(stat incarnation)
	ctl put 0 32
}

# unit_goes COMMAND...: what systemctl is told, after which the client comes back
unit_goes()
{
	local n
	n=$(stat reconnects)
	sc "$@" $UNIT || unit_failed "systemctl $* fails"
	comes_back "$n"
}
unit_is_killed() { unit_goes kill --kill-whom=main --signal=KILL; }

# unit_stops [TOLD...]: well, and what must be so while it is stopped; and starts again
unit_stops()
{
	local n
	n=$(stat reconnects)
	sc stop $UNIT || unit_failed "it does not stop"
	is Result success || unit_failed "it did not end well"
	is NFileDescriptorStore 2 || unit_failed "a stop gives up the memory"
	[ $# = 0 ] || "$@"
	sc start $UNIT || unit_failed "it does not start again"
	comes_back "$n"
}

# unit_kept_all: nothing was lost, of which the client knows
unit_kept_all()
{
	stat_is nodata 0 || fail "contents were lost: nodata=$(stat nodata)"
	stat_is incarnation "$incarnation" || fail "a new incarnation"
}

# comes_back RECONNECTS: the client, after as many; with all that it had
comes_back()
{
	wait_for 60 stat_above reconnects "$1"
	wait_for 60 stat_is state $UP
	ctl get 0 32 || fail "what it had stored is not there: $(stat error)"
	right
	is NFileDescriptorStore 2 || unit_failed "the manager does not keep the memory"
}

end_systemd()
{
	sc stop $UNIT
	journal -u $UNIT > /out/unit.log
	kill -KILL "$INIT"
	wait $PARENT || true
}
