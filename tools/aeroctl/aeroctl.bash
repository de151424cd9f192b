# SPDX-License-Identifier: BSD-2-Clause
# bash completion for aeroctl(8); names of VMs only where they can be had.

_aeroctl() {
	local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words=

	case $COMP_CWORD-$command in
	1-*) words='list top explain set pause resume shutdown stop start stats metrics audit pressure version help' ;;
	2-explain | 2-set | 2-pause | 2-resume | 2-shutdown | 2-stop | 2-start)
		words=$(aeroctl list 2>/dev/null | awk 'NR > 2 { print $2 }') ;;
	2-stats) words=--json ;;
	3-set) words='min max shares target' ;;
	4-set) [ "${COMP_WORDS[3]}" != target ] || words=policy ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _aeroctl aeroctl
