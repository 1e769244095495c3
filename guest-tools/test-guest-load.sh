#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# hermit-guest-load on the host: right memory is ok, every damage is found and
# named, wrong options are refused. test-guest-load.sh PROGRAM
set -eu

tool=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail()
{
	echo "test-guest-load: $*" >&2
	sed 's/^/    /' "$dir/out" >&2 || true
	exit 1
}

# run STATUS ARGUMENT...: the report in $dir/out, standard error behind it
run()
{
	want=$1
	shift
	got=0
	"$tool" "$@" >"$dir/out" 2>&1 || got=$?
	[ "$got" = "$want" ] || fail "$*: exit status $got, not $want"
}

says()
{
	grep -q -e "$1" "$dir/out" || fail "nothing matches '$1'"
}

for pattern in uniform zipf:0.99 seq; do
	run 0 --size 2M --threads 3 --ops 20000 --pattern $pattern --verify
	says '^verified all pages$'
	tail -n 1 "$dir/out" | grep -q '^verdict ok ops 20000 ' ||
		fail "$pattern: no verdict at the end"
done
run 0 --size 2M --no-fill --ops 2000 --write-ratio 0 --verify
run 0 --size 1M --ops 5000 --write-ratio 1 --verify
run 0 --size 4K --ops 100

run 0 --size 1M --ops 100 --port "$dir/port"
[ ! -s "$dir/out" ] || fail "--port: something on standard output"
tail -n 1 "$dir/port" | grep -q '^verdict ok ' || fail "--port: no verdict there"

while read -r kind words; do
	run 1 --size 2M --break "$kind" --ops 10 --write-ratio 0 --verify
	says "^verdict MISMATCH 1 "
	says '^mismatch: page 256 at 0x[0-9a-f]*, read by a CPU, must be page 256 version 257$'
	says "expected 48524d5400000001 .* found .*: $words"
done <<END
zero zeros
stale stale: version 256
foreign another page: 255 version 256
torn zeros
garbage no pattern of ours
END
run 1 --size 2M --break torn --ops 10 --write-ratio 0 --verify
[ "$(grep -c ': zeros$' "$dir/out")" = 4 ] || fail "torn: not 4 of 8 sectors"

# A file system that has no O_DIRECT (tmpfs before 6.6) cannot show this.
run 0 --make "$dir/disk" --size 1M
if dd if="$dir/disk" of=/dev/null bs=4096 count=1 iflag=direct 2>"$dir/out"; then
	run 0 --size 2M --threads 2 --ops 200000 --dio "$dir/disk" --dio-threads 2 --verify
	says 'verdict ok .* dio [1-9]'
	# also of a load that is over before the disk answers
	run 0 --size 2M --ops 1 --dio "$dir/disk"
	says 'verdict ok .* dio [1-9]'
	# A block that is not the one asked for.
	dd if="$dir/disk" of="$dir/moved" bs=4096 skip=1 2>/dev/null
	run 1 --size 2M --seconds 1 --dio "$dir/moved"
	says 'read by a device, must be disk block'
	says ': disk block [0-9]'
else
	echo "no O_DIRECT in $dir: --dio not tested"
fi

run 2 --size 0
says '^hermit-guest-load: --size 0: '
run 2 --size 1M --pattern zipf:2
says '^hermit-guest-load: --pattern 2: '
run 2 --threads 0
says -- '--threads 0'
run 2 --write-ratio 1.5
run 2 --port "$dir/none/port" --ops 1
says "none/port: cannot open it"
run 2 --dio "$dir/none" --ops 1
says "none: cannot open it with O_DIRECT"
run 2 extra
run 0 --help
echo ok
