#!/bin/bash
# A study through our segmentor in one call, and through ONNX Runtime (same weights, BATCH slices a call), in turns in one run, on two threads; medians of ROUNDS.
# stdout: "name ours peer ratio" in milliseconds a slice; all else goes to stderr. Fails when a probability differs by more than 1e-4.
# CASES="segan:16 ..." (kind:width) SLICES=32 ROUNDS=7 BATCH=8 THREADS=2. Installs Debian's packages and npm's onnxruntime-node (into build/bench-peers).
set -eu
cd "$(dirname "$0")/../.."
exec 3>&1 1>&2
B=${B:-build} SLICES=${SLICES:-32} ROUNDS=${ROUNDS:-7} BATCH=${BATCH:-8} THREADS=${THREADS:-2}
here=tests/bench peers=build/bench-peers work=build/bench-infer
deploy/install-deps.sh bench
make -s "$B/bench/infer_study"
mkdir -p "$peers"
if ! cmp -s "$here/package-lock.json" "$peers/installed"; then
	cp "$here/package.json" "$here/package-lock.json" "$peers/"
	(cd "$peers" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	cp "$here/package-lock.json" "$peers/installed"
fi
cp "$here/infer_onnx.cjs" "$peers/"

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# ask TO FROM: one study; wall seconds.
ask() {
	local wall cpu
	echo >&"$1"
	read -r wall cpu <&"$2"
	echo "$wall"
}

for c in ${CASES:-segan:16 segan:64 unet:8 unet:16}; do
	kind=${c%:*} width=${c#*:} dir=$work/${c/:/}
	mkdir -p "$dir"
	/usr/bin/python3 -W ignore "$here/infer_model.py" "$kind" "$width" "$SLICES" "$dir"
	coproc ours { exec env -u OPENBLAS_CORETYPE "$B/bench/infer_study" "$dir" "$SLICES" "$THREADS"; }
	exec {to_ours}>&"${ours[1]}" {from_ours}<&"${ours[0]}"
	eval "exec ${ours[1]}>&- ${ours[0]}<&-"
	coproc peer { exec node "$peers/infer_onnx.cjs" "$dir" "$SLICES" "$BATCH" "$THREADS"; } 2> /dev/null
	exec {to_peer}>&"${peer[1]}" {from_peer}<&"${peer[0]}"
	eval "exec ${peer[1]}>&- ${peer[0]}<&-"
	a=() b=()
	for ((i = 0; i < ROUNDS + 1; i++)); do                         # the first of each is not counted
		t=$(ask "$to_ours" "$from_ours"); ((i == 0)) || a+=("$t")
		t=$(ask "$to_peer" "$from_peer"); ((i == 0)) || b+=("$t")
	done
	exec {to_ours}>&- {from_ours}<&- {to_peer}>&- {from_peer}<&-
	wait || true
	/usr/bin/python3 -c 'import numpy as np, sys
a, b = (np.fromfile(sys.argv[1] + "/" + name, "<f4") for name in ("ours.f32", "onnx.f32"))
d = float(np.abs(a - b).max()) if a.size == b.size else np.inf
print("%s: probabilities from %.4f to %.4f, largest difference %.2g" % (sys.argv[1], b.min(), b.max(), d))
sys.exit(not d <= 1e-4)' "$dir" || { echo "the probabilities differ"; exit 1; }
	x=$(printf '%s\n' "${a[@]}" | median) y=$(printf '%s\n' "${b[@]}" | median)
	awk -v n="infer_${kind}_width${width}_onnx" -v a="$x" -v b="$y" -v s="$SLICES" 'BEGIN { printf "%s %.3f %.3f %.3f\n", n, a / s * 1e3, b / s * 1e3, a / b }' >&3
done
