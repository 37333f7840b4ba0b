#!/bin/bash
# Two series of one study as the two channels of a model: on one grid, on different ones, in different frames of reference.
. "$(dirname "$0")/lib.sh"
/usr/bin/python3 tests/tools/mkzoo.py "$work" channels channels-tilted channels-two-frames
run() { # NAME WORDS...: segments the member
	local name=$1; shift
	"$B/segan" segment "$work/$name" --model glioma-regions --models "${SEGAN_MODELS:-model/shipped}" --json "$@" > "$work/$name.json" 2> "$work/$name.err"
}
frame() { dcmdump -q +P FrameOfReferenceUID "$work/channels-two-frames/s$1-000.dcm" | sed 's/.*\[\(.*\)\].*/\1/'; }

for name in channels channels-tilted; do
	run "$name" -o "$work/$name.dcm" --probability "$work/$name.nii.gz" || { cat "$work/$name.err"; fail "$name"; }
	[ ! -e "$work/$name.dcm" ] || /usr/bin/python3 tests/tools/seg_check.py "$work/$name.dcm" "$work/$name" --allow-empty-segments > "$work/check" || { cat "$work/check"; fail "seg_check $name"; }
done

# The tilted series' voxels are the same head on another grid: resampled to the first channel, the network sees nearly the same.
/usr/bin/python3 - "$work" <<'P' || fail "probabilities of the tilted series"
import sys
import nibabel as nib, numpy as np
a, b = (nib.load('%s/%s.nii.gz' % (sys.argv[1], n)) for n in ('channels', 'channels-tilted'))
assert a.shape == b.shape and np.allclose(a.affine, b.affine)
a, b = (np.asarray(i.dataobj, float) for i in (a, b))
print('greatest probability %.3f; differences: mean %.5f, 99.9 %% %.4f' % (a.max(), abs(a - b).mean(), np.percentile(abs(a - b), 99.9)))
assert a.max() > 0.2 and abs(a - b).mean() < 0.01 and np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9
P

# Another frame of reference: refused with both, unless the rule says that they are registered.
! run channels-two-frames -o "$work/x.dcm" || fail "two frames of reference were laid over each other"
for n in 1 2; do grep -qF "$(frame $n)" "$work/channels-two-frames.err" || fail "the frame of reference of series $n is not named: $(cat "$work/channels-two-frames.err")"; done
echo '{"rules": [{"name": "f", "channel": "flair", "where": {"SeriesDescription": "FLAIR"}}, {"name": "c", "channel": "t1c", "registered": true, "where": {"SeriesDescription": "T1"}}]}' > "$work/c.json"
run channels-two-frames -o "$work/x.dcm" --config "$work/c.json" --probability "$work/x.nii.gz" || { cat "$work/channels-two-frames.err"; fail "registered"; }
/usr/bin/python3 - "$work" <<'P' || fail "registered series count as in one frame"
import sys
import nibabel as nib, numpy as np
a, b = (np.asarray(nib.load('%s/%s.nii.gz' % (sys.argv[1], n)).dataobj) for n in ('channels', 'x'))
assert (a == b).all()
P

# The daemon says the same of them, and obeys the same rule.
for registered in false true; do
	node_log=$work/registered-$registered.log
	write_config "$work/segand.json" '.series_complete_trigger = 1 | .models = [{"name": "glioma-regions", "destinations": []}]
		| .rules = [{"name": "f", "channel": "flair", "where": {"SeriesDescription": "FLAIR"}}, {"name": "c", "channel": "t1c", "registered": '$registered', "where": {"SeriesDescription": "T1"}}] '"$(limits)"
	start_node "$work/segand.json"
	dcmsend -q -aec SEGAN 127.0.0.1 "$dicom_port" +sd "$work/channels-two-frames"
	wait_line "$node_log" 'job_(done|failed|rejected) job=1 ' 120 "$node_pid" > /dev/null
	same "state with registered $registered" "$(job 1 | jq -r .state)" "$([ $registered = true ] && echo done || echo rejected)"
	stop_node
	rm -rf "$(jq -r .data_dir "$work/segand.json")"
done
