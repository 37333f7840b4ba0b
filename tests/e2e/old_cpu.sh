#!/bin/bash
# The programs as they came from one build, on CPUs without AVX-512 and without AVX (qemu plays them): they start, and find what is found on this machine's.
. "$(dirname "$0")/lib.sh"
case $B in *asan*|*tsan*) echo "qemu has no room for a sanitizer's shadow: plain builds only"; exit 0 ;; esac

export SEGAN_MODELS=$PWD/model/shipped
case=$(awk 'NR == 1 { print $1 }' tests/data/lgg/dice.txt)
/usr/bin/python3 tests/tools/nifti2dicom.py "$work/study" "$case" "flair=tests/data/lgg/$case/flair.nii.gz" > /dev/null
slices=("$work"/study/flair/*) n=${#slices[@]} middle=$((${#slices[@]} / 2))
for ((i = 0; i < n; i++)); do [ $((i - middle)) -ge -1 ] && [ $((i - middle)) -le 1 ] || rm "${slices[i]}"; done

segment() { # NAME COMMAND...: its volume, ml
	local name=$1; shift
	"$@" segment "$work/study" -o "$work/$name.dcm" --model glioma-flair@0.1.0 --json > "$work/$name.json" 2> "$work/$name.err" || { tail -n 5 "$work/$name.err"; fail "segan on $name"; }
	jq .segments[0].volume_ml "$work/$name.json"
}
here=$(segment here "$B/segan")
for cpu in Nehalem Haswell; do
	export OPENBLAS_CORETYPE=$cpu # as such a CPU has it chosen; segan started again would leave qemu
	got=$(segment "$cpu" qemu-x86_64 -cpu "$cpu" "$B/segan")
	awk -v a="$got" -v b="$here" 'BEGIN { exit !(b > 1 && a < b * 1.01 && a > b * 0.99) }' || fail "$cpu: $got ml, this machine's CPU finds $here"
	echo "$cpu: $got ml (here $here)"
done
