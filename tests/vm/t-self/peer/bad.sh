# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=512M smp=1
start_link 10.9.0.1/24
wait_end
fail "nothing came over the cable"
