# SPDX-License-Identifier: GPL-2.0-or-later
# Shell helpers shared by the scripts of the test bed.  Source it with SRC set
# to the top of the checkout.  It works in dash and bash.

# One cache for everything that is downloaded or built; nothing of it is ever
# written to the checkout.
C=${HERMIT_CACHE:-${HOME:-/root}/.cache/hermit}
export HERMIT_CACHE="$C"
export LC_ALL=C.UTF-8
PATH=$PATH:/usr/sbin:/sbin

me=${0##*/}

say()  { printf '%s: %s\n' "$me" "$*"; }
warn() { printf '%s: warning: %s\n' "$me" "$*" >&2; }
die()  { printf '%s: error: %s\n' "$me" "$*" >&2; exit 1; }

# --help: the comment that the script begins with, after its licence
usage() { sed '3,/^[^#]\|^$/!d' "$0" | sed -n 's/^# \{0,1\}//p'; }

now() { date +%s; }

# run_logged WHAT LOG COMMAND...: run with the output in LOG, say every half
# minute how far it is and at the end how long it took; when it fails show the
# end of the log and die.
run_logged()
{
	rl_what=$1 rl_log=$2
	shift 2
	mkdir -p "$(dirname "$rl_log")"
	say "$rl_what (log: $rl_log)"
	rl_start=$(now)
	# The command stays in the foreground, so an interrupt reaches it; the
	# teller holds neither our locks nor our output longer than we live.
	( exec 9>&-
	  while sleep 30 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
		say "  $rl_what: $(($(now) - rl_start)) s, $(tail -n 1 "$rl_log" | tr -d '\r' | cut -c 1-90)"
	  done ) &
	rl_teller=$!
	rl_rc=0
	"$@" >"$rl_log" 2>&1 </dev/null || rl_rc=$?
	kill $rl_teller 2>/dev/null
	wait $rl_teller 2>/dev/null || true
	if [ $rl_rc != 0 ]; then
		tail -n 25 "$rl_log" >&2
		die "$rl_what failed; the whole log is $rl_log"
	fi
	say "$rl_what: done in $(($(now) - rl_start)) s"
}

need_root()
{
	[ "$(id -u)" = 0 ] || die "run as root: it installs packages and builds a root file system"
}

# Several commands may prepare the cache at once; each piece has its own lock,
# released when the script ends.
lock()
{
	mkdir -p "$C/locks"
	exec 9>"$C/locks/$1"
	flock -n 9 || { say "waiting for another run that prepares '$1'"; flock 9; }
}
unlock() { exec 9>&-; }

abi() { cat "$C/kernel/abi" 2>/dev/null || die "no kernel in the cache; run tests/deps kernel"; }

# kernel_name: that of $HERMIT_KERNEL, or the stock one; 7.3 is a link to the
# newest of that series
kernel_name()
{
	[ -n "${HERMIT_KERNEL:-}" ] || { abi; return; }
	basename "$(readlink -e "$C/kernel/$HERMIT_KERNEL")" ||
		die "no kernel $HERMIT_KERNEL in $C/kernel; run tests/deps kernel=$HERMIT_KERNEL, or tests/debug-kernel"
}

# in_tree COMMAND...: run in the Debian 13 tree, or that of $TREE, with the checkout at /src and
# the cache at /hermit (the same names as in L1), in a mount namespace of its
# own, so that nothing stays mounted.
in_tree()
{
	tree=$C/root/${TREE:-trixie}
	[ -e "$tree/.hermit-stamp" ] || die "no tree $tree; run tests/deps root, or root12"
	mkdir -p "$tree/src" "$tree/hermit" "$C/ccache"
	unshare -m sh -c 't=$1 src=$2 c=$3; shift 3
		mount -t proc proc "$t/proc" && mount --rbind /dev "$t/dev" &&
		mount --bind "$src" "$t/src" && mount --rbind "$c" "$t/hermit" &&
		exec chroot "$t" /usr/bin/env -i PATH=/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
			LC_ALL=C.UTF-8 CCACHE_DIR=/hermit/ccache "$@"' \
		sh "$tree" "$SRC" "$C" "$@"
}

# copy_source FOLDER: the checkout as git would have it, with what was changed
# since, whoever owns it
copy_source()
{
	(cd "$SRC" && git -c safe.directory="$SRC" ls-files -z --cached --others --exclude-standard |
		xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh |
		tar -c --null -T -) | tar -x -C "$1"
}
