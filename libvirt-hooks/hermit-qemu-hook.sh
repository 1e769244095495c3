#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What libvirt calls, hooks/qemu.d/hermit-qemu-hook. libvirt starts no domain at
# all while a hook of its fails: so what may keep the program from running that
# reads the XML, as a library that is gone, must not concern a domain that does
# not say hermit anywhere. This needs sh and cat, and costs what they cost.
hook=${0%/*}/../hermit/hermit-qemu-hook
xml=$(cat)
case $xml in
*hermit:*|*hermit-qemu*|*//hermit*) ;;
*) exit 0 ;;
esac
if [ ! -x "$hook" ]; then
	echo "hermit: domain ${1-} has <hermit:memory> or hermit-qemu, and $hook is missing or not executable: install Hermit-VM's libvirt hooks again" >&2
	exit 1
fi
printf '%s\n' "$xml" | "$hook" "$@"
