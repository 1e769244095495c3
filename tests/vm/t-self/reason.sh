# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=60 light
# expect: FAIL .*the reason given
fail "the reason given"
