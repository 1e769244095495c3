# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G timeout=120 icount light
# expect: ok
# One CPU, and its time stamp counter counts instructions.
[ "$(nproc)" = 1 ] || fail "$(nproc) CPUs under icount"
