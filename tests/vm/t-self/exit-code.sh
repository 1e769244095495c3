# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=60 light
# expect: FAIL .*line 5 of exit-code.sh: "false" gave 1
# A command that fails ends the test, even without `fail`.
false
true
