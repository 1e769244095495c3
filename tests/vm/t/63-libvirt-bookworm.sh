# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=3G timeout=1200 kvm=patched long root=bookworm
# All of 60-libvirt on Debian 12, with its libvirt 9.0.
. /src/tests/vm/t/60-libvirt.sh
