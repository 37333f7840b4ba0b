#!/usr/bin/python3
"""forms_check.py SOURCE-DIR BINARY LABELMAP FRACTIONAL [PROBABILITY.nii.gz]: three forms of one finding against each other, by pydicom, numpy and nibabel.

The label map has every voxel of the BINARY, those of several segments in the smallest; the fractions from a segment's threshold on (in words in its description) are the
BINARY's voxels, and near the network's probability everywhere but where a piece was dismissed; segments are declared alike. Any transfer syntax.
Exit status 0 only when all holds.
"""
import glob
import re
import sys

import nibabel
import numpy as np
import pydicom

source = [pydicom.dcmread(f, stop_before_pixels=True) for f in glob.glob(sys.argv[1] + '/**/*.dcm', recursive=True)]
o = np.array(source[0].ImageOrientationPatient, float)
source.sort(key=lambda s: np.array(s.ImagePositionPatient, float) @ np.cross(o[:3], o[3:]))
place = {s.SOPInstanceUID: i for i, s in enumerate(source)}
forms = [pydicom.dcmread(f) for f in sys.argv[2:5]]
faults = 0


def check(holds, text):
    global faults
    if not holds:
        faults += 1
        print('FAULT ' + text)


def volumes(ds):
    """(segments or 1, slices, rows, cols)"""
    if ds.SegmentationType == 'BINARY':
        bits = np.unpackbits(np.frombuffer(ds.PixelData, np.uint8), bitorder='little')
        values = bits[:ds.NumberOfFrames * ds.Rows * ds.Columns].reshape(ds.NumberOfFrames, ds.Rows, ds.Columns)
    else:
        values = ds.pixel_array.reshape(ds.NumberOfFrames, ds.Rows, ds.Columns)
    out = np.zeros((1 if ds.SegmentationType == 'LABELMAP' else len(ds.SegmentSequence), len(source), ds.Rows, ds.Columns), np.uint8)
    for f, g in zip(values, ds.PerFrameFunctionalGroupsSequence):
        n = 1 if ds.SegmentationType == 'LABELMAP' else g.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        out[n - 1, place[g.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]] = f
    return out


check([d.SegmentationType for d in forms] == ['BINARY', 'LABELMAP', 'FRACTIONAL'], 'the forms are others')
check([str(d.SOPClassUID) for d in forms] == ['1.2.840.10008.5.1.4.1.1.66.' + n for n in '474'], 'the SOP classes are others')
check(len({d.SOPInstanceUID for d in forms}) == 3 and len({d.SeriesInstanceUID for d in forms}) == 3, 'two forms share a UID')
for key in 'SegmentNumber SegmentLabel TrackingID TrackingUID RecommendedDisplayCIELabValue SegmentedPropertyTypeCodeSequence'.split():
    check(len({str([s.get(key) for s in d.SegmentSequence]) for d in forms}) == 1, f'{key} differs between the forms')
masks, labels, fractions = volumes(forms[0]), volumes(forms[1])[0], volumes(forms[2])
want = np.zeros(labels.shape, np.uint8)
for k in sorted(range(len(masks)), key=lambda k: (-np.count_nonzero(masks[k]), k)):
    want[masks[k] != 0] = k + 1
check(np.array_equal(labels, want), f'{int((labels != want).sum())} voxels of the label map are wrong')
overlap = (masks.sum(axis=0) > 1).any()
check(overlap == all('disjoint' in s.SegmentDescription for s in forms[1].SegmentSequence), 'the label map does not say what it did')
for k, s in enumerate(forms[2].SegmentSequence):
    p, first = re.search(r'found from ([0-9.]+) on \(value (\d+)\)', s.SegmentDescription).groups()
    check(np.array_equal(fractions[k] >= int(first), masks[k] != 0), f'segment {k + 1}: the fractions from {first} on are not the mask')
    if len(sys.argv) > 5 and masks[k].any():
        probability = np.transpose(nibabel.load(sys.argv[5]).get_fdata(), (2, 1, 0))
        dismissed = (probability >= float(p)) & (masks[k] == 0)
        near = np.abs(fractions[k] - 255 * probability) <= 1.01
        check(near[~dismissed].all() and not fractions[k][dismissed].any(), f'segment {k + 1}: the fractions are not the probabilities')
        print(f'segment {k + 1}: {int(masks[k].sum())} voxels, {int(dismissed.sum())} dismissed, {int((fractions[k] > 0).sum())} with a fraction')
print(f'{faults} faults')
sys.exit(faults != 0)
