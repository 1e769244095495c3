# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=60 light
# expect: FAIL .*kernel log: .*potentially unexpected fatal signal 6
# A program that aborts, and whose status nobody asks for.
sh -c 'kill -ABRT $$' || true
