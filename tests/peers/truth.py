#!/usr/bin/python3
"""truth.py SEG.dcm SOURCE_DIR: what pydicom and numpy read in a SEG, as JSON, for the JavaScript readers to agree with.

Voxels a frame and a segment; of the largest frame the source instance and the mask's centroid in patient coordinates (LPS, mm).
"""
import json, os, sys
import numpy as np
import pydicom

seg = pydicom.dcmread(sys.argv[1])
source = {d.SOPInstanceUID: d for d in (pydicom.dcmread(os.path.join(sys.argv[2], f), stop_before_pixels=True) for f in os.listdir(sys.argv[2]))}
n = seg.Rows * seg.Columns
bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder='little')[:n * seg.NumberOfFrames].reshape(-1, seg.Rows, seg.Columns)
frames, segments = [], {}
for mask, group in zip(bits, seg.PerFrameFunctionalGroupsSequence):
    number, voxels = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber), int(mask.sum())
    frames.append({'segment': number, 'source': group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID, 'voxels': voxels})
    segments[number] = segments.get(number, 0) + voxels
best = max(range(len(frames)), key=lambda i: frames[i]['voxels'])
d = source[frames[best]['source']]
row, col = (a.mean() for a in np.nonzero(bits[best]))
along = np.array(d.ImageOrientationPatient, float).reshape(2, 3)
dy, dx = map(float, d.PixelSpacing)
centre = np.array(d.ImagePositionPatient, float) + along[0] * dx * col + along[1] * dy * row
json.dump({'study': seg.StudyInstanceUID, 'sop': seg.SOPInstanceUID, 'rows': seg.Rows, 'columns': seg.Columns, 'packed_bytes': (n * seg.NumberOfFrames + 7) // 8,
           'frames': frames, 'segments': segments, 'largest': {'source': frames[best]['source'], 'centre': list(centre), 'area_mm2': frames[best]['voxels'] * dx * dy}},
          sys.stdout)
