# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
# shellcheck shell=bash
#
# Completion of avpctl for bash: avpctl itself knows what could come next.

_avpctl() {
	local line=${COMP_LINE:0:COMP_POINT} last words
	read -r -a words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	last=${words[-1]}
	mapfile -t COMPREPLY < <("${words[0]}" --timeout 1 __complete "${words[@]:1}" 2>/dev/null)
	# bash takes '=' for the end of a word: leave out what is before it.
	if [[ $last == *=* && $COMP_WORDBREAKS == *=* ]]; then
		COMPREPLY=("${COMPREPLY[@]#"${last%%=*}="}")
	fi
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
	return 0
}

complete -o default -F _avpctl avpctl
