# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=512M smp=1 timeout=120 peer=peer/bad light
# expect: FAIL peer-fails: the peer peer/bad: nothing came over the cable
start_link 10.9.0.2/24
wait_for 60 ping -c 1 -W 1 10.9.0.1
