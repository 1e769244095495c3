# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=60 light
# expect: skip .*needs /no/such/file: make one
requires /no/such/file "make one"
