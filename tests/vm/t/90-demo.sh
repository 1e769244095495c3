# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2500M timeout=600 kvm=patched long
# The demo, on a smaller guest: redis' values survive a limit that moves.
HERMIT_ARG_SIZE=$((320 << 20))
. /src/tests/vm/demo-l1.sh
