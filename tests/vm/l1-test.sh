# SPDX-License-Identifier: GPL-2.0-or-later
# Runs one test file in L1 under the library: KVM loaded as its header asks,
# the state it left checked and taken down afterwards.
. /src/tests/vm/lib-l1.sh
set -eEu -o pipefail
trap 'rc=$?; case $rc in 77) ;; *) [ -s /out/reason ] || echo "line $LINENO of ${BASH_SOURCE[0]##*/}: \"$BASH_COMMAND\" gave $rc" >> /out/reason ;; esac; exit $rc' ERR
# see tests/functions
if [ -n "${HERMIT_ARG_FUNCTIONS:-}" ]; then
	requires "$(module hermit-functions)" "run tests/vm/modules/build"
	insmod "$(module hermit-functions)"
fi
if [ -n "${HERMIT_ARG_LATE:-}" ]; then
	bash /src/tests/vm/late.sh "$HERMIT_ARG_LATE" > /dev/null 2>&1 &
fi
[ "$KVM_MODE" = none ] || load_kvm "$KVM_MODE"
. "/src/$TEST_FILE"
teardown
