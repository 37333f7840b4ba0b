#!/usr/bin/python3
"""seg_readback.py SEG.dcm SOURCE_DIR MASKS.raw: the SEG's voxels against the masks, with pydicom and numpy alone.

MASKS.raw: uint8, (segments, slices, rows, cols), slices ascending along row x column. Unlike a label map it may hold overlapping segments; of a LABELMAP
the smallest must have the voxel. FRACTIONAL: the values themselves. Compressed ones are decoded by pydicom.
Also checks what seg_check.py does not: bytes of patient and study, order of frames, the pixel digest in the algorithm parameters.
Exit status 0 only when all is equal.
"""
import glob
import hashlib
import re
import sys

import numpy as np
import pydicom

seg, files, masks = pydicom.dcmread(sys.argv[1]), glob.glob(sys.argv[2] + '/**/*.dcm', recursive=True), np.fromfile(sys.argv[3], np.uint8)
source = [pydicom.dcmread(f, stop_before_pixels=True) for f in files]
source = [s for s in source if s.SeriesInstanceUID == seg.ReferencedSeriesSequence[0].SeriesInstanceUID]
o = np.array(source[0].ImageOrientationPatient, float)
normal = np.cross(o[:3], o[3:])
source.sort(key=lambda s: np.array(s.ImagePositionPatient, float) @ normal)
slice_of = {str(s.SOPInstanceUID): i for i, s in enumerate(source)}
shape = (len(seg.SegmentSequence), len(source), seg.Rows, seg.Columns)
masks = masks.reshape(shape)
n, faults, kind = seg.Rows * seg.Columns, 0, seg.SegmentationType
pixels = seg.pixel_array.tobytes() if seg['PixelData'].is_undefined_length else seg.PixelData
pixels += bytes(len(pixels) % 2)


def fault(text):
    global faults
    faults += 1
    print('FAULT ' + text)


def stored(d, tag):
    """the bytes in the file; pydicom decodes the character set at once"""
    if tag not in d:
        return None
    v = d.get_item(tag).value
    return (v or b'').rstrip(b' \0') if isinstance(v, bytes) or v is None else str(v).encode()


if kind == 'BINARY':
    values = np.unpackbits(np.frombuffer(pixels, np.uint8), bitorder='little')[:n * seg.NumberOfFrames]
    masks = (masks != 0).astype(np.uint8)
else:
    values = np.frombuffer(pixels, np.uint8)[:n * seg.NumberOfFrames]
if kind == 'LABELMAP':
    want = np.zeros(shape[1:], np.uint8)
    for k in sorted(range(shape[0]), key=lambda k: (-np.count_nonzero(masks[k]), k)):
        want[masks[k] != 0] = k + 1
    masks, shape = want[None], (1, *shape[1:])
values, got, keys = values.reshape(-1, seg.Rows, seg.Columns), np.zeros(shape, np.uint8), []
for i, g in enumerate(seg.PerFrameFunctionalGroupsSequence):
    number = 1 if kind == 'LABELMAP' else g.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    k = slice_of[str(g.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)]
    if list(g.PlanePositionSequence[0].ImagePositionPatient) != list(source[k].ImagePositionPatient):
        fault(f'frame {i + 1}: position differs from its source')
    got[number - 1, k] = values[i]
    keys.append((number, k))
if not np.array_equal(got, masks):
    fault(f'{int((got != masks).sum())} voxels differ')
if keys != [tuple(map(int, k)) for k in np.argwhere(masks.reshape(*shape[:2], -1).any(axis=2)) + [1, 0]]:
    fault('frames are not exactly the slices with a voxel, by segment and position')
for s in seg.SegmentSequence:
    text = s.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters
    if re.search(r'pixel_sha256=([0-9a-f]+)', text).group(1) != hashlib.sha256(pixels).hexdigest():
        fault('the pixel digest is not that of the pixels')
    if 'research' not in s.SegmentDescription:
        fault('a segment does not say that it is for research')
raw, want = (pydicom.dcmread(f, stop_before_pixels=True) for f in (sys.argv[1], files[0]))
for key in ('SpecificCharacterSet PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate StudyTime StudyID AccessionNumber '
            'ReferringPhysicianName FrameOfReferenceUID').split():
    tag = pydicom.tag.Tag(key)
    a, b = (stored(d, tag) for d in (raw, want))
    if a != (b or b'' if key != 'SpecificCharacterSet' else b):
        fault(f'{key} is {a!r}, the source has {b!r}')
listed = {str(i.ReferencedSOPInstanceUID) for s in seg.ReferencedSeriesSequence for i in s.ReferencedInstanceSequence}
if not set(slice_of) <= listed:
    fault('a source instance is not referenced')
print(f'{faults} faults, {len(keys)} frames')
sys.exit(faults != 0)
