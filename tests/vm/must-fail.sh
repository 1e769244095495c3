# SPDX-License-Identifier: GPL-2.0-or-later
# For the bed's own tests: sourced in L1.

# must_fail REGEX COMMAND: it fails the test, and says so
must_fail()
{
	local want=$1
	shift
	rm -f /out/reason
	! ("$@") || fail "this passes: $*"
	grep -Eq "$want" /out/reason || fail "$*: says '$(cat /out/reason)', not '$want'"
	rm -f /out/reason
}
