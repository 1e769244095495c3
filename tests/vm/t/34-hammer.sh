# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=240 kvm=none light
# /dev/hermit and the memory fd under every wrong size, pointer, flag and range,
# and under threads that create, open, change, recall and close the same regions
# at once; as root, and as nobody with fds that root opened. Each answer is what
# uapi/hermit.h promises, no region is left, and memory is given back.
load_hermit
regions_left() { python3 -I -c '
import fcntl, struct
l = bytearray(struct.pack("<4IQ", 24, 0, 0, 0, 0))
fcntl.ioctl(open("/dev/hermit"), 0xc0186806, l)
print(struct.unpack_from("<I", l, 4)[0])'; }
hammer()	# hammer NAME ARGS...
{
	local name=$1
	shift
	ioctl-hammer "$@" > /out/$name 2> /out/$name.err || fail "$name ($*): exit code $?: $(head -n 5 /out/$name.err | tr '\n' ';')"
	note "$name: $(tail -n 1 /out/$name)"
	(wait_for 20 none_left) || fail "$name: $(regions_left) regions left"
}
none_left() { [ "$(regions_left)" = 0 ]; }
hammer warm files
before=$(free_kib)
hammer root sizes pointers fields unknown files memory limits
hammer user --user sizes pointers fields unknown files memory limits
hammer races --seconds ${HERMIT_ARG_SECONDS:-8} races
note "$(grep races: /out/races)"
hammer races-user --user --seconds 4 races
wait_given_back "$before" 4096
teardown
