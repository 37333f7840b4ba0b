#!/bin/bash
# A training step (critic's update and segmentor's) against PyTorch's, on two threads, step by step in turns in one run; medians.
# stdout: "name ours peer ratio" in seconds; everything else goes to stderr. STEPS=7 CASES="segan:16:16:4:3:160 ..." (kind:width:batch:channels:labels:side)
set -eu
cd "$(dirname "$0")/../.."
exec 3>&1 1>&2
deploy/install-deps.sh bench
make -s "${B:-build}/bench/train_step"
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for c in ${CASES:-segan:16:16:4:3:160 segan:64:4:4:3:160 unet:8:16:1:1:160}; do
	IFS=: read -ra v <<< "$c"
	coproc ours { exec env -u OPENBLAS_CORETYPE "${B:-build}/bench/train_step" "${v[@]}" 2; }
	exec {to_ours}>&"${ours[1]}" {from_ours}<&"${ours[0]}"
	eval "exec ${ours[1]}>&- ${ours[0]}<&-"
	coproc peer { exec env -u OPENBLAS_CORETYPE /usr/bin/python3 tests/bench/train_torch.py "${v[@]}" 2; } 2> /dev/null
	exec {to_peer}>&"${peer[1]}" {from_peer}<&"${peer[0]}"
	eval "exec ${peer[1]}>&- ${peer[0]}<&-"
	a=() b=()
	for ((i = 0; i < ${STEPS:-7} + 1; i++)); do                    # the first of each is not counted
		echo >&"$to_ours"; read -r t <&"$from_ours"; ((i == 0)) || a+=("$t")
		echo >&"$to_peer"; read -r t <&"$from_peer"; ((i == 0)) || b+=("$t")
	done
	exec {to_ours}>&- {to_peer}>&- {from_ours}<&- {from_peer}<&-
	x=$(printf '%s\n' "${a[@]}" | median) y=$(printf '%s\n' "${b[@]}" | median)
	awk -v n="train_step_${v[0]}_width${v[1]}_batch${v[2]}_torch" -v a="$x" -v b="$y" 'BEGIN { printf "%s %.4f %.4f %.3f\n", n, a, b, a / b }' >&3
	wait || true
done
