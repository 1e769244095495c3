# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion of hermitctl(1): commands, options, VMs that run, switches.
_hermitctl_vms()
{
	hermitctl list 2> /dev/null | while read -r domain region uuid _; do
		case $domain in
		DOMAIN) ;;
		-) echo "$region $uuid" ;;
		*) echo "$domain" ;;
		esac
	done
}

_hermitctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev= words=() command= reply= i
	[ "$COMP_CWORD" = 0 ] || prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()

	# what is no option, nor the value of one
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--limit | --ratio | --faults | --interval | --count | --output | --key-file | -[lrfinok]) i=$((i + 1)) ;;
		-*) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
	command=${words[0]-}

	case $prev in
	--output | --key-file | -o | -k)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	--limit | --ratio | --faults | --interval | --count | -[lrfin]) return ;;
	esac
	case $cur in
	-*)
		case $command in
		set) reply='--limit --ratio --config --json' ;;
		policy) reply='--config --json' ;;
		advise) reply='--faults --json' ;;
		top) reply='--interval --count --json' ;;
		doctor) reply='--key-file --json' ;;
		server) reply='--key-file --force --json' ;;
		export) reply='--output' ;;
		follow) ;;
		'') reply='--help --version --json --limit --ratio --config --faults --interval --count --output --force --key-file' ;;
		*) reply='--json' ;;
		esac ;;
	*)
		case ${#words[@]},$command in
		0,) reply='list stat server set policy advise recall top doctor export follow' ;;
		1,server) reply='list add drop drain undrain' ;;
		1,stat | 1,set | 1,policy | 1,advise | 1,recall | 2,server) reply=$(_hermitctl_vms) ;;
		*,policy)
			reply='eager-fetch= async-io= prefetch= batch= fixed-threads= wait= async-pf= reclaim-weight='
			compopt -o nospace 2> /dev/null ;;
		esac ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$reply" -- "$cur")
}
complete -F _hermitctl hermitctl
