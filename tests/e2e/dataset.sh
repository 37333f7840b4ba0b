#!/bin/bash
# Data sets: from NIfTI folders and from DICOM series with SEGs of ours and of others; what does not fit is left out by name; the same case from both is the
# same to the bit; only what a person made or changed is a label.
. "$(dirname "$0")/lib.sh"

segan() { "$B/segan" "$@"; }
# refused WHAT SET PATTERN: the data set's left_out has an entry of WHAT whose reason fits
refused() { segan dataset show "$2" --json | jq -e --arg what "$1" --arg why "$3" '.left_out | any((.what | endswith($what)) and (.reason | test($why)))' > /dev/null ||
	{ segan dataset show "$2" --json | jq -c .left_out; fail "$1 is not left out because of \"$3\""; }; }
cases() { segan dataset show "$1" --json | jq '.cases | length'; }
status_of() { local status=0; "$@" > "$work/out" 2> "$work/err" || status=$?; echo $status; }

# ---- NIfTI: one good case beside every kind of bad one
/usr/bin/python3 - "$work/cases" <<'P'
import os, sys, numpy as np, nibabel as nib
top, rng = sys.argv[1], np.random.default_rng(1)
affine = np.diag([-0.9, -0.9, 5, 1]); affine[:3, 3] = 100, 90, -40
def save(case, name, a, m=affine):
    os.makedirs(f'{top}/{case}', exist_ok=True); nib.save(nib.Nifti1Image(a, m), f'{top}/{case}/{name}.nii.gz')
def case(name, **other):
    flair = rng.integers(0, 1000, (40, 36, 6)).astype(np.int16); mask = np.zeros((40, 36, 6), np.uint8); mask[10:20, 8:15, 2:4] = 1
    save(name, 'flair', other.get('flair', flair), other.get('flair_affine', affine)); save(name, 't1c', other.get('t1c', flair // 2), other.get('t1c_affine', affine))
    save(name, 'mask', other.get('mask', mask), other.get('mask_affine', affine))
    return flair, mask
flair, mask = case('P1_a'); case('P1_b'); case('P2_a'); case('P3_a'); case('P4_a')
case('P5_size', mask=mask[:, :, :5]); bad = mask.copy(); bad[0, 0, 0] = 3; case('P5_value', mask=bad); case('P5_empty', mask=mask * 0)
shifted = affine.copy(); shifted[0, 3] += 2; case('P5_elsewhere', t1c_affine=shifted); case('P5_flat', flair=flair * 0); case('P5_missing'); os.remove(f'{top}/P5_missing/t1c.nii.gz')
case('P5_cut'); path = f'{top}/P5_cut/flair.nii.gz'; whole = open(path, 'rb').read(); open(path, 'wb').write(whole[:len(whole) // 2])
sagittal = np.array([[0, 0, -5, 40.], [-.9, 0, 0, 90], [0, .9, 0, -40], [0, 0, 0, 1]]); case('P5_sagittal', flair_affine=sagittal, t1c_affine=sagittal, mask_affine=sagittal)
case('P5_nan', flair=np.where(mask > 0, np.nan, flair).astype(np.float32)); save('P6_same', 'flair', flair); save('P6_same', 't1c', flair // 2); save('P6_same', 'mask', mask)
case('P5_noplace'); i = nib.load(f'{top}/P5_noplace/flair.nii.gz'); i.header['sform_code'] = 0; i.header['qform_code'] = 0; h = i.header.copy()
n = nib.Nifti1Image(np.asanyarray(i.dataobj), None, h); n.header['sform_code'] = n.header['qform_code'] = 0; nib.save(n, f'{top}/P5_noplace/flair.nii.gz')
P
jq -n '{channels: {flair: ["flair.nii.gz"], t1c: ["t1c.nii.gz"]}, mask: ["mask.nii.gz"], segments: [{label: "Whole tumour", values: [1, 2]}, {label: "Core", values: [2]}], patient: "^(P[0-9]+)_"}' > "$work/layout.json"
segan dataset create "$work/n1" --channels flair,t1c --nifti "$work/cases" --layout "$work/layout.json" 2> "$work/err"
same "cases" "$(cases "$work/n1")" 5
same "segments" "$(segan dataset show "$work/n1" --json | jq .segments)" 2
same "splits of the patient with two cases" "$(segan dataset show "$work/n1" --json | jq '[.cases[] | select(.case | startswith("P1")).split] | unique | length')" 1
same "splits" "$(segan dataset show "$work/n1" --json | jq -c '[.cases[].split] | unique')" '["test","train","validation"]'
refused P5_size "$work/n1" 'the mask has 40 x 36 x 5 voxels, flair has 40 x 36 x 6'
refused P5_value "$work/n1" "value 3, which is not in the layout's table"
refused P5_empty "$work/n1" 'mask is empty'
refused P5_elsewhere "$work/n1" 'lie in different places'
refused P5_flat "$work/n1" 'flair: the image is constant'
refused P5_missing "$work/n1" 'no file for t1c'
refused P5_cut "$work/n1" 'truncated'
refused P5_nan "$work/n1" 'flair: voxel [0-9]+ is no number'
refused P5_sagittal "$work/n1" 'slices are not axial'
refused P5_noplace "$work/n1" 'neither sform nor qform'
refused P6_same "$work/n1" 'same images and truth as case P1_a'
grep -q 'left out: .*P5_cut' "$work/err" || fail "what is left out is not told"
! grep -v -E '^(segan: (left out|warning): |packing: )' "$work/err" || fail "libnifti or somebody else prints to stderr"
segan dataset create "$work/n2" --channels flair,t1c --nifti "$work/cases/" --layout "$work/layout.json" 2> /dev/null
same "digest of the second making" "$(jq -r .cases "$work/n1/dataset.json")" "$(jq -r .cases "$work/n2/dataset.json")"
holds "show" "$(segan dataset show "$work/n1")" '^5 cases: 3 train, 1 validation, 1 test; channels flair t1c; 2 segments'

# ---- refused as a whole: words, exit status, nothing there
there() { ls "$work" | grep -v -E '^(out|err|bad.json)$'; }
before=$(there)
same "existing set" "$(status_of segan dataset create "$work/n1" --channels flair --nifti "$work/cases")" 1
holds "existing set" "$(cat "$work/err")" 'is there already'
same "no layout" "$(status_of segan dataset create "$work/x" --channels flair --nifti "$work/cases" --layout nothing)" 2
holds "no layout" "$(cat "$work/err")" 'brats2023'
same "no such channel" "$(status_of segan dataset create "$work/x" --channels flair,pd --nifti "$work/cases")" 2
same "channel twice" "$(status_of segan dataset create "$work/x" --channels flair,flair --nifti "$work/cases")" 1
same "no archive" "$(status_of segan dataset create "$work/x" --channels flair --archive pacs --query StudyDate=2020)" 2
holds "no archive" "$(cat "$work/err")" 'no archive "pacs"; configured under "archives": none'
same "query without archive" "$(status_of segan dataset create "$work/x" --channels flair --nifti "$work/cases" --query StudyDate=2020)" 2
same "no query" "$(status_of segan dataset create "$work/x" --channels flair --archive pacs --query StudyDate)" 2
same "no source" "$(status_of segan dataset create "$work/x" --channels flair)" 2
same "two sources" "$(status_of segan dataset create "$work/x" --channels flair --nifti a --dicom b)" 2
same "no cases" "$(status_of segan dataset create "$work/x" --channels flair --nifti "$work/cases/P5_empty")" 1
holds "no cases" "$(cat "$work/err")" 'no case could be used'
same "no folder" "$(status_of segan dataset create "$work/x" --channels flair --nifti "$work/nothing")" 1
same "no NIfTI" "$(status_of segan dataset create "$work/x" --channels flair --nifti tests/e2e)" 1
same "show nothing" "$(status_of segan dataset show "$work/x")" 1
jq '.patient = "("' "$work/layout.json" > "$work/bad.json"
same "bad pattern" "$(status_of segan dataset create "$work/x" --channels flair --nifti "$work/cases" --layout "$work/bad.json")" 2
jq '.nonsense = 1' "$work/layout.json" > "$work/bad.json"
same "unknown key" "$(status_of segan dataset create "$work/x" --channels flair --nifti "$work/cases" --layout "$work/bad.json")" 2
holds "unknown key" "$(cat "$work/err")" nonsense
[ ! -e "$work/x" ] || fail "a data set that could not be made is there"
same "entries" "$(there)" "$before"
truncate -s -1 "$work/n2/0002.bin"
same "a file that is cut" "$(status_of segan dataset show "$work/n2")" 1
holds "a file that is cut" "$(cat "$work/err")" '0002.bin.*cut or altered'

# ---- the built-in layouts' names
mkdir -p "$work/b2020/BraTS20_Training_001" "$work/b2023/BraTS-GLI-00001-000" "$work/b2023/BraTS-GLI-00001-001"
/usr/bin/python3 - "$work" <<'P'
import sys, numpy as np, nibabel as nib
w, rng, affine = sys.argv[1], np.random.default_rng(2), np.diag([-1., -1, 1, 1])
def save(path, a): nib.save(nib.Nifti1Image(a, affine), path)
def brats(prefix, names, values):
    seg = np.zeros((24, 20, 5), np.int16); seg[4:9, 4:9, 2] = np.array(values * 9)[:25].reshape(5, 5)
    for n in names: save(f'{prefix}{n}.nii.gz', rng.integers(0, 500, seg.shape).astype(np.float32))
    save(f'{prefix}{"_seg" if names[0][0] == "_" else "-seg"}.nii.gz', seg)
brats(f'{w}/b2020/BraTS20_Training_001/BraTS20_Training_001', ['_flair', '_t1', '_t1ce', '_t2'], [1, 2, 4])
for t in '01': brats(f'{w}/b2023/BraTS-GLI-00001-00{t}/BraTS-GLI-00001-00{t}', ['-t2f', '-t1n', '-t1c', '-t2w'], [1, 2, 3])
P
segan dataset create "$work/s2020" --channels flair,t1,t1c,t2 --nifti "$work/b2020" --layout brats2020 2> /dev/null
same "brats2020 segments" "$(segan dataset show "$work/s2020" --json | jq .segments)" 3
segan dataset create "$work/s2023" --channels flair,t1,t1c,t2 --nifti "$work/b2023" --layout brats2023 2> /dev/null
same "brats2023 patients" "$(segan dataset show "$work/s2023" --json | jq '[.cases[].patient] | unique | length')" 1
/usr/bin/python3 - "$work" <<'P' || fail "truth maps of brats2023"
import sys, numpy as np
w = sys.argv[1]; n = 24 * 20 * 5
truth = np.fromfile(w + '/s2023/0000.bin', np.uint8)[4 * 4 * n:].reshape(3, 5, 20, 24)
want = np.zeros((5, 20, 24), int); want[2, 4:9, 4:9] = np.array([1, 2, 3] * 9)[:25].reshape(5, 5).T
assert (truth[0] == (want > 0)).all() and (truth[1] == ((want == 1) | (want == 3))).all() and (truth[2] == (want == 3)).all()
P

# ---- DICOM with SEGs. The truth by pydicom, and the same case from NIfTI
study() { mkdir -p "$work/dicom/$1"; /usr/bin/python3 tests/tools/nifti2dicom.py "$work/dicom/$1" "$1" "flair=tests/data/lgg/$2/flair.nii.gz" --shuffle > /dev/null; }
# seg STUDY NUMBER OPTIONS: one voxel more than the truth, its index the number, so that no two cases are the same; masks=FILE: those, as they are
seg() { local name=$1; shift; /usr/bin/python3 tests/tools/mkseg.py "$work/dicom/$name/$1.dcm" "$work/dicom/$name" "${masks:-$work/mask}" --uid "2.25.$1" $([ -n "${masks:-}" ] || echo --extra "$1") "${@:2}" > /dev/null; }
one=TCGA_CS_4942_19970222
/usr/bin/python3 - "tests/data/lgg/$one/mask.nii.gz" "$work" <<'P'
import sys, numpy as np, nibabel as nib
mask = np.ascontiguousarray((np.asanyarray(nib.load(sys.argv[1]).dataobj) > 0).astype(np.uint8).T)
mask.tofile(sys.argv[2] + '/mask'); np.stack([mask, mask]).tofile(sys.argv[2] + '/two')
P
study manual $one; masks=$work/mask seg manual 11
segan dataset create "$work/d1" --channels flair --dicom "$work/dicom" 2> /dev/null
segan dataset create "$work/same" --channels flair --nifti tests/data/lgg 2> /dev/null
cmp "$work/d1/0000.bin" "$work/same/0000.bin" || fail "the same case from DICOM and from NIfTI differs"
same "label" "$(segan dataset show "$work/d1" --json | jq -c '.cases[0].label')" '{"sop_instance_uid":"2.25.11","algorithm_type":"MANUAL","creator":"Reader^One"}'
! grep -rq 'manual' "$work/d1" || fail "the patient's ID stands in the data set"

# ours, unchanged, never; ours with a bit turned, and another program's that differs from ours, are corrections; a copy of ours by another program is none
study ours $one; segan segment "$work/dicom/ours" -o "$work/dicom/ours/ours.dcm" > /dev/null 2>&1
ours=$(dcmdump -q +P 0008,0018 "$work/dicom/ours/ours.dcm" | sed 's/.*\[\(.*\)\].*/\1/')
study nothing $one
study corrected $one; segan segment "$work/dicom/corrected" -o "$work/dicom/corrected/ours.dcm" > /dev/null 2>&1
/usr/bin/python3 - "$work/dicom/corrected/ours.dcm" <<'P'
import sys, pydicom
d = pydicom.dcmread(sys.argv[1]); p = bytearray(d.PixelData); p[len(p) // 2] ^= 1; d.PixelData = bytes(p); d.save_as(sys.argv[1])
P
study differs $one; segan segment "$work/dicom/differs" -o "$work/dicom/differs/ours.dcm" > /dev/null 2>&1; seg differs 21 --algorithm AUTOMATIC
study copy $one; segan segment "$work/dicom/copy" -o "$work/dicom/copy/ours.dcm" > /dev/null 2>&1
/usr/bin/python3 - "$work/dicom/copy/ours.dcm" "$work/copy" "$work/dicom/copy" <<'P'
import sys, glob, numpy as np, pydicom
seg = pydicom.dcmread(sys.argv[1]); files = [pydicom.dcmread(f, stop_before_pixels=True) for f in glob.glob(sys.argv[3] + '/flair/*.dcm')]
files.sort(key=lambda d: d.ImagePositionPatient[2]); place = {d.SOPInstanceUID: i for i, d in enumerate(files)}
bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder='little'); n = seg.Rows * seg.Columns; out = np.zeros((len(files), seg.Rows, seg.Columns), np.uint8)
for i, g in enumerate(seg.PerFrameFunctionalGroupsSequence):
    out[place[g.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]] = bits[i * n:(i + 1) * n].reshape(seg.Rows, seg.Columns)
out.tofile(sys.argv[2])
P
masks=$work/copy seg copy 31 --algorithm AUTOMATIC
study newest $one; seg newest 41 --date 20240101; seg newest 42 --date 20240301 --algorithm SEMIAUTOMATIC; seg newest 43 --date 20240201
study elsewhere $one; seg elsewhere 51 --shift 2.5
study padded $one; seg padded 61 --set NumberOfFrames=99
study foreign $one; seg foreign 71 --type 12345 --labels Lesion
study label $one; seg label 81 --type 12345 --labels 'WHOLE TUMOUR'
study ambiguous $one; masks=$work/two seg ambiguous 91 --labels 'Whole tumour,Whole tumour'
study special $one; seg special 92 --modifier 255503000 --labels Part
study gap $one; seg gap 95; rm "$(find "$work/dicom/gap/flair" -name '*.dcm' | sort | sed -n 7p)"
study anonymous $one; seg anonymous 96; dcmodify -q -nb -m PatientID= "$work"/dicom/anonymous/flair/*.dcm
head -c 3000 "$work/dicom/manual/11.dcm" > "$work/dicom/manual/cut.dcm"
segan dataset create "$work/d2" --channels flair --dicom "$work/dicom" > /dev/null 2> "$work/err"
uid() { dcmdump -q +P 0020,000d "$work/dicom/$1/flair/0001.dcm" | sed 's/.*\[\(.*\)\].*/\1/'; }
label() { segan dataset show "$work/d2" --json | jq -r --arg study "$(uid "$1")" '.cases[] | select(.study_uid == $study) | .label.sop_instance_uid'; }
same "label of manual" "$(label manual)" 2.25.11
same "label of ours" "$(label ours)" ''
refused "$ours" "$work/d2" 'our own AUTOMATIC output'
refused "$(uid ours)" "$work/d2" 'none of its SEGs is a label'
refused "$(uid nothing)" "$work/d2" 'no SEG in the study'
[ -n "$(label corrected)" ] || fail "a correction of ours is no label"
same "label of differs" "$(label differs)" 2.25.21
same "label of copy" "$(label copy)" ''
refused 2.25.31 "$work/d2" 'no correction of ours'
same "label of newest" "$(label newest)" 2.25.42
refused 2.25.41 "$work/d2" 'a newer label'
refused 2.25.43 "$work/d2" 'a newer label'
refused 2.25.51 "$work/d2" 'lies on no slice'
refused padded/61.dcm "$work/d2" '7FE0,0010'
refused 2.25.71 "$work/d2" 'none has its category and type codes, or its label'
same "label of label" "$(label label)" 2.25.81
refused 2.25.91 "$work/d2" 'ambiguous'
refused 2.25.92 "$work/d2" 'none has its category'
refused "$(uid gap)" "$work/d2" 'channel flair, series'
refused "$(uid anonymous)" "$work/d2" 'PatientID .0010,0020'
refused "$(uid special)" "$work/d2" 'none of its SEGs is a label'
refused manual/cut.dcm "$work/d2" .
grep -q 'left out: .*cut.dcm' "$work/err" || fail "a DICOM file that is cut is not told"
same "no model" "$(status_of segan dataset create "$work/x" --channels t2 --dicom "$work/dicom")" 2
holds "no model" "$(cat "$work/err")" 'which segments'
segan dataset --help | grep -q '^usage: segan dataset' || fail "segan dataset --help"
echo "data sets: what fits is in, what does not is named"
