# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=60 light
# expect: ok
# hermit-functions.ko counts what is entered, nothing else, and a module that was
# loaded twice twice.
COUNTS=/sys/kernel/debug/hermit_functions
insmod "$(module hermit-functions)"
counts()	# counts FUNCTION COUNT...: one for each time hermit.ko was loaded
{
	local got
	got=$(awk -v f="$1" '$2 == "hermit" && $3 == f { print $1 }' $COUNTS | xargs)
	[ "$got" = "${*:2}" ] || fail "$1 was entered '$got' times and not '${*:2}'"
}
load_hermit
for _ in 1 2 3; do : < /dev/hermit; done
counts hermit_control_init 1
counts control_release 3
counts control_ioctl 0
unload_hermit
counts hermit_control_exit 1
load_hermit
: < /dev/hermit
counts control_release 3 1
counts hermit_control_exit 1 0
unload_hermit
rmmod hermit_functions
