#!/usr/bin/python3
"""mutate.py KIND SERIES_DIR OUT_DIR SUFFIX: a copy of a series as another study (SUFFIX makes new UIDs) with something wrong with it.
KIND: good | gap (a slice missing) | double (a slice twice, under another UID) | patients (the last slice is another patient's) | ct (CT instead of MR) |
frames (the last slice has another frame of reference) | uneven (one slice moved by a fifth of the distance) | conflict (other pixels, same UIDs as `good`)."""
import os, sys
import numpy as np, pydicom

kind, source, out, suffix = sys.argv[1:5]
os.makedirs(out, exist_ok=True)
slices = [pydicom.dcmread(os.path.join(source, f)) for f in sorted(os.listdir(source))]


def save(ds, name):
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.save_as(os.path.join(out, name + '.dcm'), write_like_original=False)


for i, ds in enumerate(slices):
    for keyword in ('StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'):
        setattr(ds, keyword, getattr(ds, keyword) + '.' + suffix)
    if kind == 'ct':
        ds.Modality, ds.SOPClassUID = 'CT', '1.2.840.10008.5.1.4.1.1.2'
    if kind == 'patients' and i == len(slices) - 1:
        ds.PatientID, ds.PatientName = 'OTHER-Canary', 'Other^Canary'
    if kind == 'frames' and i == len(slices) - 1:
        ds.FrameOfReferenceUID += '.1'
    if kind == 'uneven' and i == 3:
        normal = np.cross(*np.array(ds.ImageOrientationPatient, float).reshape(2, 3))
        ds.ImagePositionPatient = ['%.6f' % v for v in np.array(ds.ImagePositionPatient, float) + 0.2 * float(ds.SpacingBetweenSlices) * normal]
    if kind == 'conflict':
        ds.PixelData = bytes(len(ds.PixelData))
    if kind == 'gap' and i == 5:
        continue
    save(ds, '%04d' % i)
    if kind == 'double' and i == 4:
        ds.SOPInstanceUID += '.1'
        save(ds, 'twice')
