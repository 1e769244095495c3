# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=1000 kvm=stock long
# 55-pattern-tcp through vm_ops->fault of the stock KVM, which is many times
# slower: the guest's last look at each page takes minutes.
HERMIT_ARG_END=${HERMIT_ARG_END:-500}
. /src/tests/vm/t/55-pattern-tcp.sh
