#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Start domains that libvirt was to start with the host, and could not since their
# memory server did not answer, as it is where both boot: hermit-autostart(8).
# libvirt tries once, and nobody after it. A domain that was stopped by somebody, or
# that fails for another reason, is left alone.
set -u
NS=https://hermit.example/xmlns/libvirt/1
FIRST=${HERMIT_AUTOSTART_FIRST:-5}	# seconds between tries, at first
LAST=${HERMIT_AUTOSTART_LAST:-60}	# and at last

say() { echo "hermit-autostart: $*"; }

# waiting: a domain a line that is to start with the host, has hermit memory, and
# is shut off with nobody having done so
waiting()
{
	virsh -q list --name --inactive --autostart | while read -r d; do
		[ -n "$d" ] || continue
		virsh -q metadata "$d" --config --uri $NS > /dev/null 2>&1 || continue
		case $(virsh -q domstate "$d" --reason) in
		*'(failed)'*|*'(unknown)'*) echo "$d" ;;
		esac
	done
}

tries=0
until virsh -q uri > /dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 60 ] || { say "libvirt does not answer; when it does: systemctl start hermit-autostart" >&2; exit 1; }
	sleep "$FIRST"
done
# names may have blanks
IFS='
'
gave_up='
' told= delay=$FIRST
while :; do
	left=no
	for d in $(waiting); do
		case $gave_up in *"
$d
"*) continue ;; esac
		if why=$(virsh -q start "$d" 2>&1); then
			say "$d is started"
			delay=$FIRST
			continue
		fi
		why=$(echo "$why" | tr '\n' ' ')
		case $why in
		*' active'*) continue ;;	# by somebody, just now
		*tcp:*|*rdma:*)
			left=yes
			[ "$told" = "$d $why" ] || say "$d waits for its server: $why"
			told="$d $why" ;;
		*)	say "$d does not start, and not for its server; it is not tried again: $why"
			gave_up="$gave_up$d
" ;;
		esac
	done
	[ $left = yes ] || exit 0
	sleep "$delay"
	delay=$((delay * 2 < LAST ? delay * 2 : LAST))
done
