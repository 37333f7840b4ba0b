#!/bin/bash
# Enhanced multi-frame MR and single frames of one scan: the same masks in the same places, references by instance and frame; over the network one file is a whole
# series; a truth that knows its slices by frame numbers alone becomes a case; what cannot be one volume is refused with the dimension named.
. "$(dirname "$0")/lib.sh"

case=TCGA_CS_4942_19970222
/usr/bin/python3 tests/tools/nifti2dicom.py "$work/single" "$case" "flair=tests/data/lgg/$case/flair.nii.gz" > /dev/null
enhanced() { local name=$1; shift; /usr/bin/python3 tests/tools/mkenhanced.py "$work/single/flair" "$work/$name" "$@"; } # NAME key=value...
segment() { "$B/segan" segment "$work/$1" -o "$work/$1.dcm" > "$work/$1.words" 2>&1 || { cat "$work/$1.words"; fail "segan segment $1"; }; }

# ---- the same masks, whatever the container, the order of its frames and the place of its functional groups
enhanced shuffled order=shuffled
valid "$work/shuffled/enhanced0.dcm"
enhanced parts parts=3 order=shuffled place=frame
enhanced phase 'dims=component=MAGNITUDE|PHASE' add=7
segment single
for name in shuffled parts phase; do
	segment "$name"
	/usr/bin/python3 - "$work/single.dcm" "$work/$name.dcm" "$work/$name" <<'P' || fail "the SEG of $name is not that of single frames"
import glob, sys, pydicom
a, b = pydicom.dcmread(sys.argv[1]), pydicom.dcmread(sys.argv[2])
sources = {d.SOPInstanceUID: d for d in (pydicom.dcmread(f) for f in glob.glob(sys.argv[3] + '/*.dcm'))}
assert a.PixelData == b.PixelData and a.FrameOfReferenceUID == b.FrameOfReferenceUID and a.SharedFunctionalGroupsSequence == b.SharedFunctionalGroupsSequence
assert {i.ReferencedSOPInstanceUID for i in b.ReferencedSeriesSequence[0].ReferencedInstanceSequence} == set(sources)
for x, y in zip(a.PerFrameFunctionalGroupsSequence, b.PerFrameFunctionalGroupsSequence):
    r = y.DerivationImageSequence[0].SourceImageSequence[0]
    frame = sources[r.ReferencedSOPInstanceUID].PerFrameFunctionalGroupsSequence[r.ReferencedFrameNumber - 1]
    assert x.PlanePositionSequence == y.PlanePositionSequence == frame.PlanePositionSequence
    assert 'ReferencedFrameNumber' not in x.DerivationImageSequence[0].SourceImageSequence[0]
P
	/usr/bin/python3 tests/tools/seg_check.py "$work/$name.dcm" "$work/$name" > "$work/check" || { cat "$work/check"; fail "seg_check of $name"; }
done

holds "inspect on a choice of frames" "$("$B/segan" inspect "$work/phase" --json | jq -r '.series[0].reason')" '; 20 of 40 frames: ComplexImageComponent .0008,9208. MAGNITUDE$'

# ---- refused in words
refused() { # NAME PATTERN
	"$B/segan" inspect "$work/$1" --json > "$work/inspect.json"
	same "state of $1" "$(jq -r '.cases[0].state' "$work/inspect.json")" rejected
	holds "reason of $1" "$(jq -r '.series[0].reason' "$work/inspect.json")" "$2"
}
enhanced echoes 'dims=echo=20|80'; refused echoes 'doubled position: .*they differ in EffectiveEchoTime \(0018,9082\): 20, 80'
enhanced times 'dims=time=1|2|3'; refused times 'TemporalPositionIndex \(0020,9128\): 1, 2, 3'
enhanced lost parts=3 drop=1; refused lost 'InConcatenationTotalNumber \(0020,9163\) is 3, 2 of its instances are here'

# ---- a rule says which echo is meant: then it is the same again. Over the network, one instance is a whole series
start_archive archive
write_config "$work/segand.json" '.rules = [{"name": "late", "channel": "flair", "where": {"SeriesDescription": "flair", "EchoTime": [100, 200]}}] | .series_complete_trigger = 1 | .models = [{"name": "glioma-flair", "destinations": ["archive"]}]
	| .destinations = {"archive": {"type": "dimse", "aet": "ARCHIVE", "host": "127.0.0.1", "port": $port}} '"$(limits)" --argjson port "$archive_port"
start_node "$work/segand.json"
enhanced late 'dims=echo=140|20' add=50 order=shuffled
"$B/segan" segment "$work/late" -o "$work/late.dcm" --config "$work/segand.json" > "$work/words" 2>&1 || { cat "$work/words"; fail "segan segment with a rule on EchoTime"; }
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" "$work/late/enhanced0.dcm"
wait_line "$node_log" 'job_(done|failed|rejected) job=1 ' 120 "$node_pid" > /dev/null
same "state of the job" "$(job 1 | jq -r .state)" done
curl -sS "http://$http/api/v1/series/2.25.880001/decision" > "$work/decision"
holds "decision" "$(jq -r .reason "$work/decision")" 'rule late: .*EchoTime "(20.140|140.20)"'
curl -sS -o "$work/net.dcm" "http://$http/api/v1/jobs/1/seg"
for name in late net; do
	/usr/bin/python3 tests/tools/seg_check.py "$work/$name.dcm" "$work/late" > "$work/check" || { cat "$work/check"; fail "seg_check of $name"; }
	/usr/bin/python3 -c 'import sys, pydicom; a, b = map(pydicom.dcmread, sys.argv[1:]); assert a.PixelData == b.PixelData' "$work/single.dcm" "$work/$name.dcm" || fail "$name is another echo"
done
# ---- and of single frames: two echoes of each slice in one series
mkdir "$work/two"
/usr/bin/python3 - "$work/single/flair" "$work/two" <<'P'
import glob, os, sys, numpy as np, pydicom
for i, f in enumerate(sorted(glob.glob(sys.argv[1] + '/*.dcm'))):
    d = pydicom.dcmread(f)
    d.StudyInstanceUID, d.SeriesInstanceUID = '2.25.4801', '2.25.4802'
    for echo in 20, 140:
        d.EchoTime, d.SOPInstanceUID = echo, '2.25.48%d%03d' % (echo, i)
        d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
        if echo == 20:
            kept, d.PixelData = d.PixelData, (np.frombuffer(d.PixelData, '<u2') // 2 + 30).astype('<u2').tobytes()
        else:
            d.PixelData = kept
        d.save_as('%s/%d-%03d.dcm' % (sys.argv[2], echo, i))
P
dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/two"
wait_line "$node_log" 'job_(done|failed|rejected) job=2 ' 120 "$node_pid" > /dev/null
same "state of the job of two echoes" "$(job 2 | jq -r '.state, .reason')" "$(printf 'done\nnull')"
curl -sS -o "$work/two.dcm" "http://$http/api/v1/jobs/2/seg"
/usr/bin/python3 tests/tools/seg_check.py "$work/two.dcm" "$work/two" > "$work/check" || { cat "$work/check"; fail "seg_check of two echoes"; }
/usr/bin/python3 -c 'import sys, pydicom; a, b = map(pydicom.dcmread, sys.argv[1:]); assert a.PixelData == b.PixelData' "$work/single.dcm" "$work/two.dcm" || fail "it is the other echo"
stop_node

# ---- a person's truth that has frame numbers and no positions; one that refers to a frame that is none
mkdir "$work/truth" "$work/bad"
cp "$work/shuffled/enhanced0.dcm" "$work/truth"; cp "$work/shuffled/enhanced0.dcm" "$work/bad"
/usr/bin/python3 - "$work/shuffled.dcm" "$work" <<'P'
import sys, pydicom
d = pydicom.dcmread(sys.argv[1]); d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = '2.25.4711'
for s in d.SegmentSequence:
    s.SegmentAlgorithmType = 'MANUAL'
    del s.SegmentationAlgorithmIdentificationSequence
for g in d.PerFrameFunctionalGroupsSequence:
    del g.PlanePositionSequence
d.save_as(sys.argv[2] + '/truth/seg.dcm')
d.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = 99
d.save_as(sys.argv[2] + '/bad/seg.dcm')
P
"$B/segan" dataset create "$work/set" --channels flair --dicom "$work/truth" > /dev/null 2>&1 || fail "no data set from Enhanced MR"
same "label" "$("$B/segan" dataset show "$work/set" --json | jq -r '.cases[0].label.sop_instance_uid')" 2.25.4711
/usr/bin/python3 - "$work/set/0000.bin" "$work/shuffled.dcm" "$work/single" <<'P' || fail "the truth lies elsewhere than the SEG's frames"
import glob, sys, numpy as np, pydicom
seg = pydicom.dcmread(sys.argv[2]); z = sorted(float(pydicom.dcmread(f).ImagePositionPatient[2]) for f in glob.glob(sys.argv[3] + '/flair/*.dcm'))
n = seg.Rows * seg.Columns; bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder='little'); want = np.zeros((len(z), n), np.uint8)
for i, g in enumerate(seg.PerFrameFunctionalGroupsSequence):
    want[np.argmin(np.abs(np.array(z) - float(g.PlanePositionSequence[0].ImagePositionPatient[2])))] = bits[i * n:(i + 1) * n]
got = np.fromfile(sys.argv[1], np.uint8)[-want.size:].reshape(want.shape)
assert (got == want).all()
P
"$B/segan" dataset create "$work/none" --channels flair --dicom "$work/bad" > "$work/out" 2>&1 && fail "a SEG that refers to frame 99 became truth"
holds "frame 99" "$(cat "$work/out")" 'frame 1 has neither ImagePositionPatient .* nor one source'
echo "Enhanced and single frames give the same"
