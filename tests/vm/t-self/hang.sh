# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=25 light
# expect: FAIL .*no verdict within [0-9]+ s
sleep 1000
