# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=1500 kvm=patched long
# As 56-flips, for a million evictions over the local pool.
HERMIT_ARG_SECONDS=${HERMIT_ARG_SECONDS:-300} HERMIT_ARG_EVICTIONS=${HERMIT_ARG_EVICTIONS:-1000000}
. /src/tests/vm/t/56-flips.sh
