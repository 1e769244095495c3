# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1536M timeout=3600 kvm=none long
# As 31-set-stress, with each kind of fault at least once, and 100,000 evictions.
HERMIT_ARG_FAULTS=${HERMIT_ARG_FAULTS:-12} HERMIT_ARG_EVICTIONS=${HERMIT_ARG_EVICTIONS:-100000}
HERMIT_ARG_SIZE=${HERMIT_ARG_SIZE:-64}
. /src/tests/vm/t/31-set-stress.sh
