# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M icount timeout=595 kvm=patched
# What a fault and an eviction cost in instructions: one vCPU goes over pages of
# which a quarter fit, in order, so every access faults and evicts.
. /src/tests/bench/ways.sh
