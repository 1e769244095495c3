# SPDX-License-Identifier: GPL-2.0-or-later
# A swap device over TCP, for benchmarks in L1: nbdkit's memory plugin over
# loopback, Linux' NBD client.

# start_nbd MIB: /dev/nbd0
start_nbd()
{
	modprobe nbd nbds_max=1
	nbdkit -i 127.0.0.1 -p 7472 -P $W/nbdkit memory "$1M"
	nbd-client -N '' 127.0.0.1 7472 /dev/nbd0 > $W/nbd.log 2>&1 || fail "nbd-client: $(tail -n 1 $W/nbd.log)"
}

stop_nbd()
{
	nbd-client -d /dev/nbd0 > /dev/null
	kill "$(cat $W/nbdkit)"
	wait_for 20 gone "$(cat $W/nbdkit)"
	rmmod nbd
}
