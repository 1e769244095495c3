# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M smp=2 timeout=595 kvm=patched
# The same with two vCPUs on two CPUs: what one must tell the other's TLB.
BENCH_ARGS="--vcpus 2"
. /src/tests/bench/ways.sh
