# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1
# The memory node of 39-host-pressure: a memory server on the cable, to the end.
start_link 10.9.0.1/24
start_memserver m1 tcp:10.9.0.1:7471 --capacity 512M
ip addr add 10.9.0.9/24 dev link0
wait_end
