#!/bin/bash
# One whole native study (the demo's: 26 FLAIR slices of 256 x 256), from DICOM files to the mask on their grid: segan segment, which writes a DICOM-SEG, against
# a Python process with PyTorch (tests/bench/study_torch.py), which saves an array; same weights, 2 threads each, in turns; medians. Both must find the same volume.
# stdout: "name ours peer ratio" in seconds; everything else goes to stderr. ROUNDS=7
. "$(dirname "$0")/../e2e/lib.sh"
exec 3>&1 1>&2
deploy/install-deps.sh bench
unset OPENBLAS_CORETYPE
demo_study "$work/study"
model=$("$B/segan" model show glioma-flair --models model/shipped --json | jq -r '"model/shipped/\(.name)/\(.version)"')
ours() { "$B/segan" segment "$work/study" -o "$work/seg.dcm" --models model/shipped --threads 2 --json | jq '.segments[0].volume_ml' > "$work/ours.ml"; }
peer() { /usr/bin/python3 tests/bench/study_torch.py "$model" "$work/study" "$work/mask.npy" 2 > "$work/peer.ml"; }
seconds() { local began ended; began=$(date +%s.%N); "$@"; ended=$(date +%s.%N); echo "$ended - $began" | bc -l; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ours; peer                                           # files and libraries into the page cache
awk -v a="$(cat "$work/ours.ml")" -v b="$(cat "$work/peer.ml")" 'BEGIN { exit !(a > 1 && a - b < b / 100 && b - a < b / 100) }' ||
	fail "segan finds $(cat "$work/ours.ml") ml, PyTorch $(cat "$work/peer.ml") ml"
for _ in $(seq "${ROUNDS:-7}"); do
	seconds ours >> "$work/ours"
	seconds peer >> "$work/peer"
	seconds /usr/bin/python3 -c 'import numpy, pydicom, torch' >> "$work/start"
done
echo "$model, $(cat "$work/ours.ml") ml; of the peer's time $(median < "$work/start") s are Python and its libraries starting"
awk -v a="$(median < "$work/ours")" -v b="$(median < "$work/peer")" 'BEGIN { printf "study_flair_torch %.3f %.3f %.3f\n", a, b, a / b }' >&3
