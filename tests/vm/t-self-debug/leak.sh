# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=120
# expect: FAIL .*kernel log: unreferenced object
# Objects that a module leaked are found, and fail a test that is otherwise
# content. The kernel's own sample leaks a dozen; some are found, not all.
modprobe kmemleak-test || fail "this kernel has no kmemleak-test.ko; run tests/debug-kernel"
rmmod kmemleak-test
