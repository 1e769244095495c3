# SPDX-License-Identifier: GPL-2.0-or-later
# l1: mem=1G smp=1 timeout=60 kvm=stock light
# expect: FAIL .*rmmod kvm_amd refused|FAIL .*rmmod kvm_intel refused
# What a test leaves running is found when everything is taken down.
exec 5<>/dev/kvm
python3 -c 'import fcntl, time; f = open("/dev/kvm", "rb"); v = fcntl.ioctl(f, 0xAE01, 0); time.sleep(1000)' &
sleep 3
