#!/bin/bash
# The command line on files: segment (Dice against an expert's mask as PyTorch had it), inspect, model; exit status and words for what cannot work.
. "$(dirname "$0")/lib.sh"

dice() { # SEG SOURCE-DIR MASK.nii.gz: volumetric Dice, read by pydicom and nibabel
	/usr/bin/python3 - "$@" <<'P'
import sys, os, numpy as np, pydicom, nibabel as nib
seg, source, mask = pydicom.dcmread(sys.argv[1]), sys.argv[2], nib.load(sys.argv[3]).get_fdata() > 0.5
slices = sorted((pydicom.dcmread(os.path.join(source, f), stop_before_pixels=True) for f in os.listdir(source)),
                key=lambda d: np.dot(np.cross(*np.array(d.ImageOrientationPatient, float).reshape(2, 3)), np.array(d.ImagePositionPatient, float)))
place = {d.SOPInstanceUID: i for i, d in enumerate(slices)}
bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder='little')[:seg.NumberOfFrames * seg.Rows * seg.Columns].reshape(seg.NumberOfFrames, seg.Rows, seg.Columns)
ours = np.zeros((len(slices), seg.Rows, seg.Columns), bool)
for f, fg in enumerate(seg.PerFrameFunctionalGroupsSequence):
    ours[place[fg.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]] |= bits[f] > 0
truth = np.transpose(mask, (2, 1, 0))                      # (i, j, k) -> (slice, row, column)
print('%.4f' % (2 * (ours & truth).sum() / (ours.sum() + truth.sum())))
P
}

# PyTorch's Dice on these two cases with the same weights (tests/data/lgg/README.md).
while read -r case wanted; do
	/usr/bin/python3 tests/tools/nifti2dicom.py "$work/$case" "$case" "flair=tests/data/lgg/$case/flair.nii.gz" > /dev/null
	"$B/segan" segment "$work/$case" -o "$work/$case.dcm" --preview "$work/$case.png" --probability "$work/$case.nii.gz" --json > "$work/$case.json" 2> "$work/$case.err"
	got=$(dice "$work/$case.dcm" "$work/$case/flair" "tests/data/lgg/$case/mask.nii.gz")
	awk -v a="$got" -v b="$wanted" 'BEGIN { d = a - b; exit !(d < 0.02 && d > -0.02) }' || fail "$case: Dice $got, PyTorch had $wanted"
	/usr/bin/python3 tests/tools/seg_check.py "$work/$case.dcm" "$work/$case/flair" > "$work/check" || { cat "$work/check"; fail "seg_check $case"; }
	same "output" "$(jq -r .output "$work/$case.json")" "$work/$case.dcm"
	echo "$case: Dice $got (PyTorch $wanted)"
done < <(dice_by_pytorch)

# Same input, same bits, whatever the thread count; the dates are the only difference between two runs.
case=$(awk 'NR == 1 { print $1 }' tests/data/lgg/dice.txt)
for threads in 1 2; do "$B/segan" segment "$work/$case" -o "$work/t$threads.dcm" --threads $threads > /dev/null 2>&1; done
strip() { dcmdump -q +L "$1" | grep -vE '\((0008,0012|0008,0013|0008,0021|0008,0031|0008,0023|0008,0033|0018,a002|0018,9004|0008,002a)\)'; }
cmp <(strip "$work/t1.dcm") <(strip "$work/t2.dcm") || fail "1 and 2 threads give different objects"

# nothing found: exit 0, no object (a model to which no lesion is large enough)
mkdir -p "$work/models/glioma-flair"; cp -r "${SEGAN_MODELS:-model/shipped}"/glioma-flair/* "$work/models/glioma-flair/"
for file in "$work"/models/glioma-flair/*/model.json; do jq '.segments[0].minimum_ml = 1000' "$file" > "$work/m" && cp "$work/m" "$file"; done
"$B/segan" segment "$work/$case" -o "$work/none.dcm" --models "$work/models" --json > "$work/none.json" 2> /dev/null
same "finding" "$(jq -r .finding "$work/none.json")" none
same "output" "$(jq -r .output "$work/none.json")" null
[ ! -e "$work/none.dcm" ] || fail "a SEG with nothing in it was written"
# the version that the configuration names is taken, not the highest
shipped=$("$B/segan" model show glioma-flair --json | jq -r .version)
cp -r "model/shipped/glioma-flair/$shipped" "$work/models/glioma-flair/99.0.0"
jq '.version = "99.0.0"' "model/shipped/glioma-flair/$shipped/model.json" > "$work/models/glioma-flair/99.0.0/model.json"
echo "{\"models\": [{\"name\": \"glioma-flair@$shipped\"}]}" > "$work/pinned.json"
same "model that the configuration names" "$("$B/segan" inspect "$work/$case" --config "$work/pinned.json" --models "$work/models" --json | jq -r '.cases[0].model')" "glioma-flair@$shipped"
"$B/segan" segment "$work/$case" -o "$work/pinned.dcm" --config "$work/pinned.json" --models "$work/models" --json > "$work/pinned" 2> /dev/null
same "model that segments" "$(jq -r .model "$work/pinned")" "glioma-flair@$shipped"

# inspect
"$B/segan" inspect "$work/$case" --json > "$work/inspect.json"
same "channel" "$(jq -r '.series[0].channel' "$work/inspect.json")" flair
same "case" "$(jq -r '.cases[0].state' "$work/inspect.json")" complete
rm "$(find "$work/$case" -name '*.dcm' | sort | sed -n 5p)"
"$B/segan" inspect "$work/$case" --json > "$work/inspect.json"
same "case with a gap" "$(jq -r '.cases[0].state' "$work/inspect.json")" rejected
status=0; "$B/segan" segment "$work/$case" -o "$work/gap.dcm" --json > "$work/gap.json" 2> "$work/gap.err" || status=$?
same "exit status for a gap" $status 1
same "state for a gap" "$(jq -r .state "$work/gap.json")" rejected
[ ! -e "$work/gap.dcm" ] || fail "a SEG of a series with a gap was written"

# model
"$B/segan" model list | grep -q '^\* glioma-flair@' || fail "model list"
"$B/segan" model show glioma-flair | grep -q 'every tensor finite' || fail "model show"
for golden in tests/golden/*.json; do "$B/segan" model verify "$golden" > "$work/verify" || { cat "$work/verify"; fail "model verify $golden"; }; done
[ "$(grep -c 'eval\.' "$work/verify")" -ge 2 ] || fail "model verify compared too little"
sed 's/"eps": 1e-08/"eps": 1e-08, "width": 99999/' tests/golden/s1_1c_sum_layer.json > "$work/bad.json"; cp tests/golden/s1_1c_sum_layer.bin "$work/bad.bin"
status=0; "$B/segan" model verify "$work/bad.json" > /dev/null 2>&1 || status=$?
same "exit status of verify for a bad file" $status 1

# bench
"$B/segan" bench --threads 1 --json > "$work/bench.json"
jq -e '.core_type != "" and (.models | all(.ms_a_slice > 0 and .sgemm_gflops > 0 and .peak_mb > 1 and .threads == 1))' "$work/bench.json" > /dev/null || fail "bench says $(cat "$work/bench.json")"
"$B/segan" bench --model glioma-flair@0.1.0 --threads 1 --models model/shipped --json > "$work/bench.json"
same "GFLOP a slice, counted by hand" "$(jq '.models[0].gflop_a_slice' "$work/bench.json")" 0.59904
"$B/segan" bench --model glioma-flair | grep -q "of sgemm's" || fail "bench in words"
status=0; "$B/segan" bench --model nobody > /dev/null 2>&1 || status=$?
same "exit status of bench for no model" $status 1

# usage
for words in '' 'nonsense' 'segment' "segment $work" "segment $work -o $work/x.dcm --format other" 'jobs' 'send' 'echo' 'bench x' 'bench --threads x'; do
	status=0; "$B/segan" $words > /dev/null 2>&1 || status=$?
	same "exit status of segan $words" $status 2
done
for command in segment inspect model jobs send echo bench; do
	"$B/segan" $command --help | grep -q '^usage: segan '$command || fail "segan $command --help"
done
# a node that would move the terminal
cat > "$work/answer" <<'END'
{"jobs": [{"id": 1, "state": "done\u001b[2J", "model": "m\u009b31m", "created": "\u001b]0;x\u0007", "reason": "\u001b[1m",
	"segments": [{"number": 1, "label": "L\u001b[7m", "volume_ml": 1}], "deliveries": []}], "next": null}
END
/usr/bin/python3 -c '
import http.server, sys
class Node(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        body = open(sys.argv[1], "rb").read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(("127.0.0.1", 0), Node)
print("port", server.server_port, flush=True)
server.serve_forever()' "$work/answer" > "$work/port" & started+=($!)
port=$(wait_line "$work/port" '^port' 30 "${started[-1]}")
for form in '' --json; do
	"$B/segan" jobs list --url "http://127.0.0.1:${port#port }" $form > "$work/list" || fail "jobs list of such a node"
	! LC_ALL=C grep -aq $'[\x01-\x09\x0b-\x1f\x7f]\|\xc2[\x80-\x9f]' "$work/list" || fail "segan jobs list $form lets a node move the terminal: $(cat -v "$work/list")"
done
status=0; "$B/segan" echo NOBODY@127.0.0.1:1 > "$work/echo" 2>&1 || status=$?
same "exit status of echo to nobody" $status 1
echo "the command line works"
