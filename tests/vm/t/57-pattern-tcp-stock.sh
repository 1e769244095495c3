# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=2G timeout=400 kvm=stock long
# 55-pattern-tcp through vm_ops->fault of the stock KVM.
. /src/tests/vm/t/55-pattern-tcp.sh
