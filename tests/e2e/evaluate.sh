#!/bin/bash
# segan evaluate on real cases: the figures against an independent program, the forms they come in, and what cannot work.
. "$(dirname "$0")/lib.sh"

"$B/segan" dataset create "$work/set" --channels flair --nifti tests/data/lgg > /dev/null 2>&1
"$B/segan" evaluate --model glioma-flair --data "$work/set" --split all --csv "$work/cases.csv" --html "$work/page.html" --threads 1 > "$work/text" 2> "$work/err" || { cat "$work/err"; fail "evaluate"; }
"$B/segan" evaluate --model glioma-flair --data "$work/set" --split all --json --threads 2 > "$work/e.json" 2> "$work/err" || { cat "$work/err"; fail "evaluate --json"; }
[ ! -s "$work/err" ] || { cat "$work/err"; fail "evaluate --json said something on stderr"; }

# Dice as PyTorch had it; with PyTorch at hand every figure, by a program that shares no line with ours.
model=$("$B/segan" model show glioma-flair | awk '$1 == "folder" { print $2 }')
while read -r case wanted; do
	got=$(jq -r --arg c "$case" '.cases[] | select(.case == $c).segments[0] | [.dice, .precision, .sensitivity, .hd95_mm, .truth_ml, .result_ml] | map(tostring) | join(" ")' "$work/e.json")
	if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
		wanted=$(/usr/bin/python3 tests/tools/evaluate_reference.py "$model" "tests/data/lgg/$case/flair.nii.gz" "tests/data/lgg/$case/mask.nii.gz" 2>/dev/null)
		echo "$case: $wanted by PyTorch and numpy"
	else
		echo "$case: PyTorch is not installed: Dice alone is compared"
	fi
	awk -v a="$got" -v b="$wanted" 'BEGIN { n = split(b, w, " "); split(a, g, " "); for (i = 1; i <= n; i++) { d = g[i] - w[i]; if (d < 0) d = -d; if (d > (i > 3 ? 0.05 : 0.001)) exit 1 } exit n < 1 }' ||
		fail "$case: $got instead of $wanted"
	grep -q "^$case  *Whole tumour " "$work/text" || fail "no line of $case"
done < <(dice_by_pytorch)
[ -n "${got:-}" ] || fail "tests/data/lgg/dice.txt has no figure of the model in service"

# The forms agree, whatever the thread count.
/usr/bin/python3 - "$work" <<'P' || fail "the forms of the result"
import base64, csv, html.parser, json, re, struct, sys
work = sys.argv[1]
e = json.load(open(work + '/e.json'))
rows = list(csv.DictReader(open(work + '/cases.csv', newline='')))
assert len(rows) == len(e['cases']) == 2 and all(None not in r and None not in r.values() for r in rows)
for r, c in zip(rows, e['cases']):
    assert r['case'] == c['case'] and r['split'] == c['split'] == 'train' and abs(float(r['dice']) - c['segments'][0]['dice']) < 1e-6
    assert abs(float(r['hd95_mm']) - c['segments'][0]['hd95_mm']) < 1e-3
mean = sum(c['segments'][0]['dice'] for c in e['cases']) / 2
assert abs(e['segments'][0]['dice']['mean'] - mean) < 1e-12 and e['segments'][0]['dice']['cases'] == 2
page = open(work + '/page.html', encoding='utf-8').read()
pictures = [base64.b64decode(p, validate=True) for p in re.findall(r'src="data:image/png;base64,([^"]*)"', page)]
assert len(pictures) == 2 and all(p[:8] == b'\x89PNG\r\n\x1a\n' and min(struct.unpack('>II', p[16:24])) >= 300 for p in pictures)
assert not re.search(r'(src|href)="(?!data:)', page) and '<script' not in page and work not in page
class Balanced(html.parser.HTMLParser):
    stack = []
    def handle_starttag(self, tag, attrs):
        if tag not in ('meta', 'img', 'br', 'th'): self.stack.append(tag)   # they need no end
    def handle_startendtag(self, tag, attrs): pass
    def handle_endtag(self, tag): assert self.stack.pop() == tag, tag
b = Balanced(); b.feed(page); b.close(); assert b.stack == [], b.stack
P

# A model against itself: no difference, p 1.
"$B/segan" evaluate --model glioma-flair@0.1.0 --against glioma-flair@0.1.0 --data "$work/set" --split all --json > "$work/self.json" 2> /dev/null
same "difference to itself" "$(jq -c '.comparison[0].dice | [.mean, .wilcoxon_p, .equal]' "$work/self.json")" '[0,1,2]'

# A case that the model cannot segment (its head is constant between the percentiles that this model takes, but not between those that the data set is
# checked with) is named in every form, counts in no figure, and makes exit 1.
mkdir "$work/nifti"; cp -r tests/data/lgg/TCGA* "$work/nifti/"
cp -r "$model" "$work/narrow"
jq '.input.normalisation.low_percentile = 40 | .input.normalisation.high_percentile = 60' "$model/model.json" > "$work/narrow/model.json"
/usr/bin/python3 - "$work/nifti" <<'P'
import os, shutil, sys, nibabel as nib, numpy as np
case, out = 'tests/data/lgg/TCGA_CS_4942_19970222/', sys.argv[1] + '/two,"grey/'
os.mkdir(out)
shutil.copy(case + 'mask.nii.gz', out)
image = nib.load(case + 'flair.nii.gz')
v = np.asarray(image.dataobj)
head = np.where(v > v.mean(), 100, 0)
head[::9], head[4::9] = head[::9] * 0.6, head[4::9] * 1.4
nib.save(nib.Nifti1Image(head.astype(np.float32), image.affine), out + 'flair.nii.gz')
P
"$B/segan" dataset create "$work/three" --channels flair --nifti "$work/nifti" > /dev/null 2>&1
status=0; "$B/segan" evaluate --run "$work/narrow" --data "$work/three" --split all --csv "$work/three.csv" --html "$work/three.html" --json > "$work/three.json" 2> "$work/err" || status=$?
same "exit status with a case that cannot be segmented" $status 1
grep -q '1 of 3 cases could not be segmented' "$work/err" || fail "stderr does not count the case"
same "cases counted" "$(jq -c '[.data.cases, .data.failed, .segments[0].dice.cases, ([.cases[] | select(.segments == null).reason | length > 10] == [true])]' "$work/three.json")" '[3,1,2,true]'
/usr/bin/python3 - "$work" <<'P' || fail "the CSV with a case that cannot be segmented"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1] + '/three.csv', newline='')))
bad = [r for r in rows if r['reason']]
assert len(rows) == 3 and len(bad) == 1 and bad[0]['case'] == 'two,"grey' and bad[0]['dice'] == bad[0]['took_ms'] == '' and None not in bad[0]
assert 'two,&quot;grey</td>' in open(sys.argv[1] + '/three.html').read()
P

# What cannot work.
refused() { # STATUS PATTERN WORDS...
	local status=0 wanted=$1 pattern=$2; shift 2
	"$B/segan" evaluate "$@" > "$work/out" 2> "$work/err" || status=$?
	same "exit status of evaluate $*" $status "$wanted"
	grep -qE -- "$pattern" "$work/err" || { cat "$work/err"; fail "evaluate $* does not say $pattern"; }
}
refused 2 'which model' --data "$work/set"
refused 2 'which model' --model a --run b --data "$work/set"
refused 2 'which data' --model glioma-flair
refused 2 'split' --model glioma-flair --data "$work/set" --split some
refused 2 'threads' --model glioma-flair --data "$work/set" --threads many
refused 2 'not installed' --model unknown --data "$work/set"
refused 1 'none of the split test' --model glioma-flair --data "$work/set"
refused 1 '/nothing' --model glioma-flair --data "$work/nothing" --split all
refused 2 'no folder of a training' --run "$work/set" --data "$work/set"
refused 1 'nothing/page' --model glioma-flair --data "$work/set" --split all --html "$work/nothing/page"
cp -r "$work/set" "$work/broken"
file=$(find "$work/broken" -name '*.bin' | sort | head -n 1)
printf '\1' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") - 9)) conv=notrunc 2> /dev/null
refused 1 "$(basename "$file" .bin)" --model glioma-flair --data "$work/broken" --split all
truncate -s 1000 "$file"
refused 1 "$(basename "$file" .bin)" --model glioma-flair --data "$work/broken" --split all --csv "$work/broken.csv"
[ ! -e "$work/broken.csv" ] || fail "a CSV of a broken set"
"$B/segan" evaluate --help | grep -q '^usage: segan evaluate' || fail "evaluate --help"
echo "evaluate works"
